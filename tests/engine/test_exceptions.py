"""The exceptions: which is caught by which, and what they do."""

import inspect

import pytest

from channels import exceptions
from channels.exceptions import (
    ChannelsException,
    ChannelSocketException,
    InvalidChannelLayerError,
    InvalidMessage,
    InvalidName,
    MessageTooLarge,
    ResponseLater,
    WebsocketCloseException,
)


class ReplyChannel:
    def __init__(self):
        self.sent = []

    def send(self, content):
        self.sent.append(content)


class Message:
    def __init__(self, reply_channel):
        self.reply_channel = reply_channel


def drawn_parents():
    """Return ``{exception: parent}`` as the docstring of the module draws it."""
    parents, path = {}, {}
    for line in exceptions.__doc__.splitlines():
        name = line.strip(" │├└─").split(" ")[0]
        if name.isidentifier() and line.startswith("    "):
            depth = line.index(name)
            path = {level: above for level, above in path.items() if level < depth} | {depth: name}
            parents[name] = path[max(level for level in path if level < depth)] if len(path) > 1 else None
    return parents


def test_the_tree_in_the_docstring_is_that_of_the_classes():
    classes = [
        one
        for _, one in inspect.getmembers(exceptions, inspect.isclass)
        if one.__module__ == "channels.exceptions" and issubclass(one, BaseException)
    ]

    real = {one.__name__: one.__base__.__name__ for one in classes} | {"ChannelsException": None, "BaseException": None}

    assert drawn_parents() == real


@pytest.mark.parametrize(
    ("exception", "kind"),
    [
        (InvalidChannelLayerError, ValueError),
        (InvalidName, ValueError),
        (InvalidMessage, ValueError),
        (InvalidMessage, TypeError),
        (MessageTooLarge, ValueError),
    ],
)
def test_mistakes_are_the_errors_that_python_would_raise(exception, kind):
    assert issubclass(exception, kind)


def test_response_later_passes_every_handler_of_exceptions():
    assert not issubclass(ResponseLater, Exception)
    assert not issubclass(ResponseLater, ChannelsException)


# Closing a socket by an exception


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (WebsocketCloseException(), {"close": True}),
        (WebsocketCloseException(1000), {"close": 1000}),
        (WebsocketCloseException(3000), {"close": 3000}),
        (WebsocketCloseException(code=4999), {"close": 4999}),
    ],
)
def test_a_socket_is_closed_with_the_code_of_the_exception(error, reply):
    message = Message(ReplyChannel())

    error.run(message)

    assert message.reply_channel.sent == [reply]


@pytest.mark.parametrize("code", [0, 1, 999, 1001, 1006, 1011, 2999, 5000, -1])
def test_a_consumer_may_not_close_with_a_code_that_is_not_its_own(code):
    with pytest.raises(ValueError, match=f"1000 or 3000 to 4999, not with {code}"):
        WebsocketCloseException(code)


def test_where_there_is_no_socket_closing_one_is_a_mistake():
    with pytest.raises(ValueError, match=r"no socket to close: .* has no reply_channel"):
        WebsocketCloseException(1000).run(Message(None))


def test_an_action_on_a_socket_says_what_it_has_to_define():
    class Mute(ChannelSocketException):
        pass

    with pytest.raises(NotImplementedError, match=r"Mute must say in run\(message\) what happens to the socket"):
        Mute().run(Message(ReplyChannel()))
