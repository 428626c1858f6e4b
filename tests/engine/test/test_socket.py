import pytest
from django.contrib.auth import get_user_model
from django.test import Client as DjangoClient

from channels import Channel, ConsumeLater, Group, route
from channels.auth import channel_session_user, channel_session_user_from_http
from channels.security.websockets import allowed_hosts_only
from channels.sessions import channel_session
from channels.test import Socket, work


@allowed_hosts_only
@channel_session_user_from_http
def connect(message):
    Group("room").add(message.reply_channel)
    message.channel_session["heard"] = 0
    message.reply_channel.send({"accept": True, "text": '{"hello": "you"}'})


@channel_session_user
def receive(message):
    if message["text"] == "close":
        message.reply_channel.send({"close": 4404})
        return
    message.channel_session["heard"] += 1
    Channel("say").send({"who": message.user.username, "text": message["text"]})


def say(message):
    Group("room").send({"text": f"{message['who']}: {message['text']}"})


@channel_session
def disconnect(message):
    Channel("say").send({"who": "the site", "text": str(message["code"])})


@pytest.fixture
def site(make_site):
    names = {"connect": connect, "receive": receive, "disconnect": disconnect}
    make_site([*(route(f"websocket.{name}", consumer) for name, consumer in names.items()), route("say", say)])


def test_all_that_a_frame_brings_about_is_done(site):
    client = DjangoClient()
    client.force_login(get_user_model().objects.create_user("anna"))
    anna, reader = Socket("/", client), Socket("/")

    assert anna.connect() and reader.connect()
    assert (anna.frames(), reader.frames()) == ([{"hello": "you"}], [{"hello": "you"}])
    assert anna.send("good morning") == reader.frames() == ["anna: good morning"]
    assert anna.session["heard"] == 1


def test_who_has_gone_hears_nothing_and_the_others_hear_of_it(site):
    one, other = Socket(), Socket()
    for socket in (one, other):
        socket.connect()
        socket.frames()
    one.disconnect(code=1001)

    assert (one.frames(), other.frames()) == ([], ["the site: 1001"])


def test_a_close_is_seen_as_it_was_sent(site):
    socket = Socket()
    socket.connect()
    socket.frames()

    assert socket.send("close") == [{"close": 4404}]


def test_a_refused_socket_keeps_the_answer(site):
    socket = Socket()
    socket.browser.set_header("origin", "http://elsewhere.example")

    assert not socket.connect()
    assert socket.received() == [{"accept": False}]


def test_a_socket_without_a_route_is_no_refused_one(make_site):
    make_site([route("websocket.connect", connect, path="^/room/$")])

    with pytest.raises(AssertionError, match=r"No route of the layer 'default' takes the message on 'websocket.conn"):
        Socket("/rooom/").connect()


def test_bytes_and_json_are_sent_and_come_back(make_site):
    def echo(message):
        message.reply_channel.send({key: message[key] for key in ("text", "bytes") if key in message})

    make_site([route("websocket.receive", echo)])
    socket = Socket()

    assert socket.send({"a": [1]}) == [{"a": [1]}]
    assert socket.send(bytes=b"\x00") == [b"\x00"]
    assert socket.send("{") == ["{"]


def test_what_a_consumer_raises_fails_the_test(make_site):
    def fail(message):
        raise LookupError("on purpose")

    make_site([route("websocket.receive", fail)])
    with pytest.raises(LookupError, match="on purpose"):
        Socket().send("x")


def test_work_says_how_much_there_was(site):
    for text in "ab":
        Channel("say").send({"who": "anna", "text": text})

    assert (work(), work()) == (2, 0)


def test_work_without_an_end_is_ended(make_site):
    make_site([route("ping", lambda message: Channel("ping").send({}))])
    Channel("ping").send({})

    with pytest.raises(AssertionError, match="still send messages to each other after 50"):
        work(most=50)


def test_a_message_that_never_finds_its_time_is_dropped_as_by_a_worker(make_site):
    def later(message):
        raise ConsumeLater

    make_site([route("ping", later)])
    Channel("ping").send({})

    assert work() == 11
