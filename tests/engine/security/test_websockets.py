import pytest
from django.core.exceptions import DisallowedHost

from channels import route
from channels.handler import AsgiRequest
from channels.message import Message
from channels.security.websockets import BaseOriginValidator, allowed_hosts_only, any_origin
from channels.sessions import channel_session

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
    ([b"http://chat.example."], True),
    ([b"http://chat.example.:8000"], True),
    ([b"http://A.Wild.Example."], True),
    # Hosts that look like it.
    ([b"http://elsewhere.example"], False),
    ([b"http://chat.example.elsewhere.example"], False),
    ([b"http://elsewherechat.example"], False),
    ([b"http://a.chat.example"], False),
    ([b"http://notwild.example"], False),
    ([b"http://chat.exampl"], False),
    ([b"http://chat-example"], False),
    ([b"http://chat.example.."], False),
    ([b"http://chat_.wild.example"], False),
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


@pytest.mark.parametrize(
    ("consumer", "advice"),
    # The decorator holds whatever the setting says.
    [(connect, "any_origin"), (connect.__wrapped__, "CHANNELS_ALLOWED_ORIGINS and any_origin")],
    ids=["decorated", "plain"],
)
def test_why_a_socket_is_refused_is_logged_with_what_to_do(connects, caplog, consumer, advice):
    connects(b"http://elsewhere.example\nforged", b"\xff", path="/chat/\nforged", consumer=consumer)

    [record] = caplog.records
    assert record.getMessage() == (
        r"Socket '/chat/\nforged' refused: its Origin is http://elsewhere.example\nforged and \xff, "
        "allowed are http and https pages of chat.example, .wild.example, [::1], 127.0.0.1, xn--mnchen-3ya.example. "
        f"Add the host to ALLOWED_HOSTS if the page is yours; if not, see {advice}."
    )


def test_that_the_origin_is_missing_is_logged_too(connects, settings, caplog):
    settings.ALLOWED_HOSTS = []
    connects(scheme="wss")

    assert "its Origin is missing, allowed are https pages of no host." in caplog.text


@pytest.mark.parametrize("header", ["https", "http", "https, http", "http, https", " https ", "HTTPS", "", None])
@pytest.mark.parametrize("encrypted", [True, False])
def test_a_proxy_says_of_a_socket_what_it_says_of_a_page(make_site, settings, header, encrypted):
    settings.ALLOWED_HOSTS, settings.SECURE_PROXY_SSL_HEADER = HOSTS, ("HTTP_X_FORWARDED_PROTO", "https")
    forwarded = [[b"x-forwarded-proto", header.encode()]] if header is not None else []
    content = {"path": "/", "headers": headers(b"http://chat.example") + forwarded}
    request = {"method": "GET", "scheme": ["http", "https"][encrypted], **content}
    page = AsgiRequest(Message(request, "http.request", None))
    socket = Socket(make_site([route("websocket.connect", connect)]), scheme=["ws", "wss"][encrypted], **content)

    assert socket.connect() == [{"accept": not page.is_secure()}]


# What stands in the address of a page and thus in its Host header, and what may stand in ALLOWED_HOSTS.
PAGES = [
    "chat.example",
    "CHAT.Example",
    "chat.example.",
    "chat.example..",
    ".chat.example",
    "a.chat.example",
    "a.chat.example.",
    "a.b.chat.example:8000",
    "chat.example:80",
    "chat.example.:443",
    "chat.example:65535",
    "notchat.example",
    "chat_room.example",
    "a_b.chat.example",
    "chat-room.example",
    "xn--mnchen-3ya.example",
    "XN--MNCHEN-3YA.example.",
    "localhost",
    "LOCALHOST.",
    "a.localhost:8000",
    "127.0.0.1",
    "127.0.0.1:8000",
    "127.0.0.1.",
    "127.1",
    "[::1]",
    "[::1]:8000",
    "[::1].",
    "[::FFFF:127.0.0.1]",
    "[2001:DB8::1]:8000",
    "[fe80::1%eth0]",
    "::1",
    "chat.example@evil.example",
    "chat.example%2e",
    "chat.example:",
    "chat.example:x",
    "*",
]
ALLOWED = [
    [],
    ["*"],
    ["chat.example"],
    ["CHAT.EXAMPLE"],
    [".chat.example"],
    ["chat.example."],
    ["chat_room.example", ".example", "a_b.chat.example"],
    ["xn--mnchen-3ya.example"],
    ["münchen.example"],
    ["localhost", "127.0.0.1", "[::1]"],
    [".localhost"],
    ["::1", "[2001:db8::1]", "[::ffff:127.0.0.1]"],
    ["chat.example:8000", "https://chat.example"],
    [""],
]


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("hosts", ALLOWED, ids=str)
def test_the_sockets_of_a_page_are_allowed_where_django_allows_the_page(connects, settings, hosts, debug):
    settings.ALLOWED_HOSTS, settings.DEBUG = hosts, debug

    assert {page: connects(f"https://{page}".encode()) for page in PAGES} == {
        page: allows({"host": page}) for page in PAGES
    }


def test_behind_a_proxy_the_host_is_that_of_the_page(connects, settings):
    settings.ALLOWED_HOSTS, settings.USE_X_FORWARDED_HOST = ["chat.example"], True

    for page in "chat.example", "chat.example.:8000", "inner.example":
        assert connects(f"https://{page}".encode()) is allows({"host": "inner.example", "x-forwarded-host": page})


def allows(headers):
    """Return whether Django answers a request with these headers."""
    headers = [[name.encode(), value.encode()] for name, value in headers.items()]
    request = AsgiRequest(Message({"method": "GET", "path": "/", "headers": headers}, "http.request", None))
    try:
        return bool(request.get_host())
    except DisallowedHost:
        return False


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


# Without a decorator


@pytest.mark.parametrize(
    ("listed", "origins", "allowed"),
    [
        ([], [b"http://chat.example"], True),
        ([], [b"http://elsewhere.example"], False),
        ([], [b"null"], False),
        ([], [], False),
        (["https://elsewhere.example"], [b"https://Elsewhere.example"], True),
        (["https://elsewhere.example"], [b"https://chat.example"], True),
        (["https://elsewhere.example"], [b"http://elsewhere.example"], False),
        (["https://elsewhere.example"], [b"https://elsewhere.example:8000"], False),
        (["https://elsewhere.example"], [b"https://elsewhere.example", b"https://elsewhere.example"], False),
        (["https://elsewhere.example"], [], False),
        (["https://*.elsewhere.example"], [b"https://a.elsewhere.example"], True),
        (["https://*.elsewhere.example"], [b"https://aelsewhere.example"], False),
        (["https://*.elsewhere.example"], [b"https://a.example/.elsewhere.example"], False),
        (["https://*.elsewhere.example"], [b"https://a.example#.elsewhere.example"], False),
        (["https://[::2]:8000"], [b"https://[::2]:8000"], True),
        (["https://[::2]:8000"], [b"https://[::2]"], False),
        (["*"], [b"null"], True),
        (["*"], [], True),
    ],
)
def test_each_consumer_takes_sockets_of_the_sites_own_pages_and_of_those_that_a_setting_names(
    connects, settings, listed, origins, allowed
):
    settings.CHANNELS_ALLOWED_ORIGINS = listed

    assert connects(*origins, consumer=connect.__wrapped__) is allowed


def test_a_setting_that_is_no_list_of_origins_opens_the_site_to_nobody(make_site, settings, caplog):
    site = make_site([route("websocket.connect", connect.__wrapped__)])
    # As a text it has an asterisk in it.
    for wrong in "https://*.elsewhere.example", ["elsewhere.example"]:
        settings.CHANNELS_ALLOWED_ORIGINS = wrong

        assert Socket(site, headers=headers(b"http://a.example")).connect() == [{"close": 1011}]
        assert f"CHANNELS_ALLOWED_ORIGINS is {wrong!r}; expected a list of origins" in caplog.text


def test_a_setting_for_all_consumers_opens_none_with_a_rule_of_its_own(connects, settings):
    settings.CHANNELS_ALLOWED_ORIGINS = ["*"]

    assert not connects(b"http://elsewhere.example")
    assert not connects(b"http://site2", consumer=OnlyOdd(connect.__wrapped__))


def test_a_consumer_may_be_open_to_all(connects):
    for consumer in any_origin(connect.__wrapped__), channel_session(any_origin(connect.__wrapped__)):
        assert connects(b"http://elsewhere.example", consumer=consumer)
        assert connects(consumer=consumer)


def test_the_rule_without_a_decorator_does_not_run_the_consumer_for_others(connects, caplog):
    runs = []

    assert not connects(b"http://elsewhere.example", consumer=runs.append)
    assert runs == []
    assert "its Origin is http://elsewhere.example" in caplog.text


def test_what_code_sends_to_connect_consumers_comes_from_no_page(make_site):
    runs = []
    make_site([route("websocket.connect", runs.append)]).consume("websocket.connect", path="/")

    assert len(runs) == 1


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


@pytest.mark.parametrize("between", [lambda consumer: consumer, channel_session])
@pytest.mark.parametrize("outer", [any_origin, OnlyOdd])
def test_of_two_rules_both_hold(connects, outer, between):
    consumer = outer(between(allowed_hosts_only(connect.__wrapped__)))

    assert not connects(b"http://elsewhere1", consumer=consumer)
    assert connects(b"http://chat.example:1", consumer=consumer)
    if outer is OnlyOdd:
        assert not connects(b"http://chat.example", consumer=consumer)


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
