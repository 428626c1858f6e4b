"""One request means one message: the same bytes to every server, and what their consumers are told."""

import contextlib
import datetime
import ipaddress
import itertools
import json
import re
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ..baking import REPOSITORY
from .processes import APPLICATION, COMMANDS, PATIENCE, ServerProcess

# The servers, uvicorn with each of its parsers. A row names those that refuse its bytes themselves, or have us do so.
DAPHNE, H11, HTTPTOOLS, HYPERCORN, GRANIAN = SERVERS = [
    "daphne",
    "uvicorn --http h11",
    "uvicorn --http httptools",
    "hypercorn",
    "granian",
]
EVERYONE = set(SERVERS)
REFUSED = "refused"
PAGE, SOCKET = "page", "socket"
KINDS = [PAGE, SOCKET]
HANDSHAKE = {
    PAGE: b"Connection: close\r\n",
    SOCKET: b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
}
SCHEMES = {PAGE: {False: "http", True: "https"}, SOCKET: {False: "ws", True: "wss"}}
KEYS = {
    PAGE: "body client headers http_version method path query_string root_path scheme server",
    SOCKET: "client headers order path query_string root_path scheme server subprotocols",
}


class Told(dict):
    """The message that a consumer got; ``behind`` is what its route saw of the path."""

    behind = None


@contextlib.contextmanager
def serve(make_folder, options=None, applications=None, tls=None, **environment):
    """Start every server with the site that tells; options and applications are by the server's name."""
    servers = {}
    for server in SERVERS:
        name, *own = server.split()
        # With TLS daphne is not told of its port like this.
        command = ["daphne"] if tls and name == "daphne" else COMMANDS[name][:-1]
        command = [*command, *own, *(options or {}).get(name, ()), (applications or {}).get(name, APPLICATION)]
        servers[server] = ServerProcess(command, make_folder(name), ROUTING="telling", **environment)
        servers[server].tls = tls
    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as pool:
        # All at once, for each takes its time.
        list(pool.map(stack.enter_context, servers.values()))
        yield servers


@pytest.fixture(scope="module")
def make_folder(tmp_path_factory):
    return tmp_path_factory.mktemp


@pytest.fixture(scope="module")
def servers(make_folder):
    with serve(make_folder) as servers:
        yield servers


def ask(server, kind, target=b"/", headers=b"", host=b"localhost"):
    """Send a request or the handshake of a socket; return what a consumer was told, or that it was refused."""
    request = b"GET %s HTTP/1.1\r\nHost: %s\r\n" % (target, host) + HANDSHAKE[kind] + headers + b"\r\n"
    with connection(server) as client:
        client.sendall(request)
        with client.makefile("rb") as stream:
            status = stream.readline().split()[1]
            if status in (b"400", b"403"):
                return REFUSED
            assert status == (b"101" if kind is SOCKET else b"200"), server.log
            while stream.readline() != b"\r\n":
                pass
            content = frame(stream) if kind is SOCKET else stream.read()
        return told(content, client.getsockname(), server)


@contextlib.contextmanager
def connection(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        if server.tls is None:
            yield client
        else:
            with server.tls.wrap_socket(client) as encrypted:
                yield encrypted


def frame(stream):
    """Read one text frame of a server."""
    length = stream.read(2)[1]
    return stream.read(int.from_bytes(stream.read(2), "big") if length == 126 else length)


def told(content, own_address, server):
    """Read what a consumer says; ports that are what they should be get names that all servers share."""
    # Some servers send the response in chunks.
    answer = json.loads(content[content.index(b"{") : content.rindex(b"}") + 1])
    message = Told(answer["message"])
    message.behind = answer.get("behind")
    if message["client"] == list(own_address):
        message["client"] = "the client"
    if message["server"] == ["127.0.0.1", server.port]:
        message["server"] = "the server"
    return message


def ask_all(servers, kind, **request):
    return {name: ask(server, kind, **request) for name, server in servers.items()}


def values(answers, *keys):
    """Return what each of the servers says for some keys, and which have refused."""
    found = {name: tuple(answer[key] for key in keys) for name, answer in answers.items() if answer is not REFUSED}
    return found, answers.keys() - found.keys()


def from_all(*expected, but=()):
    return {name: expected for name in SERVERS if name not in but}, set(but)


def of_ours(message, kind):
    """Return the headers of a message without those that each of these requests has."""
    names = {b"host", *(line.split(b":")[0].lower() for line in HANDSHAKE[kind].splitlines())}
    return [header for header in message["headers"] if header[0].encode() not in names]


# Targets

# The target, the path and the query that consumers are told, and the servers that refuse it: first as the address of
# a page, then as that of a socket if these are others.
TARGETS = [
    (b"/", "/", "", ()),
    (b"/a/b?x=1", "/a/b", "x=1", ()),
    (b"/a?", "/a", "", ()),
    (b"/a??b?c", "/a", "?b?c", ()),
    (b"//double//slash", "//double//slash", "", ()),
    (b"//", "//", "", ()),
    (b"///", "///", "", ()),
    (b"//user:word@host:80/x", "//user:word@host:80/x", "", ()),
    (b"/http://host/x", "/http://host/x", "", ()),
    (b"/a:b@c", "/a:b@c", "", ()),
    (b"/../a/./b", "/../a/./b", "", ()),
    (b"/%2e%2e/", "/../", "", ()),
    (b"/%C3%A9", "/é", "", ()),
    (b"/a%2Fb%2f", "/a/b/", "", ()),
    (b"/%3Fa%23b", "/?a#b", "", ()),
    (b"/a%20b+c", "/a b+c", "", ()),
    (b"/%00", "/\x00", "", ()),
    (b"/%0d%0a", "/\r\n", "", ()),
    (b"/%", "/%", "", ()),
    (b"/%f", "/%f", "", ()),
    (b"/%zz?%zz", "/%zz", "%zz", ()),
    (b"/%ff", "/\ufffd", "", ()),
    (b"/%ed%a0%80", "/\ufffd\ufffd\ufffd", "", ()),
    (b"/a;b=1/c;d?e;f", "/a;b=1/c;d", "e;f", ()),
    (b"/?%C3%A9=%ff&a=b=c&&", "/", "%C3%A9=%ff&a=b=c&&", ()),
    (b'/a"b\\c|d{e}[f]', '/a"b\\c|d{e}[f]', "", ()),
    (b"*", "*", "", ()),
    # An address as proxies write it.
    (b"http://host/path?x", "/path", "x", ()),
    (b"http://host//path", "//path", "", ()),
    (b"HTTP://HOST/Path", "/Path", "", ()),
    (b"https://user:word@host:8/p%20q", "/p q", "", ()),
    (b"http://[::1]:80/p", "/p", "", ()),
    (b"ws://host/path", "/path", "", ()),
    (b"http://host", "/", "", {HTTPTOOLS}, ()),
    (b"http://host?x=1", "/", "x=1", {HTTPTOOLS}, ()),
    # A fragment is no part of a request; whoever sends one has it cut off.
    (b"/a#b", "/a", "", (), {DAPHNE}),
    (b"/a?b#c", "/a", "b", (), {DAPHNE}),
    (b"/a#b?c", "/a", "", (), {DAPHNE}),
    (b"http://host/a#b", "/a", "", (), {DAPHNE}),
    # Some of what no address may contain.
    (b"/a<b>", "/a<b>", "", {GRANIAN}),
    (b"/a^b`c", "/a^b`c", "", {GRANIAN}),
    (b"/a?\"<>'", "/a", "\"<>'", {GRANIAN}),
    (b"/\xff", None, None, EVERYONE),
    (b"/\xc3\xa9", None, None, EVERYONE),
    (b"/a?\xff", None, None, EVERYONE),
    (b"/a?\xc3\xa9", None, None, EVERYONE),
    (b"/a\x01", None, None, EVERYONE),
    (b"/a\x7f", None, None, EVERYONE),
    (b"/a?\x7f", None, None, EVERYONE),
    (b"/a\tb", None, None, EVERYONE),
    (b"/a b", None, None, EVERYONE),
    # No target at all.
    (b"path", None, None, EVERYONE),
    (b"host:80", None, None, EVERYONE),
    (b"?x", None, None, EVERYONE),
    (b"%2Fpath", None, None, EVERYONE),
    (b"http:///path", None, None, EVERYONE),
    (b"http:/path", None, None, EVERYONE),
    (b"#", None, None, EVERYONE),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", TARGETS, ids=lambda row: ascii(row[0])[2:-1])
def test_a_target_means_the_same_everywhere(servers, kind, row):
    target, path, query, *refusers = row

    answers = ask_all(servers, kind, target=target)

    assert values(answers, "path", "query_string", "root_path") == from_all(
        path, query, "", but=refusers[-1 if kind is SOCKET else 0]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_has_the_same_keys_and_values_everywhere(servers, kind):
    answers = ask_all(servers, kind, target=b"/page/?x=1", headers=b"X-Name: 1\r\n", host=b"LocalHost:8000")

    assert all(answer == answers[DAPHNE] for answer in answers.values()), answers
    assert " ".join(sorted(answers[DAPHNE])) == KEYS[kind]
    assert (answers[DAPHNE]["client"], answers[DAPHNE]["server"]) == ("the client", "the server")
    assert answers[DAPHNE]["scheme"] == SCHEMES[kind][False]
    assert ["host", "LocalHost:8000"] in answers[DAPHNE]["headers"]


# Headers

# What is sent, what consumers are told, and who refuses it: first of a page, then of a socket if these are
# others.
HEADERS = [
    (b"X-Name: 1\r\n", [["x-name", "1"]], ()),
    (b"X-B: 1\r\nX-A: 2\r\nX-B: 3\r\nx-b: 4\r\n", [["x-a", "2"], ["x-b", "1"], ["x-b", "3"], ["x-b", "4"]], ()),
    (b"Cookie: a=1\r\nCookie: b=2, c=3\r\n", [["cookie", "a=1"], ["cookie", "b=2, c=3"]], ()),
    (
        b"Origin: http://a\r\nOrigin: http://b\r\n",
        [["origin", "http://a"], ["origin", "http://b"]],
        (),
        {H11, HTTPTOOLS},
    ),
    (b"X-Empty:\r\nX-Blank: \t \r\n", [["x-blank", ""], ["x-empty", ""]], ()),
    (b"X-Name:  \ta \t b\t \r\n", [["x-name", "a \t b"]], ()),
    (b"X-Name:1:2, 3\r\n", [["x-name", "1:2, 3"]], ()),
    (b"X-Name: \xe9\xff\r\n", [["x-name", "\xe9\xff"]], ()),
    (b"X-Name: \xc3\xa9\r\n", [["x-name", "\xc3\xa9"]], ()),
    (b"X-Name: \x85\r\n", [["x-name", "\x85"]], {DAPHNE}),
    # Django does not tell it from a hyphen.
    (b"X_Name: 1\r\n", [], ()),
    # Any client can send it.
    (b"Daphne-Root-Path: /forged\r\n", [], ()),
    (b"X-Forwarded-Host: forged\r\n", [["x-forwarded-host", "forged"]], ()),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", HEADERS, ids=lambda row: ascii(row[0])[2:-1])
def test_headers_are_the_same_everywhere(servers, kind, row):
    sent, headers, *refusers = row

    answers = ask_all(servers, kind, headers=sent)

    found, refused = values(answers, "root_path")
    assert {name: of_ours(answers[name], kind) for name in found} == dict.fromkeys(found, headers)
    assert (found, refused) == from_all("", but=refusers[-1 if kind is SOCKET else 0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_host_is_refused_or_told_of(servers, kind):
    answers = ask_all(servers, kind, headers=b"Host: other\r\n")

    found, refused = values(answers, "headers")
    assert refused == {H11, HYPERCORN}
    for (headers,) in found.values():
        assert [value for name, value in headers if name == "host"] == ["localhost", "other"]


def test_offered_subprotocols_are_the_same_everywhere(servers):
    answers = ask_all(servers, SOCKET, headers=b"Sec-WebSocket-Protocol: a, b\r\n")

    assert values(answers, "subprotocols") == from_all(["a", "b"])


# Below a prefix

# The ways in which a site learns of its prefix: options by server, environment, and a header of the proxy's.
OPTIONS = {
    "daphne": "--root-path",
    "uvicorn": "--root-path",
    "hypercorn": "--root-path",
    "granian": "--url-path-prefix",
}
PREFIX_SETUPS = {
    "the server's option": ({name: [option, "/app"] for name, option in OPTIONS.items()}, {}, b""),
    "the option with a slash": ({name: [option, "/app/"] for name, option in OPTIONS.items()}, {}, b""),
    "FORCE_SCRIPT_NAME": ({}, {"FORCE_SCRIPT_NAME": "/app"}, b""),
    "FORCE_SCRIPT_NAME over an option": (
        {name: [option, "/inner"] for name, option in OPTIONS.items()},
        {"FORCE_SCRIPT_NAME": "/app"},
        b"",
    ),
    "Daphne-Root-Path": ({}, {"LIMITS": '{"trust_root_path_header": true}'}, b"Daphne-Root-Path: /%61pp\r\n"),
}
# The target as it comes from a proxy that keeps the prefix or strips it, the path, and what a route sees of it.
PREFIXED = [
    (b"/app/page", "/app/page", "/page"),
    (b"/page", "/app/page", "/page"),
    (b"/", "/app/", "/"),
    (b"/app/", "/app/", "/"),
    (b"/app", "/app", ""),
    (b"/application", "/app/application", "/application"),
    (b"/app%2Fpage", "/app/page", "/page"),
    (b"/%61pp/page", "/app/page", "/page"),
    (b"/APP/page", "/app/APP/page", "/APP/page"),
    (b"//app/page", "/app//app/page", "//app/page"),
    (b"/app/app/page", "/app/app/page", "/app/page"),
    (b"/app//page", "/app//page", "//page"),
    (b"http://host/app/page", "/app/page", "/page"),
    (b"http://host/page#x", "/app/page", "/page"),
    (b"/app/outer/inner", "/app/outer/inner", "inner"),
    (b"/outer/inner", "/app/outer/inner", "inner"),
    (b"/app/outer/app/inner", "/app/outer/app/inner", "/outer/app/inner"),
    (b"*", "*", "*"),
]


def rows(page, section):
    """Return the rows of the table in a section of the documentation."""
    lines = (REPOSITORY / "docs" / page).read_text("utf-8").split(f"## {section}\n")[1].splitlines()
    table = itertools.takewhile(
        lambda line: line.startswith("|"), itertools.dropwhile(lambda line: line[:1] != "|", lines)
    )
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in list(table)[2:]]


def test_the_documentation_names_these_setups_and_paths():
    assert [setup for setup, _ in rows("interface.md", "Below a prefix")] == list(PREFIX_SETUPS)
    for target, path, behind in rows("routing.md", "Below a prefix"):
        first = [re.match("`(.*?)`|nothing", cell)[1] for cell in (target, path, behind)]
        assert (first[0].encode(), first[1], first[2] or "") in PREFIXED


@pytest.fixture(scope="module", params=PREFIX_SETUPS)
def prefixed(request, make_folder):
    options, environment, headers = PREFIX_SETUPS[request.param]
    with serve(make_folder, options, **environment) as servers:
        yield servers, headers


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("target", "path", "behind"), PREFIXED)
def test_routes_see_what_is_behind_the_prefix(prefixed, kind, target, path, behind):
    servers, headers = prefixed

    answers = ask_all(servers, kind, target=target, headers=headers)

    refusers = {DAPHNE} if kind is SOCKET and b"#" in target else ()
    found, refused = values(answers, "path", "root_path")
    assert (found, refused) == from_all(path, "/app", but=refusers)
    assert {name: answers[name].behind for name in found} == dict.fromkeys(found, behind)


def test_frames_and_the_end_of_a_socket_are_routed_like_its_beginning(prefixed):
    servers, headers = prefixed
    headers = dict(line.split(": ") for line in headers.decode().splitlines())
    for server in servers.values():
        with server.open_socket("/app/page", additional_headers=headers) as websocket:
            websocket.recv(timeout=PATIENCE)
            websocket.send("frame")

            answer = json.loads(websocket.recv(timeout=PATIENCE))

        assert answer == {
            "message": {"path": "/app/page", "root_path": "/app", "text": "frame", "order": 1},
            "behind": "/page",
        }
        server.wait_for_note("disconnect /app/page /app /page")


# Behind a proxy

PROXY_OPTIONS = {"daphne": ["--proxy-headers"], "uvicorn": ["--proxy-headers", "--forwarded-allow-ips", "127.0.0.1"]}
PROXY_APPLICATIONS = {name: f"tests.servers.site.proxied:{name}" for name in ("hypercorn", "granian")}
PROTO = b"X-Forwarded-Proto: https\r\n"
# What a proxy sends, whether its client's connection is encrypted, and who that client is.
FORWARDED = [
    (b"", False, "the client"),
    (b"X-Forwarded-For: 192.0.2.7\r\n" + PROTO, True, ["192.0.2.7", 0]),
    (b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Port: 443\r\n" + PROTO, True, ["192.0.2.7", 0]),
    (b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n", False, ["192.0.2.7", 0]),
    (b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: wss\r\n", True, ["192.0.2.7", 0]),
    (b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: HTTPS\r\n", False, ["192.0.2.7", 0]),
    (b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: javascript\r\n", False, ["192.0.2.7", 0]),
    (b"X-Forwarded-For: 192.0.2.7\r\n", False, ["192.0.2.7", 0]),
    # What the client itself has sent stands before what the proxy knows.
    (b"X-Forwarded-For: 198.51.100.1, 192.0.2.7\r\n" + PROTO, True, ["192.0.2.7", 0]),
    (b"X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.7\r\n" + PROTO, True, ["192.0.2.7", 0]),
    (b"X-Forwarded-For: 192.0.2.7:8001\r\n" + PROTO, True, ["192.0.2.7", 8001]),
    (b"X-Forwarded-For: 2001:db8::7\r\n" + PROTO, True, ["2001:db8::7", 0]),
    (b"X-Forwarded-For: [2001:db8::7]\r\n" + PROTO, True, ["2001:db8::7", 0]),
    (b"X-Forwarded-For: [2001:db8::7]:8001\r\n" + PROTO, True, ["2001:db8::7", 8001]),
]


@pytest.fixture(scope="module")
def proxied(make_folder):
    with serve(make_folder, PROXY_OPTIONS, PROXY_APPLICATIONS) as servers:
        yield servers


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("headers", "encrypted", "client"), FORWARDED, ids=lambda value: ascii(value)[:70])
def test_what_a_proxy_says_is_believed_where_the_server_is_told_to(proxied, kind, headers, encrypted, client):
    answers = ask_all(proxied, kind, headers=headers)

    assert values(answers, "scheme", "client", "server") == from_all(SCHEMES[kind][encrypted], client, "the server")


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_may_tell_the_scheme_alone_except_to_granian(proxied, kind):
    found, _ = values(ask_all(proxied, kind, headers=PROTO), "scheme")

    assert {name for name, (scheme,) in found.items() if scheme != SCHEMES[kind][True]} == {GRANIAN}


def test_a_socket_behind_an_encrypting_proxy_is_for_encrypted_pages(proxied):
    forwarded = b"X-Forwarded-For: 192.0.2.7\r\n" + PROTO
    for origin, refusers in (b"http", EVERYONE), (b"https", ()):
        headers = forwarded + b"Origin: %s://localhost\r\n" % origin

        assert values(ask_all(proxied, SOCKET, target=b"/guarded/", headers=headers), "scheme") == from_all(
            "wss", but=refusers
        )


# Encrypted by the server itself


@pytest.fixture(scope="module")
def encrypted(make_folder):
    folder = make_folder("certificate")
    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    write_certificate(key, certificate)
    options = {
        "daphne": ["-e", f"ssl:{{port}}:interface=127.0.0.1:privateKey={key}:certKey={certificate}"],
        "uvicorn": ["--ssl-keyfile", key, "--ssl-certfile", certificate],
        "hypercorn": ["--keyfile", key, "--certfile", certificate],
        "granian": ["--ssl-keyfile", key, "--ssl-certificate", certificate],
    }
    client = ssl.create_default_context(cafile=certificate)
    client.check_hostname = False
    with serve(make_folder, options, tls=client) as servers:
        yield servers


def write_certificate(key_file, certificate_file):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=1))
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = builder.add_extension(addresses, critical=False).sign(key, hashes.SHA256())
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    with open(key_file, "wb") as file:
        file.write(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    with open(certificate_file, "wb") as file:
        file.write(certificate.public_bytes(pem))


@pytest.mark.parametrize("kind", KINDS)
def test_an_encrypted_connection_is_told_of_everywhere(encrypted, kind):
    headers = b"Cookie: a=1\r\nCookie: b=2\r\n"

    answers = ask_all(encrypted, kind, target=b"//a;b", headers=headers)

    assert values(answers, "scheme", "path", "client") == from_all(SCHEMES[kind][True], "//a;b", "the client")
    assert [of_ours(answer, kind) for answer in answers.values()] == [[["cookie", "a=1"], ["cookie", "b=2"]]] * 5
