import pytest
from django.core.checks import run_checks
from django.core.management import get_commands

from channels import channel_layers
from channels.checks import (
    check_allowed_origins,
    check_any_origin,
    check_layers,
    check_limits,
    check_runserver,
    check_session_engine,
    check_session_size,
)

MEMORY = "channels.layers.inmemory.InMemoryChannelLayer"
COOKIES = "django.contrib.sessions.backends.signed_cookies"


@pytest.fixture
def check(settings):
    """Return a function that checks the configuration of one layer."""

    def check(**config):
        channel_layers.set("own", None)
        settings.CHANNEL_LAYERS = {"own": config}
        return check_layers()

    yield check
    channel_layers.set("own", None)


def test_the_site_passes():
    assert run_checks(tags=["channels"]) == []


def test_a_sound_layer_passes_and_so_does_no_layer_at_all(check, settings):
    assert check(BACKEND=MEMORY, ROUTING=[]) == []
    settings.CHANNEL_LAYERS = {}
    assert check_layers() == []


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"ROUTING": []}, "has no BACKEND"),
        ({"BACKEND": MEMORY, "ROUTING": "nowhere.routing.channel_routing"}, "there is no module 'nowhere'"),
        ({"BACKEND": MEMORY, "ROUTING": [7]}, "is no route"),
    ],
)
def test_a_layer_or_a_routing_that_cannot_be_made_is_an_error(check, config, sentence):
    [error] = check(**config)

    assert error.id == "channels.E001"
    assert sentence in error.msg
    assert error.hint == "Look at CHANNEL_LAYERS['own']."


def test_an_engine_for_channel_sessions_is_an_error_since_they_lie_in_no_store(settings):
    assert check_session_engine() == []
    settings.CHANNEL_SESSION_ENGINE = "django.contrib.sessions.backends.db"
    [error] = check_session_engine()

    assert (error.id, error.msg) == (
        "channels.E002",
        "CHANNEL_SESSION_ENGINE is 'django.contrib.sessions.backends.db', but channel sessions travel with the "
        "messages and lie in no store.",
    )
    assert error.hint.startswith("Remove the setting.")


@pytest.mark.parametrize("size", ["65536", 0, -1, 1.5, True, None])
def test_a_size_of_channel_sessions_that_makes_no_sense_is_an_error(settings, size):
    assert check_session_size() == []
    settings.CHANNEL_SESSION_SIZE = size
    [error] = check_session_size()

    assert error.id == "channels.E004"
    assert error.msg == f"CHANNEL_SESSION_SIZE is {size!r}; expected a whole number of bytes above zero."


def test_limits_that_make_no_sense_are_an_error(settings):
    assert check_limits() == []
    settings.CHANNELS_INTERFACE = {"body_limit": "x"}
    [error] = check_limits()

    assert (error.id, error.hint) == ("channels.E003", "Look at CHANNELS_INTERFACE.")
    assert error.msg == "CHANNELS_INTERFACE['body_limit'] is 'x'; expected a whole number, 0 or more."

    settings.CHANNELS_INTERFACE, settings.CHANNELS_SOCKETS_FOLLOW_ACCOUNT = {}, True
    [error] = check_limits()
    assert (error.id, error.hint) == ("channels.E003", "Look at CHANNELS_SOCKETS_FOLLOW_ACCOUNT.")
    assert error.msg == "CHANNELS_SOCKETS_FOLLOW_ACCOUNT is True; expected a number, 0 or more."


def test_the_visitors_sessions_may_be_cookies(settings):
    settings.SESSION_ENGINE = COOKIES

    assert check_session_engine() == []


@pytest.mark.parametrize("winner", ["channels", "tests.engine.own_runserver"])
def test_a_runserver_that_is_ours_or_extends_it_passes(monkeypatch, winner):
    monkeypatch.setitem(get_commands(), "runserver", winner)

    assert check_runserver() == []


def test_a_runserver_that_knows_nothing_of_workers_is_named(monkeypatch, settings):
    monkeypatch.setitem(get_commands(), "runserver", "django.core")
    [warning] = check_runserver()

    assert warning.id == "channels.W001"
    assert warning.msg == "manage.py runserver is that of 'django.core' and runs no workers."
    assert warning.hint == (
        "Let its Command extend channels.management.commands.runserver.Command, "
        "or move 'channels' in front of 'django.core' in INSTALLED_APPS."
    )
    settings.CHANNEL_LAYERS = {}
    assert check_runserver() == []


@pytest.mark.parametrize(
    "listed", [["partner.example"], "https://partner.example", ["https://a.example/"], [None], None]
)
def test_what_no_browser_names_as_an_origin_is_told_at_the_start(settings, listed):
    settings.CHANNELS_ALLOWED_ORIGINS = listed

    [error] = check_allowed_origins()

    assert error.id == "channels.E005"
    assert f"CHANNELS_ALLOWED_ORIGINS is {listed!r}; expected a list of origins" in error.msg


def test_sockets_that_are_open_to_all_pages_are_told_of_before_a_deploy(settings):
    assert (check_allowed_origins(), check_any_origin()) == ([], [])
    settings.CHANNELS_ALLOWED_ORIGINS = ["*", "https://*.partner.example:8000"]

    assert check_allowed_origins() == []
    assert [warning.id for warning in check_any_origin()] == ["channels.W002"]
