"""What servers say of the same bytes, as tables of plain values. The servers themselves: ``tests/servers``."""

import functools

import pytest

from channels.interface.scope import BadTarget, joins_root_path, unify

PAGE = {"type": "http", "method": "GET", "path": "/"}


def of_target(raw_path, path=None, query=b"", **scope):
    """Return a scope as a server makes it that takes the whole target for the path."""
    path = raw_path.decode("latin-1") if path is None else path
    return {**PAGE, "raw_path": raw_path, "path": path, "query_string": query, **scope}


def test_all_else_stays_as_it_is():
    scope = of_target(b"/%C3%A9", "/é", b"x=1", http_version="2", extensions={}, root_path="")

    assert unify(scope) == {**scope, "headers": [], "scheme": "http", "client": None, "server": None}


def test_a_server_may_say_next_to_nothing():
    assert unify(PAGE) == PAGE | {
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "scheme": "http",
        "client": None,
        "server": None,
    }


@pytest.mark.parametrize(
    ("raw_path", "query", "expected"),
    [
        (b"/a/b", b"c=d", ("/a/b", b"c=d")),
        (b"http://host/a%20b", b"c", ("/a b", b"c")),
        (b"HTTP://host:80//a", b"", ("//a", b"")),
        (b"http://host", b"c", ("/", b"c")),
        (b"/http://host/", b"", ("/http://host/", b"")),
        (b"/a#b", b"c", ("/a", b"")),
        (b"/a", b"b#c", ("/a", b"b")),
        (b"/%C3%A9#", b"", ("/é", b"")),
        (b"*", b"", ("*", b"")),
    ],
)
def test_the_path_is_what_follows_the_host_and_precedes_a_fragment(raw_path, query, expected):
    # Bytes that nothing has to be done with are decoded by the server.
    scope = unify(of_target(raw_path, query=query))

    assert (scope["path"], scope["query_string"]) == expected


@pytest.mark.parametrize(
    ("raw_path", "query"),
    [
        (b"", b""),
        (b"", b"x"),
        (b"a/b", b""),
        (b"host:80", b""),
        (b"%2Fa", b""),
        (b"#", b""),
        (b"**", b""),
        (b"http:/a", b""),
        (b"http:///a", b""),
        (b"://host/a", b""),
        (b"/a b", b""),
        (b"/a\n", b""),
        (b"/\x7f", b""),
        (b"/\xc3\xa9", b""),
        (b"/", b"\xff"),
        (b"/", b"a b"),
        (b"http://host/\xff", b""),
    ],
)
def test_what_is_no_target_is_refused(raw_path, query):
    with pytest.raises(BadTarget):
        unify(of_target(raw_path, query=query))


# The root path


@pytest.mark.parametrize("root_path", ["/app", "/app/", "app", "//app//"])
@pytest.mark.parametrize(
    ("path", "whole"),
    [
        ("/app/page", "/app/page"),
        ("/page", "/app/page"),
        ("/app", "/app"),
        ("/", "/app/"),
        ("/application", "/app/application"),
        ("*", "*"),
    ],
)
def test_the_path_begins_with_the_root_path(root_path, path, whole):
    of_the_server = unify(of_target(path.encode(), root_path=root_path))
    of_the_settings = unify(of_target(path.encode()), script_name=root_path)
    joined = unify(of_target(root_path.encode() + path.encode(), root_path=root_path), joins=True)

    for scope in of_the_server, of_the_settings, joined:
        assert (scope["path"], scope["root_path"]) == (whole, "/app")


@pytest.mark.parametrize("root_path", ["", "/", None])
def test_no_root_path_changes_nothing(root_path):
    scope = unify(of_target(b"/app/page", root_path=root_path), script_name="/")

    assert (scope["path"], scope["root_path"]) == ("/app/page", "")


def test_the_settings_win_over_the_server_as_they_do_for_djangos_pages():
    for path in "/inner/page", "/page", "/app/page":
        scope = unify(of_target(path.encode(), root_path="/inner"), script_name="/app")

        assert (scope["path"], scope["root_path"]) == ("/app/page", "/app")


def test_a_header_names_the_root_path_only_where_the_settings_say_so():
    scope = of_target(b"/page", root_path="/app", headers=[(b"daphne-root-path", b"/%C3%A9")])

    found = [unify(scope), unify(scope, trusts_header=True), unify(scope, script_name="/x", trusts_header=True)]

    assert [scope["root_path"] for scope in found] == ["/app", "/é", "/x"]
    assert [scope["path"] for scope in found] == ["/app/page", "/é/page", "/x/page"]
    assert [scope["headers"] for scope in found] == [[], [], []]


def test_uvicorn_is_known_by_what_it_gives_to_receive_with():
    async def receive():
        pass

    cycle = type("RequestResponseCycle", (), {"__module__": "uvicorn.protocols.http.h11_impl", "receive": receive})

    assert joins_root_path(cycle().receive)
    assert not any(map(joins_root_path, [receive, functools.partial(receive), [].append, {}.get]))


# The rest


def test_headers_are_sorted_by_name_and_those_of_one_name_keep_their_order():
    headers = [
        (b"x-b", b"2"),
        (b"x_b", b"0"),
        (b"host", b"x"),
        (b"x-b", b"\t 1\xff "),
        (b"cookie", b"a"),
        (b"x-b", b""),
    ]

    assert unify({**PAGE, "headers": headers})["headers"] == [
        (b"cookie", b"a"),
        (b"host", b"x"),
        (b"x-b", b"2"),
        (b"x-b", b"1\xff"),
        (b"x-b", b""),
    ]


@pytest.mark.parametrize(
    ("scheme", "page", "socket"),
    [
        ("http", "http", "ws"),
        ("https", "https", "wss"),
        ("ws", "http", "ws"),
        ("wss", "https", "wss"),
        ("HTTPS", "http", "ws"),
        ("javascript", "http", "ws"),
        ("", "http", "ws"),
        (None, "http", "ws"),
    ],
)
def test_a_scheme_is_one_of_four(scheme, page, socket):
    assert unify({**PAGE, "scheme": scheme})["scheme"] == page
    assert unify({**PAGE, "type": "websocket", "scheme": scheme})["scheme"] == socket


@pytest.mark.parametrize(
    ("told", "address"),
    [
        (("192.0.2.7", 80), ["192.0.2.7", 80]),
        (["2001:db8::7", "80"], ["2001:db8::7", 80]),
        (("192.0.2.7", 0), ["192.0.2.7", 0]),
        # What a proxy says is the port of its client, and not its own.
        (("192.0.2.7:81", 0), ["192.0.2.7", 81]),
        (("[2001:db8::7]:81", 0), ["2001:db8::7", 81]),
        (("[2001:db8::7]", 0), ["2001:db8::7", 0]),
        (("2001:db8::7", 0), ["2001:db8::7", 0]),
        (("unknown", 0), ["unknown", 0]),
        # A Unix socket.
        (("", "0"), None),
        (("/run/site.sock", "0"), None),
        (("/run/site.sock", None), None),
        (None, None),
    ],
)
def test_an_address_is_text_and_a_number(told, address):
    scope = unify({**PAGE, "client": told, "server": told})

    assert (scope["client"], scope["server"]) == (address, address)
