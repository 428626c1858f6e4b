import unittest

import pytest
from django.contrib.auth.models import Group as UserGroup
from django.db import connection
from django.test import TestCase

from channels import Channel, channel_layers, route
from channels.test.scheduler import Scheduler
from channels.test.schedules import SEED, for_all_schedules

ROUTING = [route("count", lambda message: UserGroup.objects.create(name="saved"))]


@pytest.fixture(autouse=True)
def no_seed_is_chosen(monkeypatch):
    monkeypatch.delenv(SEED, raising=False)


def failing(seeds, after=3):
    """Return a test that notes its seeds, and fails with one of them."""

    @for_all_schedules(10, routing=[])
    def test_something(scheduler):
        seeds.append(scheduler.seed)
        assert scheduler.seed != after, "The reason."

    return test_something


@for_all_schedules(5, workers=3, routing=ROUTING)
def test_each_schedule_finds_the_database_as_the_first_has_found_it(db, scheduler):
    assert isinstance(scheduler, Scheduler)
    assert len(scheduler._workers) == 3
    assert not UserGroup.objects.exists()
    Channel("count").send({})
    scheduler.run()
    assert UserGroup.objects.exists()


class CaseOfDjango(TestCase):
    @for_all_schedules(5, routing=ROUTING)
    def test_it(self, scheduler):
        self.assertFalse(UserGroup.objects.exists())
        Channel("count").send({})
        scheduler.run()
        self.assertTrue(UserGroup.objects.exists())

    @for_all_schedules(5, routing=ROUTING)
    def fails(self, scheduler):
        assert scheduler.seed < 2


def outcome(name):
    """Run a method of the case of Django; return its result."""
    result = unittest.TestResult()
    CaseOfDjango(name).run(result)
    return result


def test_a_test_case_of_django_is_repeated_as_well(db):
    assert outcome("test_it").wasSuccessful()


def test_the_seeds_go_up_to_the_first_that_fails():
    seeds = []
    with pytest.raises(AssertionError, match="The reason"):
        failing(seeds)()

    assert seeds == [0, 1, 2, 3]


def test_the_command_that_repeats_the_schedule_is_told():
    with pytest.raises(AssertionError) as failure:
        failing([])()

    own = f"{__file__.rpartition('tests/')[2]}::test_the_command_that_repeats_the_schedule_is_told"
    assert any(f"CHANNELS_TEST_SEED=3 python -m pytest tests/{own}" in note for note in failure.value.__notes__)


def test_to_the_runner_of_django_as_well(db, monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    [(_, text)] = outcome("fails").failures

    assert f"CHANNELS_TEST_SEED=2 python manage.py test {__name__}.CaseOfDjango.fails" in text


def test_the_environment_chooses_a_seed(monkeypatch):
    monkeypatch.setenv(SEED, "17")
    seeds = []
    failing(seeds)()

    assert seeds == [17]


def test_a_seed_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv(SEED, "x")

    with pytest.raises(ValueError, match=r"'x'.*whole number"):
        failing([])()


def test_fixtures_and_the_layer_are_as_before_after_a_failure(db):
    layer = channel_layers["default"]
    with pytest.raises(AssertionError):
        failing([])()

    assert channel_layers["default"] is layer
    assert not connection.needs_rollback
