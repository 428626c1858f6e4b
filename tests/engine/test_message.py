import pytest

from channels.exceptions import InvalidName
from channels.message import Message


@pytest.fixture
def message(make_site):
    content = {"reply_channel": "reply.a!1", "text": "hello", "list": [1]}
    return Message(content, "websocket.receive", make_site().layer)


def test_a_message_is_open_like_the_dict_in_it(message):
    message["more"] = 1

    assert message["text"] == message.get("text") == "hello"
    assert message.get("bytes") is None
    assert message.get("bytes", b"") == b""
    assert ("text" in message, "bytes" in message) == (True, False)
    assert message.content["more"] == 1
    assert [*message.keys()] == ["reply_channel", "text", "list", "more"]
    assert [*message.values()] == ["reply.a!1", "hello", [1], 1]
    assert dict(message.items()) == message.content


def test_a_key_that_is_missing_is_a_key_error(message):
    with pytest.raises(KeyError):
        message["bytes"]


def test_its_channels_are_those_of_the_layer_that_carried_it(make_site):
    layer = make_site(alias="second").layer
    message = Message({"reply_channel": "reply.a!1"}, "thumbnail", layer)

    assert message.channel.channel_layer is message.reply_channel.channel_layer is layer


def test_without_a_reply_channel_there_is_none(make_site):
    layer = make_site().layer

    assert Message({}, "thumbnail", layer).reply_channel is None
    assert Message({"reply_channel": None}, "thumbnail", layer).reply_channel is None


def test_a_reply_channel_that_is_no_name_is_told(make_site):
    with pytest.raises(InvalidName):
        Message({"reply_channel": "with space"}, "thumbnail", make_site().layer)


def test_a_copy_has_a_content_of_its_own(message):
    message.user = "anna"
    copy = message.copy()
    copy["text"] = "goodbye"

    assert message["text"] == "hello"
    assert copy["list"] is message["list"]
    assert (copy.channel, copy.reply_channel, copy.channel_layer) == (
        message.channel,
        message.reply_channel,
        message.channel_layer,
    )
    assert copy.user == "anna"


@pytest.mark.parametrize("name", ["channel_session", "http_session", "user"])
def test_what_decorators_add_is_not_there_without_them(message, name):
    assert not hasattr(message, name)
    assert getattr(message, name, "a default") == "a default"


def test_what_it_is_is_shown_without_its_content(make_site, message):
    assert repr(message) == "<Message on websocket.receive from reply.a!1>"
    assert repr(Message({}, "thumbnail", message.channel_layer)) == "<Message on thumbnail>"
