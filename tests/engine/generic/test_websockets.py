import datetime
import decimal
import json
import logging
import uuid

import pytest
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy

from channels import Channel, ConsumeLater, Group, include, route_class
from channels.auth import channel_session_user
from channels.exceptions import DenyConnection, FrameRefused, WebsocketCloseException
from channels.generic.websockets import JsonWebsocketConsumer, WebsocketConsumer
from channels.message import Message
from channels.security.websockets import BaseOriginValidator
from channels.sessions import channel_session

from ..sites import Socket

ACCEPTED = [{"accept": True}]


class Echo(WebsocketConsumer):
    def receive(self, text=None, bytes=None):
        self.send(text=text, bytes=bytes)


class Room(WebsocketConsumer):
    groups = ["room"]

    def receive(self, text=None, bytes=None):
        self.group_send("room", text=text, bytes=bytes)


class JsonEcho(JsonWebsocketConsumer):
    def receive(self, content):
        self.send(content)


def text_of(messages):
    return [json.loads(message["text"]) for message in messages]


# A socket's life


def test_a_socket_is_accepted_heard_and_let_go(open_socket):
    seen = []

    class Whole(WebsocketConsumer):
        def connect(self, message, room):
            seen.append((self.path, room, self.kwargs, self.message is message))
            super().connect(message, room=room)

        def receive(self, text=None, bytes=None, **kwargs):
            seen.append((self.path, text, bytes, kwargs))

        def disconnect(self, message, **kwargs):
            seen.append((self.path, message["code"], kwargs))

    socket = open_socket(route_class(Whole, path=r"^/(?P<room>\w+)/$"), path="/hall/")

    assert socket.connect() == ACCEPTED
    socket.send("Hello")
    socket.consume("websocket.receive", bytes=b"\0")
    socket.disconnect(1001)
    assert seen == [
        ("/hall/", "hall", {"room": "hall"}, True),
        ("/hall/", "Hello", None, {"room": "hall"}),
        ("/hall/", None, b"\0", {"room": "hall"}),
        ("/hall/", 1001, {"room": "hall"}),
    ]


def test_a_class_that_says_nothing_accepts_and_is_silent(open_socket):
    socket = open_socket(WebsocketConsumer.as_route())

    assert socket.connect() == ACCEPTED
    assert socket.send("Hello") == socket.disconnect() == []


def test_below_an_include_the_path_is_the_whole_one(open_socket):
    class Told(WebsocketConsumer):
        def connect(self, message, room):
            self.send(f"{self.path} {room}")

    routes = include([Told.as_route(path=r"^/(?P<room>\w+)/$")], path=r"^/rooms")

    assert open_socket(routes, path="/rooms/hall/").connect() == [{"text": "/rooms/hall/ hall"}]


@pytest.mark.parametrize("frame", [{"text": "Hello"}, {"text": ""}, {"bytes": b"\0"}, {"bytes": b""}])
def test_what_comes_is_told_by_its_value_and_not_by_its_key(open_socket, frame):
    socket = open_socket(Echo.as_route())
    socket.connect()

    assert socket.consume("websocket.receive", **frame) == [frame]
    assert socket.consume("websocket.receive", **{"text": None, "bytes": None, **frame}) == [frame]


# What it sends


@pytest.fixture
def consumer_of(make_site):
    """Return a function that gives a consumer of some class with a message in hand, and its socket."""

    def consumer_of(kind):
        socket = Socket(make_site())
        message = Message(socket.message(text="{}"), "websocket.receive", socket.site.layer)
        return kind(message), socket

    return consumer_of


@pytest.mark.parametrize("close", [True, 1000, 4001])
def test_a_frame_may_be_the_last_one(consumer_of, close):
    consumer, socket = consumer_of(WebsocketConsumer)

    consumer.send(text="Goodbye", close=close)
    consumer.send(bytes=b"Goodbye", close=close)
    consumer.send(close=close)
    consumer.close(close)

    end = {"close": close}
    assert socket.received() == [{"text": "Goodbye", **end}, {"bytes": b"Goodbye", **end}, end, end]


def test_a_json_frame_may_be_the_last_one(consumer_of):
    consumer, socket = consumer_of(JsonWebsocketConsumer)

    consumer.send([1], close=4001)

    assert socket.received() == [{"text": "[1]", "close": 4001}]


@pytest.mark.parametrize(
    ("frame", "text"), [({}, "needs text or bytes"), ({"text": "a", "bytes": b"b"}, "either text or bytes")]
)
def test_what_is_no_frame_is_an_error_at_the_line(consumer_of, frame, text):
    consumer, socket = consumer_of(WebsocketConsumer)

    for send in (consumer.send, lambda **frame: consumer.group_send("room", **frame)):
        with pytest.raises(ValueError, match=text):
            send(**frame)
    assert socket.received() == []


def test_without_a_socket_there_is_nobody_to_send_to(make_site):
    consumer = WebsocketConsumer(Message({"text": "a"}, "websocket.receive", make_site().layer))

    for say in (lambda: consumer.send("a"), consumer.close, lambda: consumer.raw_connect(consumer.message)):
        with pytest.raises(ValueError, match="comes from no socket: it has no reply_channel"):
            say()


def test_json_is_written_as_django_does(consumer_of):
    consumer, socket = consumer_of(JsonWebsocketConsumer)
    number = uuid.uuid4()

    consumer.send(
        {"day": datetime.date(2026, 1, 2), "price": decimal.Decimal("1.10"), "id": number, "lazy": gettext_lazy("Yes")}
    )

    assert text_of(socket.received()) == [{"day": "2026-01-02", "price": "1.10", "id": str(number), "lazy": "Yes"}]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_no_browser_reads_is_an_error_at_the_line(consumer_of, value):
    consumer, _ = consumer_of(JsonWebsocketConsumer)

    with pytest.raises(ValueError):
        consumer.send({"value": value})


def test_a_class_may_read_and_write_json_in_its_own_way(open_socket):
    class Loud(JsonEcho):
        @classmethod
        def decode_json(cls, text):
            return json.loads(text.lower())

        @classmethod
        def encode_json(cls, content):
            return json.dumps(content).upper()

    socket = open_socket(Loud.as_route())
    socket.connect()

    assert socket.send('{"A": 1}') == [{"text": '{"A": 1}'}]


# Groups


def members(site, group="room"):
    return site.layer.group_channels(group)


def test_a_socket_is_in_its_groups_from_its_acceptance_to_its_end(open_socket):
    socket = open_socket(Room.as_route())
    assert socket.connect() == ACCEPTED
    assert members(socket.site) == [socket.reply_channel]
    assert socket.send("Hello") == [{"text": "Hello"}]

    socket.disconnect()
    assert members(socket.site) == []


def test_groups_may_depend_on_the_socket(open_socket):
    class Rooms(Room):
        http_user = True

        def connection_groups(self, room):
            return (f"room-{room}", b"user-" + str(self.message.user.pk).encode(), self.path.strip("/"))

    socket = open_socket(Rooms.as_route(path=r"^/(?P<room>\w+)$"), path="/hall")
    socket.connect()

    for group in ("room-hall", "user-None", "hall"):
        assert members(socket.site, group) == [socket.reply_channel]


def refuse(consumer):
    raise DenyConnection


def close(consumer):
    consumer.close()


def close_with_code(consumer):
    consumer.close(4001)


def answer_no(consumer):
    consumer.message.reply_channel.send({"accept": False})


def answer_no_at_once(consumer):
    consumer.message.reply_channel.send({"accept": False}, immediately=True)


def raise_close(consumer):
    raise WebsocketCloseException(4001)


def fail(consumer):
    raise RuntimeError("a mistake")


def say_nothing(consumer):
    pass


REFUSALS = [refuse, close, close_with_code, answer_no, answer_no_at_once, raise_close, fail, say_nothing]


@pytest.fixture
def joins_of(monkeypatch):
    """Return a function that gives a list of all that joins a group from now on, with the socket."""

    def joins_of(socket):
        joins = []
        monkeypatch.setattr(socket.site.layer.channel_layer, "group_add", lambda *names: joins.append(names))
        return joins

    return joins_of


@pytest.mark.parametrize("end", REFUSALS)
def test_a_socket_that_is_not_let_in_has_never_been_a_member(open_socket, joins_of, end):
    class Guarded(Room):
        def connect(self, message):
            ran.append(end)
            end(self)

    ran, socket = [], open_socket(Guarded.as_route())
    joins, answers = joins_of(socket), socket.connect()

    assert ran == [end]
    assert joins == []
    assert not any(answer.get("accept") for answer in answers)


@pytest.mark.parametrize("accept", [{"accept": True}, {"text": "Hello"}, {"bytes": b"Hello"}])
@pytest.mark.parametrize("immediately", [False, True])
def test_whatever_accepts_a_socket_lets_it_join(open_socket, accept, immediately):
    class Own(Room):
        def connect(self, message):
            message.reply_channel.send(accept, immediately=immediately)

    socket = open_socket(Own.as_route())

    assert socket.connect() == [accept]
    assert members(socket.site) == [socket.reply_channel]


def test_one_that_is_accepted_so_that_it_sees_why_it_is_closed_joins_nothing(open_socket, joins_of):
    class Explaining(Room):
        def connect(self, message):
            super().connect(message)
            raise WebsocketCloseException(4001)

    socket = open_socket(Explaining.as_route())
    joins = joins_of(socket)

    assert socket.connect() == [{"accept": True}, {"close": 4001}]
    assert joins == []


def test_one_whose_consumer_fails_after_it_has_accepted_is_refused(open_socket):
    class Failing(Room):
        def connect(self, message):
            super().connect(message)
            raise RuntimeError("a mistake")

    socket = open_socket(Failing.as_route())

    assert socket.connect() == [{"close": 1011}]
    assert members(socket.site) == []


def test_one_that_cannot_join_is_refused(open_socket, monkeypatch):
    socket = open_socket(Room.as_route())

    def group_add(*names):
        raise RuntimeError("the layer is away")

    monkeypatch.setattr(socket.site.layer.channel_layer, "group_add", group_add)

    assert socket.connect() == [{"close": 1011}]


@pytest.mark.parametrize(
    ("groups", "text"), [("room", "are the text 'room'; expected a list"), (["a room"], "'a room'"), ([3], "3")]
)
def test_groups_with_no_names_refuse_the_socket_before_its_consumer_runs(open_socket, caplog, groups, text):
    ran = []

    class Mistaken(WebsocketConsumer):
        def connect(self, message):
            ran.append(message)

    Mistaken.groups = groups

    assert open_socket(Mistaken.as_route()).connect() == [{"close": 1011}]
    assert ran == []
    assert text in caplog.text


def test_disconnect_runs_even_if_the_groups_can_no_longer_be_told(open_socket):
    ran = []

    class Gone(WebsocketConsumer):
        def connection_groups(self):
            raise LookupError("the room was deleted")

        def disconnect(self, message):
            ran.append(message["code"])

    open_socket(Gone.as_route()).disconnect(1001)

    assert ran == [1001]


def test_a_group_message_goes_over_the_layer_of_the_socket(open_socket, make_site):
    default = make_site()
    socket = open_socket(site=make_site([Room.as_route()], alias="second"))
    default.layer.group_add("room", socket.reply_channel)
    socket.connect()

    assert socket.send("Hello") == [{"text": "Hello"}]
    assert default.received(socket.reply_channel) == []


def test_from_outside_the_class_sends_over_the_default_layer_or_its_own(make_site):
    default, second = make_site(), make_site(alias="second")
    for site in (default, second):
        site.layer.group_add("room", site.reply_channel)

    class Second(JsonWebsocketConsumer):
        channel_layer = second.layer

    WebsocketConsumer.group_send("room", text="a")
    JsonWebsocketConsumer.group_send("room", {"b": 1}, close=True)
    Second.group_send("room", "c")

    assert default.received(default.reply_channel) == [{"text": "a"}, {"text": '{"b": 1}', "close": True}]
    assert second.received(second.reply_channel) == [{"text": '"c"'}]


def test_group_send_may_be_overridden_as_a_method_or_as_that_of_a_class(open_socket):
    class OfClass(JsonWebsocketConsumer):
        groups = ["room"]

        @classmethod
        def group_send(cls, name, content, close=False):
            super().group_send(name, {"of": "class", **content}, close=close)

        def receive(self, content):
            self.group_send("room", content)

    class OfObject(OfClass):
        def group_send(self, name, content, close=False):
            super().group_send(name, {"and": "object", **content}, close=close)

    socket = open_socket(OfObject.as_route())
    socket.connect()

    assert text_of(socket.send('{"a": 1}')) == [{"of": "class", "and": "object", "a": 1}]


# The user, sessions, order


class Who(WebsocketConsumer):
    def connect(self, message):
        self.tell()

    def receive(self, text=None, bytes=None):
        self.tell()

    def tell(self):
        session = getattr(self.message, "http_session", None)
        self.send(f"{self.message.user} {session is not None}")


@pytest.mark.parametrize(
    ("switch", "first", "later"),
    [
        ("http_user", "anna True", "anna False"),
        ("http_user_and_session", "anna True", "anna True"),
        ("channel_session_user", "AnonymousUser False", "AnonymousUser False"),
    ],
)
def test_the_user_is_switched_on_by_an_attribute(open_socket, cookie, switch, first, later):
    socket = open_socket(Who.as_route(attrs={switch: True}), cookie=cookie)

    assert socket.connect() == [{"text": first}]
    assert socket.send("?") == [{"text": later}]


def test_without_attributes_a_message_has_neither_user_nor_session(open_socket):
    seen = []

    class Plain(WebsocketConsumer):
        def connect(self, message):
            seen.append(hasattr(message, "user") or hasattr(message, "channel_session"))

    open_socket(Plain.as_route()).connect()

    assert seen == [False]


def test_what_connect_puts_into_the_session_is_there_afterwards(open_socket):
    class Counting(WebsocketConsumer):
        channel_session = True

        def receive(self, text=None, bytes=None):
            self.message.channel_session["count"] = self.message.channel_session.get("count", 0) + 1
            self.send(str(self.message.channel_session["count"]))

    socket = open_socket(Counting.as_route())
    socket.connect()

    assert [socket.send("+"), socket.send("+")] == [[{"text": "1"}], [{"text": "2"}]]


def test_a_method_with_a_message_may_be_decorated_itself_in_djangos_way_or_plainly(open_socket):
    @method_decorator(channel_session, name="connect")
    class Decorated(WebsocketConsumer):
        def connect(self, message):
            message.channel_session["a"] = 1
            super().connect(message)

        @channel_session_user
        def disconnect(self, message):
            seen.append((message.channel_session["a"], str(message.user)))

    seen, socket = [], open_socket(Decorated.as_route())
    socket.connect()
    socket.disconnect()

    assert seen == [(1, "AnonymousUser")]


def test_strict_ordering_makes_the_promise_about_lost_messages(open_socket):
    socket = open_socket(Echo.as_route(attrs={"strict_ordering": True}))
    socket.connect()
    socket.send("a")

    assert [finish.keeps_order for _, finish in socket.site.finishes] == [True, True]


def test_slight_ordering_is_refused_as_ever(open_socket, caplog):
    assert open_socket(Echo.as_route(attrs={"slight_ordering": True})).connect() == [{"close": 1011}]
    assert "enforce_ordering has no slight mode any more" in caplog.text


# Whose pages may open sockets


@pytest.mark.parametrize("origin", ["http://elsewhere.example", None])
def test_a_foreign_page_is_refused_unless_that_is_switched_off(open_socket, caplog, origin):
    assert open_socket(Echo.as_route(), origin=origin).connect() == [{"accept": False}]
    assert "Add the host to ALLOWED_HOSTS" in caplog.text

    assert open_socket(Echo.as_route(attrs={"allowed_hosts_only": False}), origin=origin).connect() == ACCEPTED


def test_a_refused_page_runs_nothing_of_the_consumer(open_socket, joins_of):
    ran = []

    class Guarded(Room):
        http_user = strict_ordering = True

        def raw_connect(self, message):
            ran.append(message)

    socket = open_socket(Guarded.as_route(), origin="http://elsewhere.example")
    joins = joins_of(socket)

    assert socket.connect() == [{"accept": False}]
    assert ran == joins == []


def test_later_messages_have_no_origin_and_need_none(open_socket):
    socket = open_socket(Echo.as_route())
    socket.connect()

    assert socket.send("Hello") == [{"text": "Hello"}]


def test_a_rule_of_ones_own_decorates_connect(open_socket):
    class OnlyPartner(BaseOriginValidator):
        def validate_origin(self, message, origin):
            return origin == "https://partner.example"

    class Partners(Echo):
        allowed_hosts_only = False

        @OnlyPartner
        def connect(self, message):
            super().connect(message)

    assert open_socket(Partners.as_route(), origin="https://partner.example").connect() == ACCEPTED
    assert open_socket(Partners.as_route()).connect() == [{"accept": False}]


def test_a_connect_message_without_headers_is_none_of_a_browsers(make_site):
    socket = Socket(make_site([Echo.as_route()]))
    del socket.hello["headers"]

    assert socket.connect() == ACCEPTED


# How a method may end


def test_deny_connection_in_receive_is_logged_and_denies_nothing(open_socket, caplog):
    class Denying(Echo):
        def receive(self, text=None, bytes=None):
            raise DenyConnection

    socket = open_socket(Denying.as_route())
    socket.connect()

    assert socket.send("a") == []
    assert "DenyConnection is for websocket.connect consumers" in caplog.text


@pytest.mark.parametrize("kind", [WebsocketConsumer, JsonWebsocketConsumer])
def test_close_may_be_raised_from_any_method(open_socket, kind):
    class Closing(kind):
        def receive(self, *args, **kwargs):
            raise WebsocketCloseException(4001)

    socket = open_socket(Closing.as_route())
    socket.connect()

    assert socket.send("{}") == [{"close": 4001}]


@pytest.mark.parametrize("kind", [WebsocketConsumer, JsonWebsocketConsumer])
def test_a_message_may_be_consumed_later(open_socket, kind):
    tries = []

    class Later(kind):
        def receive(self, *args, **kwargs):
            tries.append(kwargs)
            if len(tries) < 3:
                raise ConsumeLater

    socket = open_socket(Later.as_route())
    socket.connect()
    socket.send("{}")

    assert len(tries) == 3


def test_a_connect_message_that_comes_again_is_answered_once(open_socket):
    tries = []

    class Later(Room):
        def connect(self, message):
            super().connect(message)
            tries.append(message)
            if len(tries) < 3:
                raise ConsumeLater

    socket = open_socket(Later.as_route())

    assert socket.connect() == ACCEPTED
    assert members(socket.site) == [socket.reply_channel]


def test_an_object_lives_for_one_message(open_socket):
    seen = []

    class Keeping(Echo):
        def receive(self, text=None, bytes=None):
            seen.append(getattr(self, "kept", None))
            self.kept = text

    socket = open_socket(Keeping.as_route())
    socket.connect()
    socket.send("a")
    socket.send("b")

    assert seen == [None, None]


# What is no JSON


@pytest.fixture
def json_socket(open_socket):
    socket = open_socket(JsonEcho.as_route())
    assert socket.connect() == ACCEPTED
    return socket


@pytest.mark.parametrize("content", [{}, [], [1, "a", None], "text", 1, 1.5, None, True, {"a": {"b": [{}]}}, "\ud800"])
def test_any_json_comes_in_and_goes_out(json_socket, content):
    assert text_of(json_socket.send(json.dumps(content))) == [content]


@pytest.mark.parametrize(
    "text", ["", " ", "nonsense", "{", '{"a": 1}}', "{'a': 1}", "NaN", "[Infinity]", "1e999", "[" * 10**5, "9" * 5000]
)
def test_text_that_is_no_json_is_answered_and_the_socket_stays(json_socket, caplog, text):
    (answer,) = text_of(json_socket.send(text))

    assert answer.pop("detail").startswith("This frame is no JSON: ")
    assert answer == {"error": "not_json"}
    assert text_of(json_socket.send("1")) == [1]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_bytes_are_answered_and_the_socket_stays(json_socket):
    answers = json_socket.consume("websocket.receive", bytes=b"{}")

    detail = "This frame is binary; expected text, with JSON in it."
    assert text_of(answers) == [{"error": "not_text", "detail": detail}]
    assert text_of(json_socket.send("1")) == [1]


def test_an_answer_to_what_is_too_large_is_small(json_socket):
    (answer,) = json_socket.send("[1e9" + "9" * 10**5 + "]")

    assert len(answer["text"]) < 300


def test_a_consumer_may_refuse_a_frame_in_the_same_way(open_socket):
    class Picky(JsonWebsocketConsumer):
        def receive(self, content):
            raise FrameRefused("gone", "There is no room 7.", room=content["room"])

    socket = open_socket(Picky.as_route())
    socket.connect()

    assert text_of(socket.send('{"room": 7}')) == [{"error": "gone", "detail": "There is no room 7.", "room": 7}]


# Sends of other consumers


def test_what_others_send_during_connect_is_not_taken_back(open_socket):
    class Failing(Room):
        def connect(self, message):
            Group("room").send({"text": "somebody has tried"})
            Channel("log").send({"tried": True})
            raise RuntimeError("a mistake")

    socket = open_socket(Failing.as_route())
    socket.connect()

    assert socket.site.received("log") == [{"tried": True}]
