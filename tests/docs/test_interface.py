from channels import channel_layers

from .pages import program


def test_what_asgi_py_has_to_do_gives_an_application():
    channel_layer = program("docs/interface.md", "channel_layer").channel_layer

    assert channel_layer is channel_layers["default"]
    assert callable(channel_layer)
