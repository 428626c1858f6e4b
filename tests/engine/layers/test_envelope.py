"""`channels.layers.envelope`: what is packed comes back, and rubbish is refused in one way."""

import contextlib

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.layers.base import Entry, Finish, Ticket
from channels.layers.content import MAX_MESSAGE_SIZE, is_same
from channels.layers.envelope import VERSION, UnreadableEntry, pack, unpack, with_extras

from .test_content import contents, keys


def test_an_entry_comes_back_as_it_was():
    content = {"text": "a", "bytes": b"a", "list": [1, None, {"deep": True}]}

    assert unpack(pack("x1", "", content, False, 1000)) == Entry("x1", "", content)
    assert unpack(pack("", "room", content, False, 1000)) == Entry("", "room", content)


@pytest.mark.parametrize("joins", [True, False])
def test_a_change_of_membership_comes_back_as_it_was(joins):
    assert unpack(pack("x1", "room", None, joins, 1000)) == Entry("x1", "room", None, joins)


TICKETS = [Ticket(), Ticket(0, {}), Ticket(2**40, {"a": [b"1", {"deep": None}]})]
FINISHES = [Finish(), Finish(3), Finish(None, {}, []), Finish(7, {"a": [1]}, ["b", "👍"], True, True)]


@pytest.mark.parametrize("finish", [None, *FINISHES])
@pytest.mark.parametrize("ticket", [None, *TICKETS])
def test_what_comes_beside_a_content_comes_back_as_it_was(ticket, finish):
    content = {"reply_channel": "reply.x!1", "text": "a"}
    packed = with_extras(pack("x1", "", content, False, 1000), ticket, finish)

    assert unpack(packed) == Entry("x1", "", content, ticket=ticket, finish=finish)


@pytest.mark.parametrize("finish", FINISHES)
def test_a_finish_comes_back_without_a_content_too(finish):
    packed = with_extras(pack("x1", "", None, False, 1000), None, finish)

    assert unpack(packed) == Entry("x1", finish=finish)


def test_keys_that_are_not_known_yet_are_ignored():
    newer = ormsgpack.packb({"v": VERSION, "c": {"text": "a"}, "new": [1, 2]})

    assert unpack(newer) == Entry(content={"text": "a"})


@pytest.mark.parametrize("version", [1, 3, "2", None])
def test_an_entry_of_another_version_is_refused_with_what_to_restart(version):
    with pytest.raises(UnreadableEntry) as raised:
        unpack(ormsgpack.packb({"v": version, "c": {}}))

    assert str(raised.value) == (
        f"The entry has version {version!r}, this process reads version 2: another version of channels has written it. "
        "Restart the interface servers and the workers, so that all run the same."
    )


OF_A_CONNECTION = {"v": VERSION, "c": {"reply_channel": "reply.x!1"}}


@pytest.mark.parametrize(
    "envelope",
    [
        {"c": {}},
        {"v": VERSION, "c": "text"},
        {"v": VERSION, "c": []},
        {"v": VERSION, "c": {}, "g": ["room"]},
        {"v": VERSION, "c": {}, "l": 1},
        {"v": VERSION, "l": "x1", "g": "room", "j": "yes"},
        {"v": VERSION, "t": [1, {}]},
        {"v": VERSION, "c": {}, "t": [1, {}]},
        {"v": VERSION, "c": {"reply_channel": 1}, "t": [1, {}]},
        *[OF_A_CONNECTION | {"t": ticket} for ticket in ([1, {}, 1], "ab", 1, True, ["1", {}], [True, {}])],
        *[OF_A_CONNECTION | {"t": ticket} for ticket in ([1.5, {}], [1, None], [1, []], [1, "a"])],
        *[OF_A_CONNECTION | {"f": finish} for finish in ("abcde", 1, ["1"], [1, {}, [], True, True, True])],
        *[OF_A_CONNECTION | {"f": finish} for finish in (["1", {}, [], True, True], [True, {}, [], True, True])],
        *[OF_A_CONNECTION | {"f": finish} for finish in ([1, [], [], True, True], [1, {}, {}, True, True])],
        *[OF_A_CONNECTION | {"f": finish} for finish in ([1, {}, "ab", True, True], [1, {}, [1], True, True])],
        *[OF_A_CONNECTION | {"f": finish} for finish in ([1, {}, [[]], True, True], [1, {}, [], 1, True])],
        *[OF_A_CONNECTION | {"f": finish} for finish in ([1, {}, [], True, None],)],
        [],
        None,
        "text",
    ],
    ids=repr,
)
def test_what_this_version_cannot_have_written_is_refused(envelope):
    with pytest.raises(UnreadableEntry):
        unpack(ormsgpack.packb(envelope))


names = st.sampled_from(["", "a", "reply_channel"])
values = st.recursive(
    st.sampled_from([None, True, 1, 1.5, b""]) | names,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("clgjtf"), values))
def test_an_envelope_that_holds_anything_is_read_or_refused(envelope):
    with contextlib.suppress(UnreadableEntry):
        entry = unpack(ormsgpack.packb({"v": VERSION, **envelope}))
        assert entry.ticket is None or isinstance(entry.content["reply_channel"], str)


@given(st.binary(max_size=200))
def test_rubbish_is_refused_and_nothing_worse(rubbish):
    with contextlib.suppress(UnreadableEntry):
        unpack(rubbish)


@pytest.mark.parametrize(
    "bomb", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\x91" * 100_000, b"\xc6\xff\xff\xff\xff"]
)
def test_a_bomb_is_refused(bomb):
    with pytest.raises(UnreadableEntry):
        unpack(bomb)


@given(contents, contents, st.none() | st.integers(0, 2**63 - 1), st.lists(keys, max_size=3))
def test_whatever_may_travel_comes_back_as_it_was(content, session, number, removed):
    content = {**content, "reply_channel": "reply.x!1"}
    ticket, finish = Ticket(number, session), Finish(number, session, removed, True, False)
    entry = unpack(with_extras(pack("x1", "room", content, False, MAX_MESSAGE_SIZE), ticket, finish))

    assert is_same(entry.content, content)
    assert is_same([*entry.ticket], [*ticket])
    assert is_same([*entry.finish], [*finish])
    assert (entry.local, entry.group) == ("x1", "room")
