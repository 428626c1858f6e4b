import json

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

PAGE = "docs/generic.md"


def text_of(messages):
    return [json.loads(message["text"]) for message in messages if "text" in message]


@pytest.fixture
def cookie():
    client = Client()
    client.force_login(get_user_model().objects.create_user("anna"))
    (morsel,) = client.cookies.values()
    return f"{morsel.key}={morsel.value}"


@pytest.fixture
def open_at(serve, open_socket):
    """Return a function that opens a socket to the site of the block that defines a name."""

    def open_at(block, path, **options):
        return open_socket(serve(PAGE, block), path, **options)

    return open_at


@pytest.mark.parametrize("serve_block", [("docs/generic.md", "RoomConsumer"), ("docs/generic.md", "disconnect")])
def test_both_styles_do_the_same(serve, open_socket, cookie, serve_block):
    site = serve(*serve_block)
    anna = open_socket(site, "/rooms/hall/", cookie=cookie)
    ben, elsewhere = open_socket(site, "/rooms/hall/"), open_socket(site, "/rooms/attic/")
    for socket in (anna, ben, elsewhere):
        assert socket.connect() == [{"accept": True}]

    said = anna.send('{"a": 1}')
    assert [message["text"] for message in said] == [message["text"] for message in ben.received()]
    assert text_of(said) == [{"user": "anna", "said": {"a": 1}}]
    assert elsewhere.received() == []
    assert text_of(ben.send("nonsense"))[0]["error"] == "not_json"
    assert text_of(ben.send("1")) == [{"user": "AnonymousUser", "said": 1}]

    ben.disconnect()
    assert site.layer.group_channels("room-hall") == [anna.reply_channel]
    foreign = open_socket(site, "/rooms/hall/", origin="http://elsewhere.example")
    assert foreign.connect() == [{"accept": False}]


def test_echo_lets_in_who_is_signed_in(open_at, cookie):
    assert open_at("Echo", "/echo/").connect() == [{"accept": False}]
    socket = open_at("Echo", "/echo/", cookie=cookie)

    assert socket.connect() == [{"accept": True}]
    assert socket.send("a") == [{"text": "a"}]
    assert socket.consume("websocket.receive", bytes=b"a") == [{"bytes": b"a"}]


def test_a_rule_of_ones_own_lets_in_the_partner_only(open_at):
    partner = open_at("PartnersConsumer", "/partners/", origin="https://partner.example")

    assert partner.connect() == [{"accept": True}]
    assert open_at("PartnersConsumer", "/partners/").connect() == [{"accept": False}]


def test_the_halver_answers_what_it_cannot_follow(open_at):
    socket = open_at("Halver", "/half/")
    socket.connect()

    assert text_of(socket.send("4")) == [2]
    assert socket.send("3") == [{"text": '{"number": 3, "error": "odd", "detail": "3 cannot be halved."}'}]
    assert text_of(socket.send("[]")) == [{"error": "no_number", "detail": "A frame is a whole number."}]


def test_two_streams_share_a_socket(open_at):
    socket = open_at("Demultiplexer", "/streams/")

    assert text_of(socket.connect()) == [{"stream": "echo", "payload": {"status": "I have just connected"}}]
    for count in (1, 2):
        answers = socket.send('{"stream": "counter", "payload": {}}')
        assert text_of(answers) == [{"stream": "counter", "payload": {"count": count}}]
    answers = socket.send('{"stream": "echo", "payload": {"a": 1}}')
    assert text_of(answers) == [{"stream": "echo", "payload": {"echo": {"a": 1}}}]
    assert text_of(socket.send("[]"))[0].keys() == {"error", "detail"}


def test_reports_are_routed_by_their_kind(serve):
    site = serve(PAGE, "Reports")
    for channel, kind in (("reports.make", "bill"), ("reports.make", "list"), ("reports.forget", "list")):
        site.layer.send(channel, {"number": 1, "kind": kind})
    site.work()

    made = [{"title": "Bill 1"}, {"title": "Report 1"}, {"forgotten": 1}]
    assert sorted(site.received("reports.made"), key=str) == sorted(made, key=str)


def test_loud_is_decorated(open_at):
    socket = open_at("Loud", "/loud/")
    socket.connect()

    assert socket.send("hello") == [{"text": "HELLO"}]
