"""Pauses of an event loop, and the clients of a burst."""

import asyncio

import pytest

from score.bursts import longest_pause
from score.crowd import Member

PAUSES = """\
1.000000 9.000000 8.000000
20.500000 0.700000 0.010000
21.000000 0.020000 0.018000
22.000000 0.015000 0.015000
30.000000 9.000000 8.000000
"""


@pytest.mark.parametrize(
    ("lines", "longest"), [(PAUSES, (700.0, 18.0)), ("", (0.0, 0.0)), ("20.0 1.5 0.2\n", (1500.0, 200.0))]
)
def test_the_longest_pause_of_some_time_is_found_and_the_most_work_in_one(lines, longest):
    assert longest_pause(lines, began=21.0, ended=25.0) == longest


class Transport:
    def __init__(self):
        self.written = []

    def write(self, data):
        self.written.append(data)


def member_that_gets(*parts):
    async def take():
        member, transport = Member("/plain/hall/"), Transport()
        member.connection_made(transport)
        for part in parts:
            member.data_received(part)
        error = member.opened.exception() if member.opened.done() else None
        return member, transport.written[1:], member.opened.done(), error

    return asyncio.run(take())


def test_a_member_writes_down_the_numbers_it_gets_however_they_are_cut():
    data = b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x017\x81\x0212\x81\x03345"
    whole, *_ = member_that_gets(data)
    in_bytes, *_ = member_that_gets(*(data[number : number + 1] for number in range(len(data))))

    assert whole.got == in_bytes.got == [7, 12, 345]
    assert whole.is_closed is False


def test_a_member_answers_pings_and_notices_that_it_is_closed():
    member, written, *_ = member_that_gets(b"HTTP/1.1 101 OK\r\n\r\n", b"\x89\x02hi", b"\x88\x02\x03\xf4")

    assert written == [b"\x8a\x82\x00\x00\x00\x00hi"]
    assert member.is_closed is True


def test_a_member_that_is_refused_says_so():
    _, _, done, error = member_that_gets(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")

    assert done
    assert "503" in str(error)
