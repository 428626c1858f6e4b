import pytest

# Its assertions are to explain themselves like those of a test module.
pytest.register_assert_rewrite("channels.test.conformance")
