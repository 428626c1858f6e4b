"""Make odd input out of good input, by chance: bytes of the network, and contents of messages."""

import copy

# What parsers stumble over.
TOKENS = [
    *(b"\x00", b"\r\n", b"\r\n\r\n", b"\n", b"\xff\xfe", b"%", b"%00", b"%zz", b"%ff", b"..", b"//", b"?", b"#", b";"),
    *(b"\xc3\x28", b"\xed\xa0\x80", "ﬀ".encode(), b"A" * 300, b"9" * 30, b"-1", b"0x10", b" ", b"\t", b":", b"{", b"="),
    *(b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: a b\r\n"),
    *(b"Upgrade: websocket\r\n", b"Expect: 100-continue\r\n", b"Cookie: =;=;\r\n", b"Daphne-Root-Path: /x\r\n"),
]
ODD_VALUES = [
    *(None, True, False, 0, -1, 2**40, 1.5, "", "x", "\x00", "ﬀ😀", "a b", "/" * 50, b"", b"\xff\x00"),
    *([], {}, [[]], [None], {"a": {"b": []}}, [[b"a"]], [[b"a", "b"]], ["x", b"y"], "reply.none!x", "no?such"),
]


def mutate(data, chance):
    """Return bytes that differ from ``data`` in one to four places."""
    data = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        chance.choice(_CHANGES)(data, chance)
    return bytes(data)


def _flip(data, chance):
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _overwrite(data, chance):
    if data:
        data[chance.randrange(len(data))] = chance.randrange(256)


def _insert(data, chance):
    place = chance.randint(0, len(data))
    data[place:place] = chance.choice(TOKENS)


def _insert_noise(data, chance):
    place = chance.randint(0, len(data))
    data[place:place] = chance.randbytes(chance.randint(1, 20))


def _remove(data, chance):
    start = chance.randint(0, len(data))
    del data[start : start + chance.randint(1, 20)]


def _repeat(data, chance):
    start = chance.randint(0, len(data))
    data[start:start] = data[start : start + chance.randint(1, 50)]


def _cut(data, chance):
    del data[chance.randint(0, len(data)) :]


_CHANGES = [_flip, _overwrite, _insert, _insert_noise, _remove, _repeat, _cut]


def mutate_content(content, chance):
    """Return the content of a message in which one to three values are missing, odd, or new."""
    content = copy.deepcopy(content)
    for _ in range(chance.randint(1, 3)):
        key = chance.choice([*content, "unknown"])
        if chance.random() < 0.3:
            content.pop(key, None)
        else:
            content[key] = copy.deepcopy(chance.choice(ODD_VALUES))
    return content
