import pytest

from channels import route
from channels.security.websockets import BaseOriginValidator, allowed_hosts_only

from ..sites import Socket

HOSTS = ["chat.example", ".wild.example", "[::1]", "127.0.0.1", "xn--mnchen-3ya.example"]

# What a browser may name as its page, one value for each Origin header, and whether its socket may connect.
CORPUS = [
    # The pages of the site itself.
    ([b"http://chat.example"], True),
    ([b"https://chat.example"], True),
    ([b"http://chat.example:8000"], True),
    ([b"https://chat.example:443"], True),
    ([b"HTTP://CHAT.EXAMPLE"], True),
    ([b"http://wild.example"], True),
    ([b"http://a.wild.example"], True),
    ([b"http://a.b.wild.example:1"], True),
    ([b"http://[::1]"], True),
    ([b"http://[::1]:8000"], True),
    ([b"http://127.0.0.1:8000"], True),
    ([b"https://xn--mnchen-3ya.example"], True),
    # Hosts that look like it.
    ([b"http://elsewhere.example"], False),
    ([b"http://chat.example.elsewhere.example"], False),
    ([b"http://elsewherechat.example"], False),
    ([b"http://a.chat.example"], False),
    ([b"http://notwild.example"], False),
    ([b"http://chat.exampl"], False),
    ([b"http://chat.example."], False),
    ([b"http://chat-example"], False),
    ([b"http://127.0.0.2"], False),
    ([b"http://2130706433"], False),
    ([b"http://[::2]"], False),
    ([b"http://::1"], False),
    ([b"https://xn--mnchen-3ya.elsewhere.example"], False),
    (["https://münchen.example".encode()], False),
    (["http://сhat.example".encode()], False),
    # No origin of a page.
    ([], False),
    ([b""], False),
    ([b"null"], False),
    ([b"*"], False),
    ([b"chat.example"], False),
    ([b"//chat.example"], False),
    ([b"http://"], False),
    ([b"file://chat.example"], False),
    ([b"ws://chat.example"], False),
    ([b"javascript://chat.example"], False),
    ([b"chrome-extension://chat.example"], False),
    # Not the form of one: scheme, host, port and nothing else.
    ([b"http://chat.example/"], False),
    ([b"http://chat.example/path"], False),
    ([b"http://chat.example?query"], False),
    ([b"http://chat.example#fragment"], False),
    ([b"http://user@chat.example"], False),
    ([b"http://chat.example@elsewhere.example"], False),
    ([b"http://elsewhere.example#@chat.example"], False),
    ([b"http://elsewhere.example\\.wild.example"], False),
    ([b"http://elsewhere.example%2f.wild.example"], False),
    ([b"http://elsewhere.example .wild.example"], False),
    ([b"http://chat.example:port"], False),
    ([b"http://chat.example:0"], False),
    ([b"http://chat.example:65536"], False),
    ([b"http://chat.example:-1"], False),
    ([b"http://[::1"], False),
    ([b"http://chat\t.example"], False),
    ([b"http://chat.example\n"], False),
    ([b" http://chat.example"], False),
    ([b"http://chat.example\x00"], False),
    # More than one.
    ([b"http://chat.example http://elsewhere.example"], False),
    ([b"http://chat.example,http://elsewhere.example"], False),
    ([b"http://chat.example", b"http://elsewhere.example"], False),
    ([b"http://elsewhere.example", b"http://chat.example"], False),
    ([b"http://chat.example", b"http://chat.example"], False),
]


@allowed_hosts_only
def connect(message):
    message.reply_channel.send({"accept": True})


def headers(*origins):
    return [[b"host", b"chat.example"], *([b"origin", origin] for origin in origins)]


@pytest.fixture
def connects(make_site, settings):
    """Return a function that says whether a socket with some Origin headers gets in."""
    settings.ALLOWED_HOSTS = HOSTS

    def connects(*origins, consumer=connect, **content):
        socket = Socket(make_site([route("websocket.connect", consumer)]), headers=headers(*origins), **content)
        answer = socket.connect()
        assert answer in ([{"accept": True}], [{"accept": False}])
        return answer == [{"accept": True}]

    return connects


def test_the_corpus_is_not_too_small():
    assert len(CORPUS) >= 40


@pytest.mark.parametrize(("origins", "allowed"), CORPUS, ids=lambda value: repr(value)[:60])
def test_sockets_connect_from_our_own_pages_only(connects, origins, allowed):
    assert connects(*origins) is allowed


def test_the_consumer_does_not_run_for_others(connects):
    runs = []

    @allowed_hosts_only
    def consumer(message):
        runs.append(message)

    assert not connects(b"http://elsewhere.example", consumer=consumer)
    assert runs == []


def test_an_encrypted_socket_is_for_encrypted_pages(connects):
    assert connects(b"https://chat.example", scheme="wss")
    assert not connects(b"http://chat.example", scheme="wss")


def test_why_a_socket_is_refused_is_logged_with_what_to_do(connects, caplog):
    connects(b"http://elsewhere.example\nforged", b"\xff", path="/chat/\nforged")

    [record] = caplog.records
    assert record.getMessage() == (
        r"Socket '/chat/\nforged' refused: its Origin is http://elsewhere.example\nforged and \xff, "
        "allowed are http and https pages of chat.example, .wild.example, [::1], 127.0.0.1, xn--mnchen-3ya.example. "
        "Add the host to ALLOWED_HOSTS if the page is yours."
    )


def test_that_the_origin_is_missing_is_logged_too(connects, settings, caplog):
    settings.ALLOWED_HOSTS = []
    connects(scheme="wss")

    assert "its Origin is missing, allowed are https pages of no host." in caplog.text


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize(
    "origin", [b"http://localhost:8000", b"http://a.localhost", b"http://127.0.0.1", b"http://[::1]"]
)
def test_without_allowed_hosts_this_machine_may_connect_while_debug_is_on(connects, settings, debug, origin):
    settings.DEBUG, settings.ALLOWED_HOSTS = debug, []

    assert connects(origin) is debug
    assert not connects(b"http://elsewhere.example")


def test_a_site_may_allow_every_host_and_still_wants_a_page(connects, settings):
    settings.ALLOWED_HOSTS = ["*"]

    assert connects(b"http://elsewhere.example")
    assert not connects()
    assert not connects(b"null")


def test_the_name_of_the_header_may_be_written_in_any_case(make_site, settings):
    settings.ALLOWED_HOSTS = HOSTS
    site = make_site([route("websocket.connect", connect)])

    assert Socket(site, headers=[[b"Origin", b"http://chat.example"]]).connect() == [{"accept": True}]


# Validators of one's own


class OnlyOdd(BaseOriginValidator):
    def validate_origin(self, message, origin):
        return origin is None or origin.endswith("1")


def test_a_validator_of_ones_own_decides_by_message_and_origin(connects):
    consumer = OnlyOdd(connect.__wrapped__)

    assert connects(b"http://site1", consumer=consumer)
    assert not connects(b"http://site2", consumer=consumer)
    for unreadable in ([], [b"http://site2", b"http://site2"], [b"\xff"]):
        assert connects(*unreadable, consumer=consumer)


def test_a_validator_stands_on_methods_too_and_keeps_the_name(connects):
    class Consumers:
        @OnlyOdd
        def connect(self, message):
            """Let somebody in."""
            assert isinstance(self, Consumers)
            message.reply_channel.send({"accept": True})

    assert connects(b"http://site1", consumer=Consumers().connect)
    assert not connects(b"http://site2", consumer=Consumers().connect)
    assert (Consumers.connect.__name__, Consumers.connect.__doc__) == ("connect", "Let somebody in.")


def test_a_validator_that_decides_nothing_says_what_it_must_define(make_site, caplog):
    site = make_site([route("websocket.connect", BaseOriginValidator(connect.__wrapped__))])
    site.consume("websocket.connect", headers=headers(b"http://chat.example"))

    assert "BaseOriginValidator must define validate_origin(message, origin)." in caplog.text
