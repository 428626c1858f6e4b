"""Good input for the fuzz of S-22: requests, WebSocket frames, and messages as they lie in the store."""

from .stalled import masked_frame

_HOST = b"Host: localhost\r\n"

HANDSHAKE = (
    b"GET /echo/fuzz/ HTTP/1.1\r\n" + _HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

_FORM = b"a=1&b=%C3%B6&c=3"
_PARTS = (
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'
    b"hello\r\n--x--\r\n"
)


def _post(path, kind, body):
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    return b"POST " + path + b" HTTP/1.1\r\n" + _HOST + b"Content-Type: " + kind + b"\r\n" + length + body


REQUESTS = [
    b"GET / HTTP/1.1\r\n" + _HOST + b"\r\n",
    b"GET /inspect/?a=1&b=%C3%B6&a=2 HTTP/1.1\r\n" + _HOST + b"Cookie: a=1; b=2\r\nAccept: */*\r\n\r\n",
    b"GET /inspect/a/b%2Fc/%F0%9F%98%80 HTTP/1.1\r\n" + _HOST + b"X-Forwarded-For: 10.0.0.1\r\n\r\n",
    b"HEAD /inspect/ HTTP/1.0\r\n" + _HOST + b"\r\n",
    b"OPTIONS * HTTP/1.1\r\n" + _HOST + b"\r\n",
    b"GET http://localhost/inspect/ HTTP/1.1\r\n" + _HOST + b"\r\n",
    b"GET /missing/ HTTP/1.1\r\n" + _HOST + b"Range: bytes=0-1\r\n\r\n",
    _post(b"/inspect/", b"application/x-www-form-urlencoded", _FORM),
    _post(b"/inspect/", b"multipart/form-data; boundary=x", _PARTS),
    _post(b"/inspect/", b"application/json; charset=utf-8", b'{"a": 1}'),
    b"POST /inspect/ HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"PUT /inspect/x HTTP/1.1\r\n" + _HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
    (b"GET / HTTP/1.1\r\n" + _HOST + b"\r\n") * 3,
    HANDSHAKE,
]

FRAMES = [
    masked_frame(b"hello"),
    masked_frame("Jörg 😀".encode()),
    masked_frame(b""),
    masked_frame(b"\x00\xff", opcode=2),
    masked_frame(b"x" * 300),
    masked_frame(b"x" * 70_000, opcode=2),
    masked_frame(b"ping", opcode=9),
    masked_frame(b"pong", opcode=10),
    masked_frame(b"\x03\xe8bye", opcode=8),
    masked_frame(b"\x03\xf4", opcode=8),
    # A message in three parts, with a ping between them.
    b"\x01\x83" + bytes(4) + b"abc" + b"\x89\x80" + bytes(4) + b"\x00\x83" + bytes(4) + b"def" + b"\x80\x80" + bytes(4),
]

_ADDRESSES = {"client": ["127.0.0.1", 50_000], "server": ["127.0.0.1", 8_000]}
_REQUEST = {
    "reply_channel": "reply.fuzz!1",
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "path": "/inspect/",
    "query_string": b"a=1",
    "root_path": "",
    "headers": [[b"host", b"localhost"], [b"content-type", b"application/x-www-form-urlencoded"]],
    # No body channel: a worker rightly waits a minute for what has been announced there.
    "body": b"a=1",
    **_ADDRESSES,
}
_CONNECT = {
    "reply_channel": "reply.fuzz!2",
    "scheme": "ws",
    "path": "/rooms/fuzz/",
    "query_string": b"",
    "root_path": "",
    "headers": [[b"host", b"localhost"], [b"origin", b"http://localhost"]],
    "subprotocols": [],
    "order": 0,
    **_ADDRESSES,
}
_RECEIVE = {"reply_channel": "reply.fuzz!2", "path": "/rooms/fuzz/", "text": '{"from": 1}', "order": 1}
_ECHO = {"reply_channel": "reply.fuzz!3", "path": "/echo/fuzz/", "bytes": b"x", "order": 1}
_DISCONNECT = {"reply_channel": "reply.fuzz!2", "path": "/rooms/fuzz/", "code": 1000, "order": 2}

# Channel and content; without a channel for the process queue of the interface server.
MESSAGES = [
    ("http.request", _REQUEST),
    ("websocket.connect", _CONNECT),
    ("websocket.receive", _RECEIVE),
    ("websocket.receive", _ECHO),
    ("websocket.disconnect", _DISCONNECT),
    ("http.disconnect", {"reply_channel": "reply.fuzz!1", "path": "/inspect/"}),
    (None, {"text": "hello"}),
    (None, {"accept": True, "bytes": b"x", "close": 1000}),
    (None, {"status": 200, "headers": [[b"a", b"b"]], "content": b"x", "more_content": False}),
]
