"""The scoreboard: what is changed in a browser is saved, and what is saved anywhere is on every board."""

import pytest

from .conftest import PASSWORD, Browser

SOCKET = "/scores/"


@pytest.fixture(scope="module")
def example(make_example):
    example = make_example("scoreboard")
    example.execute(
        "from django.contrib.auth.models import User; from teams.models import Team\n"
        f"User.objects.create_superuser('anna', 'anna@example.com', {PASSWORD!r})\n"
        f"User.objects.create_user('ben', password={PASSWORD!r}, is_staff=True)\n"
        "for name in ('Herons', 'Otters'): Team.objects.create(name=name)"
    )
    return example


@pytest.fixture(scope="module")
def worker(example):
    return example.work()


@pytest.fixture(scope="module")
def server(example, worker):
    return example.serve("daphne", "project.asgi:channel_layer", "-p", "{port}")


@pytest.fixture(scope="module")
def sign_in(server):
    def sign_in(name):
        browser = Browser(server)
        browser.fill_in("/admin/login/?next=/", username=name, password=PASSWORD)
        return browser

    return sign_in


def told(action, pk, **data):
    return {"stream": "teams", "payload": {"action": action, "pk": pk, "data": data, "model": "teams.team"}}


def ask(socket, **payload):
    return socket.ask(stream="teams", payload=payload)


def test_what_a_browser_changes_is_saved_and_on_every_board(example, server, sign_in):
    with sign_in("anna").socket(SOCKET) as anna, Browser(server).socket(SOCKET) as anybody:
        changed = told("update", 1, name="Herons", points=3)

        # As a field of a page gives it.
        assert ask(anna, action="update", pk=1, data={"points": "3"}) == changed
        assert anybody.receive() == changed
    assert '<b>Herons</b> <input type="number" value="3">' in Browser(server).read("/")[1]


def test_a_browser_makes_and_removes_what_it_may(server, sign_in):
    with sign_in("anna").socket(SOCKET) as anna, Browser(server).socket(SOCKET) as anybody:
        created = ask(anna, action="create", data={"name": "Newts"})
        pk = created["payload"]["pk"]

        assert created == anybody.receive() == told("create", pk, name="Newts", points=0)
        assert ask(anna, action="delete", pk=pk) == anybody.receive() == told("delete", pk, name="Newts", points=0)


def test_what_is_saved_in_the_admin_or_by_a_command_is_on_every_board(example, server, sign_in):
    editor = sign_in("anna")
    with Browser(server).socket(SOCKET) as anybody:
        editor.fill_in("/admin/teams/team/2/change/", name="Otters", points=5)
        in_the_admin = anybody.receive()
        example.execute("from teams.models import Team; t = Team.objects.get(pk=2); t.points += 1; t.save()")

        assert in_the_admin == told("update", 2, name="Otters", points=5)
        assert anybody.receive() == told("update", 2, name="Otters", points=6)


def test_who_retires_leaves_the_boards_and_may_come_back(example, server):
    with Browser(server).socket(SOCKET) as anybody:
        for retired in (True, False):
            example.execute(
                f"from teams.models import Team; t = Team.objects.get(pk=2); t.retired = {retired}; t.save()"
            )

        assert [anybody.receive()["payload"]["action"] for _ in range(2)] == ["delete", "create"]


def test_who_may_not_is_told_so_and_goes_on_watching(example, server, sign_in):
    with sign_in("ben").socket(SOCKET) as ben, Browser(server).socket(SOCKET) as anybody:
        refused = {"error": "forbidden", "detail": "You may not delete this.", "refused": "delete", "pk": 1}
        assert ask(ben, action="delete", pk=1) == {"stream": "teams", "payload": refused}
        assert ask(anybody, action="update", pk=1, data={"points": 99})["payload"]["error"] == "forbidden"
        assert ask(ben, action="update", pk=1, data={"retired": True})["payload"]["error"] == "unknown_field"
        assert ask(ben, action="update", pk=1, data={"points": "many"})["payload"]["fields"] == {
            "points": ["“many” value must be an integer."]
        }

        changed = ask(ben, action="update", pk=1, data={"points": 4})
        assert changed == anybody.receive() == told("update", 1, name="Herons", points=4)
