"""A WebSocket client that reads when it is told to, and not before."""

import socket
import struct

_HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_CLOSE = 8
# What the system keeps for a client that does not read, in bytes.
RECEIVE_BUFFER = 4096


class StalledSocket:
    """An open WebSocket of which nothing is read after the handshake, in a ``with`` block."""

    def __init__(self, port, path):
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._socket.settimeout(30)
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(handshake(path))
        answer = b""
        while b"\r\n\r\n" not in answer:
            # One byte at a time: what comes after the handshake stays where it is.
            answer += self._socket.recv(1)
        assert b" 101 " in answer.splitlines()[0], answer

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._socket.close()

    def fileno(self):
        """Return the file of the connection, for ``select``."""
        return self._socket.fileno()

    @property
    def port(self):
        """The port of this end of the connection."""
        return self._socket.getsockname()[1]

    def write(self, data, timeout):
        """Write what the server takes within ``timeout`` seconds. Raises ``OSError`` when it takes no more."""
        self._socket.settimeout(timeout)
        self._socket.sendall(data)

    def read_to_end(self, timeout):
        """
        Read until the server closes the connection; return the code of its close frame.

        None without one, "open" if it does not close within ``timeout`` seconds of silence.
        """
        data = bytearray()
        self._socket.settimeout(timeout)
        try:
            while part := self._socket.recv(2**16):
                data += part
                # Servers wait for an answer to a close frame, which we do not give.
                if (code := close_code(data)) is not None:
                    return code
        except TimeoutError:
            return "open"
        except OSError:
            pass
        return close_code(data)


def close_code(data):
    """Return the code of the close frame among the frames of a server, None if there is none yet."""
    for opcode, payload, _ in frames(data):
        if opcode == _CLOSE:
            return struct.unpack_from(">H", payload)[0] if len(payload) >= 2 else 1005
    return None


def frames(data):
    """Iterate over the whole frames of a server, as opcode, payload, and where the next one begins."""
    start = 0
    while start + 2 <= len(data):
        opcode, length, header = data[start] & 15, data[start + 1] & 127, 2
        if length >= 126:
            form, header = (">H", 4) if length == 126 else (">Q", 10)
            if start + header > len(data):
                return
            length = struct.unpack_from(form, data, start + 2)[0]
        end = start + header + length
        if end > len(data):
            return
        yield opcode, bytes(data[start + header : end]), end
        start = end


def handshake(path):
    """Return the request for a WebSocket with a path."""
    return _HANDSHAKE.format(path=path).encode()


def masked_frame(payload, opcode=1):
    """Return a frame as clients send it: masked, by zeros, which leave the payload as it is."""
    if len(payload) < 126:
        head = bytes([0x80 | opcode, 0x80 | len(payload)])
    elif len(payload) < 2**16:
        head = bytes([0x80 | opcode, 0x80 | 126]) + struct.pack(">H", len(payload))
    else:
        head = bytes([0x80 | opcode, 0x80 | 127]) + struct.pack(">Q", len(payload))
    return head + bytes(4) + payload
