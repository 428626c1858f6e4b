"""Odd input is made by chance, and by the same chance again."""

import random

from score.corpus import MESSAGES, REQUESTS
from score.mutations import mutate, mutate_content


def test_the_same_seed_makes_the_same_input():
    def make():
        chance = random.Random(5)
        return [mutate(REQUESTS[0], chance) for _ in range(50)], [
            mutate_content(MESSAGES[0][1], chance) for _ in range(50)
        ]

    assert make() == make()


def test_nearly_every_input_is_odd():
    chance = random.Random(5)

    assert sum(mutate(REQUESTS[1], chance) != REQUESTS[1] for _ in range(200)) > 190


def test_bytes_of_any_length_can_be_changed():
    chance = random.Random(5)

    assert all(isinstance(mutate(data, chance), bytes) for data in (b"", b"x") for _ in range(200))


def test_the_good_content_stays_as_it_is():
    chance, before = random.Random(5), repr(MESSAGES)

    for _, content in MESSAGES * 50:
        mutate_content(content, chance)

    assert repr(MESSAGES) == before
