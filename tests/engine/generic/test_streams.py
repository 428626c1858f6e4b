"""Several consumers on one socket."""

import json
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels import ConsumeLater
from channels.exceptions import (
    DenyConnection,
    FrameRefused,
    InvalidChannelLayerError,
    SendNotAvailableOnDemultiplexer,
    WebsocketCloseException,
)
from channels.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketConsumer,
    WebsocketDemultiplexer,
    WebsocketMultiplexer,
)

from .test_websockets import ACCEPTED, members, text_of


class Echo(JsonWebsocketConsumer):
    groups = ["echo"]

    def connect(self, message, multiplexer, **kwargs):
        multiplexer.send({"hello": multiplexer.stream})

    def receive(self, content, multiplexer, **kwargs):
        multiplexer.send({"echo": content})


class Counter(JsonWebsocketConsumer):
    groups = ["counts"]
    channel_session = True

    def receive(self, content, **kwargs):
        count = self.message.channel_session["count"] = self.message.channel_session.get("count", 0) + 1
        self.send({"count": count, **{key: value for key, value in kwargs.items() if key != "multiplexer"}})


def function(message, multiplexer, **kwargs):
    if "text" in message:
        multiplexer.send({"text": message["text"]})


class Streams(WebsocketDemultiplexer):
    consumers = {"echo": Echo, "counter": Counter, "function": function}
    groups = ["all"]


def frame(stream, payload):
    return json.dumps({"stream": stream, "payload": payload})


@pytest.fixture
def socket(open_socket):
    socket = open_socket(Streams.as_route(path=r"^/(?P<room>\w+)"), path="/hall")
    socket.greeting = socket.connect()
    return socket


def test_a_socket_is_accepted_first_and_then_greeted_by_its_streams(socket):
    accepted, *greetings = socket.greeting

    assert accepted == {"accept": True}
    assert text_of(greetings) == [{"stream": "echo", "payload": {"hello": "echo"}}]


def test_a_payload_goes_to_the_consumer_of_its_stream_and_its_answer_comes_on_it(socket):
    assert text_of(socket.send(frame("echo", {"a": [1]}))) == [{"stream": "echo", "payload": {"echo": {"a": [1]}}}]
    assert text_of(socket.send(frame("function", {"a": "ü"}))) == [
        {"stream": "function", "payload": {"text": '{"a": "\\u00fc"}'}}
    ]


def test_a_consumer_that_knows_nothing_of_streams_answers_on_its_own_and_has_its_session(socket):
    for count in (1, 2):
        answer = {"stream": "counter", "payload": {"count": count, "room": "hall"}}
        assert text_of(socket.send(frame("counter", {}))) == [answer]


def test_the_groups_of_all_are_joined_and_left(socket):
    for group in ("all", "echo", "counts"):
        assert members(socket.site, group) == [socket.reply_channel]

    socket.disconnect()

    for group in ("all", "echo", "counts"):
        assert members(socket.site, group) == []


def test_all_are_told_of_the_end_even_if_one_of_them_fails(open_socket, caplog):
    told = []

    class Telling(JsonWebsocketConsumer):
        def disconnect(self, message, multiplexer, **kwargs):
            told.append((multiplexer.stream, message["code"]))
            raise RuntimeError(f"a mistake in {multiplexer.stream}")

    class Three(WebsocketDemultiplexer):
        consumers = dict.fromkeys(["a", "b", "c"], Telling)

    open_socket(Three.as_route()).disconnect(1001)

    assert told == [("a", 1001), ("b", 1001), ("c", 1001)]
    assert all(f"RuntimeError: a mistake in {stream}" in caplog.text for stream in "abc")


def test_the_messages_of_a_socket_have_one_ticket_each_whatever_its_streams(socket):
    socket.send(frame("echo", {}))
    socket.send(frame("counter", {}))

    assert [finish.number for _, finish in socket.site.finishes] == [0, 1, 2]


def test_order_may_be_promised_by_a_stream(open_socket):
    class Ordered(Counter):
        strict_ordering = True

    class Two(WebsocketDemultiplexer):
        consumers = {"a": Ordered, "b": Ordered}

    socket = open_socket(Two.as_route())
    socket.connect()
    socket.send(frame("b", {}))

    assert [finish.keeps_order for _, finish in socket.site.finishes] == [True, True]
    assert socket.session == {"count": 1}


def test_a_stream_may_ask_for_the_user_that_its_socket_does_not_ask_for(open_socket, cookie):
    class Who(JsonWebsocketConsumer):
        http_user = True

        def connect(self, message, **kwargs):
            self.send({"user": str(message.user)})

        def receive(self, content, **kwargs):
            self.send({"user": str(self.message.user)})

    class One(WebsocketDemultiplexer):
        consumers = {"who": Who}

    socket = open_socket(One.as_route(), cookie=cookie)

    told = [{"stream": "who", "payload": {"user": "anna"}}]
    assert text_of(socket.connect()[1:]) == text_of(socket.send(frame("who", {}))) == told


def test_what_is_no_consumer_is_told_when_the_routing_is_made():
    class Mistaken(WebsocketDemultiplexer):
        consumers = {"a": "chat.consumers.receive"}

    with pytest.raises(InvalidChannelLayerError, match=r"Mistaken\.consumers has 'chat.consumers.receive' for .* 'a'"):
        Mistaken.as_route()


# Refusals


def deny(consumer):
    raise DenyConnection


def fail(consumer):
    raise RuntimeError("a mistake")


def close(consumer):
    consumer.close()


@pytest.mark.parametrize(
    ("end", "answer"), [(deny, [{"accept": False}]), (fail, [{"close": 1011}]), (close, [*ACCEPTED, {"close": True}])]
)
@pytest.mark.parametrize("place", [0, 1])
def test_one_stream_may_refuse_for_all_and_then_nothing_has_been_joined(open_socket, monkeypatch, end, answer, place):
    class Refusing(JsonWebsocketConsumer):
        def connect(self, message, **kwargs):
            end(self)

    streams = [("counter", Counter)]
    streams.insert(place, ("refusing", Refusing))

    class Guarded(Streams):
        consumers = dict(streams)

    socket, joins = open_socket(Guarded.as_route()), []
    monkeypatch.setattr(socket.site.layer.channel_layer, "group_add", lambda *names: joins.append(names))

    assert socket.connect() == answer
    assert joins == []


def test_a_demultiplexer_may_decide_before_its_streams_hear_of_it(open_socket):
    ran = []

    class Watching(JsonWebsocketConsumer):
        def connect(self, message, **kwargs):
            ran.append(message)

    class Guarded(WebsocketDemultiplexer):
        consumers = {"a": Watching}
        channel_session_user = True

        def connect(self, message, **kwargs):
            if not message.user.is_authenticated:
                raise DenyConnection
            super().connect(message, **kwargs)

    assert open_socket(Guarded.as_route()).connect() == [{"accept": False}]
    assert ran == []


def test_pages_are_looked_at_once_for_all_streams(open_socket, caplog):
    assert open_socket(Streams.as_route(), origin="http://elsewhere.example").connect() == [{"accept": False}]
    assert caplog.text.count("Add the host to ALLOWED_HOSTS") == 1

    open_to_all = Streams.as_route(attrs={"allowed_hosts_only": False})
    assert open_socket(open_to_all, origin="http://elsewhere.example").connect()[0] == {"accept": True}


# What sends where


def test_the_classes_of_streams_are_left_as_they_are(open_socket):
    class Alone(JsonWebsocketConsumer):
        def receive(self, content, **kwargs):
            self.send(content)

    class One(WebsocketDemultiplexer):
        consumers = {"a": Alone}

    before = dict(vars(Alone))
    shared = open_socket(One.as_route())
    shared.connect()
    assert text_of(shared.send(frame("a", {"b": 1}))) == [{"stream": "a", "payload": {"b": 1}}]

    assert dict(vars(Alone)) == before
    alone = open_socket(Alone.as_route())
    alone.connect()
    assert text_of(alone.send('{"b": 1}')) == [{"b": 1}]


def test_what_one_stream_adds_to_a_message_the_others_do_not_see(open_socket):
    seen = []

    class Adding(JsonWebsocketConsumer):
        channel_session_user = True

        def connect(self, message, **kwargs):
            message["added"] = str(message.user)

        disconnect = connect

    class Plain(JsonWebsocketConsumer):
        def connect(self, message, **kwargs):
            seen.append((message.channel.name, "added" in message, hasattr(message, "user")))

        disconnect = connect

    class Two(WebsocketDemultiplexer):
        consumers = {"a": Adding, "b": Plain}

    socket = open_socket(Two.as_route())
    socket.connect()
    socket.disconnect()

    assert seen == [("websocket.connect", False, False), ("websocket.disconnect", False, False)]


def test_one_class_may_serve_several_streams(open_socket):
    class Two(WebsocketDemultiplexer):
        consumers = {"a": Echo, "b": Echo}

    socket = open_socket(Two.as_route())
    socket.connect()

    for stream in ("a", "b"):
        assert text_of(socket.send(frame(stream, {}))) == [{"stream": stream, "payload": {"echo": {}}}]


def test_what_a_stream_sends_to_a_group_goes_on_its_stream_and_over_the_layer_of_the_socket(open_socket, make_site):
    class Sending(JsonWebsocketConsumer):
        groups = ["room"]

        def receive(self, content, multiplexer, **kwargs):
            self.group_send("room", content)
            multiplexer.group_send("room", "other", content)
            self.send({"last": True}, close=4001)

    class One(WebsocketDemultiplexer):
        consumers = {"a": Sending}

    default = make_site()
    socket = open_socket(site=make_site([One.as_route()], alias="second"))
    default.layer.group_add("room", socket.reply_channel)
    socket.connect()
    *frames, end = socket.send(frame("a", {"b": 1}))

    # What goes to the socket alone leaves with the rest, and groups are reached in the order of the sends.
    assert sorted(text_of(frames), key=str) == [
        {"stream": "a", "payload": {"b": 1}},
        {"stream": "a", "payload": {"last": True}},
        {"stream": "other", "payload": {"b": 1}},
    ]
    assert end == {"close": 4001}
    assert default.received(socket.reply_channel) == []


def test_from_outside_the_multiplexer_sends_over_the_default_layer(make_site):
    site = make_site()
    site.layer.group_add("room", site.reply_channel)

    WebsocketMultiplexer.group_send("room", "a", {"b": 1})
    WebsocketMultiplexer.group_send("room", "a", {}, close=True)

    first, last = site.received(site.reply_channel)
    assert text_of([first]) == [{"stream": "a", "payload": {"b": 1}}]
    assert last["close"] is True


def test_a_multiplexer_of_ones_own_writes_json_in_its_own_way(open_socket):
    class Loud(WebsocketMultiplexer):
        @classmethod
        def encode_json(cls, content):
            return json.dumps(content).upper()

    class One(WebsocketDemultiplexer):
        consumers = {"echo": Echo}
        multiplexer_class = Loud

    socket = open_socket(One.as_route())

    assert socket.connect()[1:] == [{"text": '{"STREAM": "ECHO", "PAYLOAD": {"HELLO": "ECHO"}}'}]


def test_what_belongs_to_no_stream_cannot_be_sent(open_socket):
    errors = []

    def keep(send):
        with pytest.raises(SendNotAvailableOnDemultiplexer) as caught:
            send()
        errors.append(str(caught.value))

    class Plain(WebsocketConsumer):
        def connect(self, message, **kwargs):
            keep(lambda: self.send("text"))

    class One(WebsocketDemultiplexer):
        consumers = {"a": Plain}

        def connect(self, message, **kwargs):
            super().connect(message, **kwargs)
            keep(lambda: self.send({}))
            keep(lambda: self.group_send("room", "a", {}))

    assert open_socket(One.as_route()).connect() == ACCEPTED
    assert len(errors) == 3
    assert all(".group_send(name, stream, payload)" in error or "multiplexer" in error for error in errors)


# How the method of a stream may end


def test_a_stream_may_close_its_socket(open_socket):
    class Closing(JsonWebsocketConsumer):
        def receive(self, content, **kwargs):
            raise WebsocketCloseException(4001)

    class One(WebsocketDemultiplexer):
        consumers = {"a": Closing}

    socket = open_socket(One.as_route())
    socket.connect()

    assert socket.send(frame("a", {})) == [{"close": 4001}]


def test_a_frame_of_a_stream_may_be_consumed_later(open_socket):
    tries = []

    class Later(JsonWebsocketConsumer):
        def receive(self, content, **kwargs):
            tries.append(content)
            if len(tries) < 3:
                raise ConsumeLater

    class One(WebsocketDemultiplexer):
        consumers = {"a": Later}

    socket = open_socket(One.as_route())
    socket.connect()
    socket.send(frame("a", {"b": 1}))

    assert tries == [{"b": 1}] * 3


def test_a_frame_that_a_stream_refuses_is_answered_on_it(open_socket):
    def refuse(message, multiplexer, **kwargs):
        if "text" in message:
            raise FrameRefused("gone", "There is no row 7.", pk=7)

    class Refusing(JsonWebsocketConsumer):
        def receive(self, content, **kwargs):
            refuse(self.message, **kwargs)

    class Two(WebsocketDemultiplexer):
        consumers = {"a": Refusing, "b": refuse}

    socket = open_socket(Two.as_route())
    socket.connect()

    for stream in ("a", "b"):
        answer = {"error": "gone", "detail": "There is no row 7.", "pk": 7}
        assert text_of(socket.send(frame(stream, {}))) == [{"stream": stream, "payload": answer}]


# Frames that make no sense

MALFORMED = [
    ("[]", "malformed", 'A frame is {"stream": …, "payload": …}, not [].'),
    ("1", "malformed", 'A frame is {"stream": …, "payload": …}, not 1.'),
    ("null", "malformed", 'A frame is {"stream": …, "payload": …}, not null.'),
    ('"echo"', "malformed", 'A frame is {"stream": …, "payload": …}, not "echo".'),
    ("{}", "malformed", 'A frame is {"stream": …, "payload": …}, not {}.'),
    ('{"payload": {}}', "malformed", 'A frame is {"stream": …, "payload": …}, not {"payload": {}}.'),
    (frame("x", {}), "unknown_stream", 'There is no stream "x"; there are: "echo", "counter", "function".'),
    (frame(None, {}), "unknown_stream", 'There is no stream null; there are: "echo", "counter", "function".'),
    (frame([], {}), "unknown_stream", 'There is no stream []; there are: "echo", "counter", "function".'),
    (frame({}, {}), "unknown_stream", 'There is no stream {}; there are: "echo", "counter", "function".'),
    (frame(1, {}), "unknown_stream", 'There is no stream 1; there are: "echo", "counter", "function".'),
    ("", "not_json", "This frame is no JSON: Expecting value: line 1 column 1 (char 0)."),
]
PAYLOADS = [
    ('{"stream": "counter"}', "The payload of a frame is an object, and is missing here."),
    (frame("counter", []), "The payload of a frame is an object, not []."),
    (frame("counter", None), "The payload of a frame is an object, not null."),
    (frame("counter", "text"), 'The payload of a frame is an object, not "text".'),
]


@pytest.mark.parametrize(("text", "error", "detail"), MALFORMED)
def test_a_frame_of_no_stream_is_answered_and_the_socket_stays(socket, caplog, text, error, detail):
    assert text_of(socket.send(text)) == [{"error": error, "detail": detail}]
    assert socket.session == {}
    assert socket.send(frame("echo", {})) != []
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(("text", "detail"), PAYLOADS)
def test_a_payload_that_is_no_object_is_answered_on_its_stream(socket, text, detail):
    answer = {"error": "malformed", "detail": detail}

    assert text_of(socket.send(text)) == [{"stream": "counter", "payload": answer}]
    assert socket.session == {}


def test_bytes_are_answered(socket):
    (answer,) = text_of(socket.consume("websocket.receive", bytes=b"{}"))

    assert answer["error"] == "not_text"


def test_answers_to_what_is_long_are_short(socket):
    for text in (frame("x" * 10**5, {}), frame("echo", "x" * 10**5), json.dumps(["x"] * 10**4)):
        (answer,) = socket.send(text)
        assert len(answer["text"]) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["stream", "payload"]), inner),
    max_leaves=10,
)
STREAM = st.sampled_from([*Streams.consumers]) | JSON
FRAME = (
    st.fixed_dictionaries({"stream": STREAM, "payload": st.dictionaries(st.text(), JSON)})
    | st.fixed_dictionaries({"stream": STREAM, "payload": JSON})
    | JSON
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=FRAME)
def test_any_json_is_either_handed_on_whole_or_answered_by_name(socket, caplog, content):
    caplog.clear()
    (answer,) = text_of(socket.send(json.dumps(content)))

    stream = content.get("stream") if isinstance(content, dict) else None
    payload = content.get("payload") if isinstance(content, dict) else None
    if not isinstance(stream, str) or stream not in Streams.consumers:
        assert answer.keys() == {"error", "detail"}
        assert answer["error"] in ("malformed", "unknown_stream")
    elif not isinstance(payload, dict):
        assert answer["stream"] == stream
        assert answer["payload"]["error"] == "malformed"
    elif stream == "echo":
        assert answer == {"stream": "echo", "payload": {"echo": payload}}
    elif stream == "function":
        assert json.loads(answer["payload"]["text"]) == payload
    else:
        assert answer["payload"].keys() == {"count", "room"}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text() | st.text(st.sampled_from('{}[]":,1e9.-tnul stream')))
def test_any_text_is_answered_and_never_a_failure(socket, caplog, text):
    caplog.clear()

    assert len(socket.send(text)) == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@settings(max_examples=100, deadline=None)
@given(stream=st.text(), payload=JSON)
def test_what_is_encoded_can_be_decoded(stream, payload):
    content = WebsocketMultiplexer.encode(stream, payload)

    assert JsonWebsocketConsumer.decode_json(content["text"]) == {"stream": stream, "payload": payload}


def test_brackets_nested_without_end_are_answered(socket, caplog):
    for depth in (100, 500, 900, 1000, 2000, 10**5):
        nested = '{"a":' * depth + "1" + "}" * depth
        (answer,) = socket.send(f'{{"stream": "counter", "payload": {nested}}}')
        assert json.loads(answer["text"]).keys() in ({"error", "detail"}, {"stream", "payload"})
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
