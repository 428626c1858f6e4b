"""How rows are taken: by one process each."""

import datetime
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.utils import timezone


@pytest.fixture
def add(delay_app):
    """Return a function that adds a row that is due in some seconds."""

    def add(channel="mail", seconds=-1.0, **fields):
        date = timezone.now() + datetime.timedelta(seconds=seconds)
        return delay_app.objects.create(channel_name=channel, content="{}", due_date=date, **fields)

    return add


def test_rows_that_are_due_are_taken_the_oldest_first_and_only_once(delay_app, add):
    rows = [add(seconds=seconds) for seconds in (-1, -3, 60, -2)]
    rows.append(add(seconds=-5, state="parked"))

    first, second = delay_app.objects.take_due(2), delay_app.objects.take_due(5)

    assert [row.pk for row in first] == [rows[1].pk, rows[3].pk]
    assert [row.pk for row in second] == [rows[0].pk]
    assert delay_app.objects.take_due(5) == []


def test_threads_that_take_at_the_same_time_share_the_rows(delay_app, add):
    rows = {add().pk for _ in range(200)}

    def take(_):
        taken = []
        try:
            while found := delay_app.objects.take_due(7):
                taken += [row.pk for row in found]
        finally:
            connection.close()
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = [key for keys in pool.map(take, range(4)) for key in keys]

    assert sorted(taken) == sorted(rows)


def test_a_row_that_another_process_is_about_to_take_is_nobody_else_s(delay_app, add):
    """The other one has seen the row, too, and comes first: the one statement that takes it decides."""
    add()

    class Late(type(delay_app.objects.all())):
        def update(self, **fields):
            if not others:
                others.append([])
                others[0] = delay_app.objects.take_due(5)
            return super().update(**fields)

    others = []
    if connection.features.has_select_for_update_skip_locked:
        pytest.skip("Here others do not see the row.")

    assert Late(delay_app).take_due(5) == []
    assert len(others[0]) == 1


def test_what_is_given_back_waits_again_and_what_is_parked_says_why(delay_app, add):
    add("one"), add("two", -2)
    two, one = delay_app.objects.take_due(5)

    delay_app.objects.all().give_back([one])
    delay_app.objects.all().park([two], "It cannot be read.")

    assert [row.channel_name for row in delay_app.objects.take_due(5)] == ["one"]
    assert delay_app.objects.filter(state="parked").values_list("channel_name", "note").get() == (
        "two",
        "It cannot be read.",
    )


def test_what_others_have_taken_since_is_left_to_them(delay_app, add):
    add()
    [old] = delay_app.objects.take_due(5)
    delay_app.objects.update(state="waiting")
    [new] = delay_app.objects.take_due(5)

    delay_app.objects.all().taken([old]).delete()
    delay_app.objects.all().give_back([old])

    assert delay_app.objects.get().taken_by == new.taken_by
    assert delay_app.objects.get().state == "taken"


def test_a_row_taken_for_long_is_parked_and_one_taken_just_now_is_not(delay_app, add):
    now = timezone.now()
    add("long", state="taken", taken_at=now - datetime.timedelta(seconds=90))
    add("now", state="taken", taken_at=now - datetime.timedelta(seconds=30))

    assert delay_app.objects.all().park_abandoned() == 1
    assert delay_app.objects.filter(state="parked").values_list("channel_name", flat=True).get() == "long"
    assert "may have been sent or not" in delay_app.objects.get(state="parked").note


def test_the_delay_in_milliseconds_sets_the_date_as_in_channels_1(delay_app):
    row = delay_app(channel_name="mail", content="{}", delay=90_000)

    assert abs((row.due_date - timezone.now()).total_seconds() - 90) < 5
    assert 0 < row.delay <= 90_000
    assert not delay_app.objects.is_due().exists()


# Migrations


def test_the_migrations_are_those_of_the_model(delay_app):
    call_command("makemigrations", "channels_delay", "--check", "--dry-run", verbosity=0)


@pytest.fixture
def old_table(delay_app):
    """Make the table of Channels 1, in a database that does not have ours."""
    call_command("migrate", "channels_delay", "zero", verbosity=0)
    table = connection.ops.quote_name("channels.delay_delayedmessage")
    serial = "serial" if connection.vendor == "postgresql" else "integer"
    date = "timestamp with time zone" if connection.vendor == "postgresql" else "datetime"
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {table} (id {serial} PRIMARY KEY, due_date {date} NOT NULL, "
            "channel_name varchar(512) NOT NULL, content text NOT NULL)"
        )
    yield table
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {table}")
    call_command("migrate", "channels_delay", verbosity=0)


def test_what_waits_in_the_table_of_channels_1_comes_along(delay_app, old_table):
    from channels.delay.content import from_text

    with connection.cursor() as cursor:
        for content in ('{"text": "Hello"}', '{"$bytes": "text"}', "no JSON"):
            cursor.execute(
                f"INSERT INTO {old_table} (due_date, channel_name, content) VALUES (%s, %s, %s)",
                [
                    "2030-01-02 03:04:05+00:00" if connection.vendor == "postgresql" else "2030-01-02 03:04:05",
                    "mail",
                    content,
                ],
            )

    call_command("migrate", "channels_delay", verbosity=0)

    rows = list(delay_app.objects.order_by("pk"))
    assert [from_text(row.content) for row in rows[:2]] == [{"text": "Hello"}, {"$bytes": "text"}]
    assert rows[2].content == "no JSON"
    assert {(row.due_date.isoformat(), row.channel_name, row.layer, row.state) for row in rows} == {
        ("2030-01-02T03:04:05+00:00", "mail", "default", "waiting")
    }
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {old_table}")
        assert cursor.fetchone() == (0,)


def test_where_channels_1_has_never_been_there_is_nothing_to_bring_over(delay_app):
    assert not delay_app.objects.exists()
    assert "channels.delay_delayedmessage" not in connections["default"].introspection.table_names()
