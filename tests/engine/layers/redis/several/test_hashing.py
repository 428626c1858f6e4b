"""`channels.layers.redis.several.hashing`: names are spread evenly, and few of them move."""

from collections import Counter

from channels.layers.redis.several.hashing import Ring

NAMES = [f"reply.{number:x}!" for number in range(10_000)]


def test_every_process_finds_a_name_on_the_same_host():
    assert [Ring(3).host_of(name) for name in NAMES[:100]] == [Ring(3).host_of(name) for name in NAMES[:100]]


def test_names_are_spread_over_all_hosts():
    shares = Counter(Ring(4).host_of(name) for name in NAMES)

    assert set(shares) == {0, 1, 2, 3}
    assert min(shares.values()) > len(NAMES) / 4 / 2


def test_one_more_host_moves_only_what_it_takes():
    before, after = Ring(3), Ring(4)

    moved = [name for name in NAMES if before.host_of(name) != after.host_of(name)]

    assert {after.host_of(name) for name in moved} == {3}
    assert len(moved) < len(NAMES) / 2
