pytest_plugins = ["channels.test.fixtures"]
