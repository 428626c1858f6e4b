"""`config/settings.py`: what the environment says, and what happens when it says nothing."""

import json
import os
import re

import pytest
from django.core.exceptions import ImproperlyConfigured

from channels.layers import from_url
from config.environment import Environment, mail_settings

from ..baking import Baker, run

SECRET = {"SECRET_KEY": "a key of more than fifty characters, for the tests only"}


@pytest.fixture(scope="session")
def bare_project(template, tmp_path_factory):
    """A project without an `.env`: everything comes from the environment of the test."""
    return Baker(template, tmp_path_factory.mktemp("bare"))(accept_hooks=False)


@pytest.fixture
def settings_of(bare_project):
    def read(*names, **environment):
        code = (
            "import json; from django.conf import settings; "
            f"print(json.dumps([getattr(settings, name, None) for name in {names!r}], default=str))"
        )
        environment = SECRET | {"DJANGO_SETTINGS_MODULE": "config.settings"} | environment
        values = json.loads(run(bare_project, "-c", code, **environment).stdout)
        return values[0] if len(names) == 1 else values

    return read


@pytest.mark.parametrize("key", [{}, {"SECRET_KEY": ""}])
def test_without_a_secret_key_the_site_says_what_to_do(bare_project, key):
    refused = run(bare_project, "manage.py", "check", check=False, **key)

    assert refused.returncode == 1
    assert "ImproperlyConfigured: SECRET_KEY is not set." in refused.stdout
    assert "secrets.token_urlsafe(48)" in refused.stdout


def test_debug_is_off_unless_it_is_switched_on(settings_of):
    assert settings_of("DEBUG") is False
    assert settings_of("DEBUG", DEBUG="true") is True


def test_a_site_without_debug_insists_on_https(settings_of):
    names = ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS")

    assert settings_of(*names) == [True, True, True, 60]
    assert settings_of(*names, HSTS_SECONDS="31536000") == [True, True, True, 31536000]
    assert settings_of(*names, DEBUG="true") == [False, False, False, 0]
    assert settings_of(*names, USE_HTTPS="false") == [False, False, False, 0]


def test_the_header_of_a_proxy_is_believed_only_on_request(settings_of):
    assert settings_of("SECURE_PROXY_SSL_HEADER") is None
    assert settings_of("SECURE_PROXY_SSL_HEADER", BEHIND_PROXY="true") == ["HTTP_X_FORWARDED_PROTO", "https"]


def test_what_the_env_file_says_is_not_handed_on_to_child_processes(project):
    """They read it themselves, as it is when they start."""
    code = "import os, config.settings; print(config.settings.DEBUG, sorted({'DEBUG', 'SECRET_KEY'} & set(os.environ)))"

    assert run(project, "-c", code).stdout == "True []\n"


def test_messages_are_encrypted_on_request(settings_of):
    redis = {"CHANNEL_LAYER_URL": "redis://127.0.0.1/0"}

    configs = [settings_of("CHANNEL_LAYERS", **redis, **keys) for keys in ({}, {"CHANNEL_LAYER_KEYS": "new,old"})]

    assert [layers["default"]["CONFIG"].get("symmetric_encryption_keys") for layers in configs] == [
        None,
        ["new", "old"],
    ]


def test_lists_are_separated_by_commas(settings_of):
    assert settings_of("ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "SECRET_KEY_FALLBACKS") == [[], [], []]
    assert settings_of("ALLOWED_HOSTS", ALLOWED_HOSTS="a.example,b.example") == ["a.example", "b.example"]


@pytest.mark.parametrize("name", ["ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "SECRET_KEY_FALLBACKS"])
def test_blanks_around_the_items_of_a_list_do_not_count(settings_of, name):
    assert settings_of(name, **{name: " https://a.example , https://b.example,, "}) == [
        "https://a.example",
        "https://b.example",
    ]


def test_blanks_around_keys_and_hosts_of_the_channel_layer_do_not_count(settings_of):
    urls = ["redis://10.0.0.5/0, redis://10.0.0.6/0", "redis+sentinel://10.0.0.5, 10.0.0.6/main, other"]

    layers = [settings_of("CHANNEL_LAYERS", CHANNEL_LAYER_URL=url, CHANNEL_LAYER_KEYS="new, old") for url in urls]

    configs = [layer["default"]["CONFIG"] for layer in layers]
    assert [config["symmetric_encryption_keys"] for config in configs] == [["new", "old"]] * 2
    assert configs[0]["hosts"] == ["redis://10.0.0.5/0", "redis://10.0.0.6/0"]
    assert configs[1]["hosts"] == [["10.0.0.5", 26379], ["10.0.0.6", 26379]]
    assert configs[1]["services"] == ["main", "other"]


def test_a_text_may_start_with_a_dollar_sign(settings_of):
    assert settings_of("SITE_NAME", SITE_NAME="$HOME") == "$HOME"
    assert settings_of("SECRET_KEY", SECRET_KEY="$abc") == "$abc"
    assert settings_of("SECRET_KEY_FALLBACKS", SECRET_KEY_FALLBACKS="$abc,$def") == ["$abc", "$def"]


@pytest.mark.parametrize("level", ["debug", "DEBUG", " Debug "])
def test_the_log_level_may_be_written_in_any_case(settings_of, level):
    assert settings_of("LOGGING", LOG_LEVEL=level)["root"]["level"] == "DEBUG"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("LOG_LEVEL", "loud", "LOG_LEVEL is 'loud'; expected one of CRITICAL, FATAL, ERROR,"),
        ("WORKER_THREADS", "four", "WORKER_THREADS is 'four'; expected a whole number, for example 4."),
        ("WORKER_THREADS", "-1", "WORKER_THREADS is '-1'; expected a whole number, for example 4."),
        ("HSTS_SECONDS", "1 year", "HSTS_SECONDS is '1 year'; expected a whole number, for example 60."),
        ("DATABASE_URL", "db.sqlite3", "DATABASE_URL begins with 'db.sqlite3'; expected a URL such as sqlite:///"),
        ("DATABASE_URL", "mongo://host/db", "DATABASE_URL begins with 'mongo'; expected a URL such as sqlite:///"),
    ],
)
def test_a_value_that_cannot_be_read_is_named_in_a_sentence(bare_project, name, value, expected):
    refused = run(bare_project, "manage.py", "check", check=False, **SECRET, **{name: value})

    assert refused.returncode == 1
    assert f"ImproperlyConfigured: {expected}" in refused.stdout
    assert refused.stdout.endswith("Change it in the environment or in .env.\n")


@pytest.mark.parametrize(
    ("url", "path"), [("ipc://", ".ipc"), ("ipc://var/ipc", "var/ipc"), ("ipc:///run/chat?size=8388608", "/run/chat")]
)
def test_the_folder_of_the_ipc_layer_is_the_same_wherever_a_process_is_started(settings_of, url, path):
    layers, threads, folder = settings_of("CHANNEL_LAYERS", "WORKER_THREADS", "BASE_DIR", CHANNEL_LAYER_URL=url)

    assert layers["default"]["BACKEND"] == "channels.layers.ipc.IPCChannelLayer"
    assert layers["default"]["CONFIG"]["path"] == os.path.join(folder, path)
    assert threads == 0


def test_the_memory_layer_has_workers_beside_the_interface_server(settings_of):
    layers, threads = settings_of("CHANNEL_LAYERS", "WORKER_THREADS")

    assert layers["default"]["BACKEND"] == "channels.layers.inmemory.InMemoryChannelLayer"
    assert layers["default"]["ROUTING"] == "config.routing.channel_routing"
    assert threads == 4
    assert settings_of("WORKER_THREADS", WORKER_THREADS="2") == 2


def test_an_unknown_channel_layer_is_named(bare_project):
    refused = run(bare_project, "manage.py", "check", check=False, CHANNEL_LAYER_URL="pigeon://loft", **SECRET)

    assert refused.returncode == 1
    assert "'pigeon'" in refused.stdout
    assert "CHANNEL_LAYER_URL" in refused.stdout


def test_a_relative_database_lies_beside_manage_py(bare_project, settings_of):
    databases = settings_of("DATABASES")

    assert databases["default"]["NAME"] == str(bare_project / "db.sqlite3")
    assert (
        settings_of("DATABASES", DATABASE_URL="sqlite:////srv/chat.sqlite3")["default"]["NAME"] == "/srv/chat.sqlite3"
    )


def test_sqlite_lets_readers_and_writers_work_at_once(settings_of):
    options = settings_of("DATABASES")["default"]["OPTIONS"]

    assert options["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in options["init_command"]


def test_other_databases_get_no_options_of_sqlite(settings_of):
    database = settings_of("DATABASES", DATABASE_URL="postgres://user:password@db.example:5433/chat")["default"]

    assert (database["HOST"], database["PORT"], database["NAME"]) == ("db.example", 5433, "chat")
    assert "OPTIONS" not in database


@pytest.mark.parametrize(
    ("query", "age", "checks"),
    [
        ("", 60, True),
        ("?conn_max_age=0", 0, True),
        ("?conn_max_age=0&conn_health_checks=false", 0, False),
        ("?CONN_MAX_AGE=none&CONN_HEALTH_CHECKS=no", None, False),
        ("?conn_max_age=2.5&conn_health_checks=TRUE", 2.5, True),
    ],
)
def test_what_the_url_of_the_database_says_wins(settings_of, query, age, checks):
    database = settings_of("DATABASES", DATABASE_URL=f"postgres://db.example/chat{query}")["default"]

    assert (database["CONN_MAX_AGE"], database["CONN_HEALTH_CHECKS"]) == (age, checks)


def test_options_of_the_database_driver_are_numbers_truth_values_or_texts(settings_of):
    query = "connect_timeout=5&sslmode=require&require_auth=none&pool=true&tcp_user_timeout=1.5"

    database = settings_of("DATABASES", DATABASE_URL=f"postgres://db.example/1?{query}")["default"]

    assert database["NAME"] == "1"
    assert database["OPTIONS"] == {
        "connect_timeout": 5,
        "sslmode": "require",
        "require_auth": "none",
        "pool": True,
        "tcp_user_timeout": 1.5,
    }


def test_options_of_sqlite_in_the_url_leave_the_others_as_they_are(settings_of):
    usual, own = (
        settings_of("DATABASES", DATABASE_URL=f"sqlite:///x.db{query}")["default"]["OPTIONS"]
        for query in ("", "?timeout=60&cached_statements=7")
    )

    assert own == usual | {"timeout": 60, "cached_statements": 7}


def test_every_variable_is_read_once_and_explained_in_the_example_file(project):
    read = re.findall(r'\benv(?:\.\w+)?\(\s*"([A-Z_]+)"', (project / "config" / "settings.py").read_text("utf-8"))
    example = (project / ".env.example").read_text("utf-8").splitlines()
    explained = {}
    for number, line in enumerate(example):
        if match := re.match(r"#?([A-Z][A-Z_]+)=", line):
            above = next(line for line in reversed(example[:number]) if not re.match(r"#?[A-Z][A-Z_]+=", line))
            explained[match[1]] = above.startswith("# ")

    assert sorted(read) == sorted(explained.keys() - {"REDIS_PASSWORD", "COMPOSE_DATABASE_URL"})
    assert [name for name, is_explained in explained.items() if not is_explained] == []


@pytest.fixture
def environment(monkeypatch):
    """Return a function that gives the environment that holds these variables."""

    def environment(**variables):
        monkeypatch.setattr(Environment, "ENVIRON", variables)
        return Environment()

    return environment


@pytest.mark.parametrize(
    ("layer", "variables", "location", "prefix"),
    [
        ("memory://", {}, None, None),
        ("redis://:pw@10.0.0.5/1?prefix=shop:&capacity=5", {}, "redis://:pw@10.0.0.5/1", "shop:cache"),
        ("redis://10.0.0.5,10.0.0.6", {}, "redis://10.0.0.5", "channels:cache"),
        ("redis+sentinel://10.0.0.5/main", {}, None, None),
        ("memory://", {"REDIS_URL": "rediss://10.0.0.7/2"}, "rediss://10.0.0.7/2", "channels:cache"),
        ("redis://10.0.0.5", {"REDIS_URL": "redis://10.0.0.7"}, "redis://10.0.0.7", "channels:cache"),
    ],
)
def test_the_cache_lies_on_redis_where_redis_is_there(environment, layer, variables, location, prefix):
    cache = environment(**variables).shared_cache("REDIS_URL", from_url(layer)["CONFIG"])

    assert cache["BACKEND"].endswith("LocMemCache" if location is None else "RedisCache")
    assert (cache.get("LOCATION"), cache.get("KEY_PREFIX")) == (location, prefix)


@pytest.mark.parametrize(
    ("url", "backend", "options"),
    [
        ("", "console", {}),
        ("dummymail://", "dummy", {}),
        ("filemail:////var/mail", "filebased", {"file_path": "/var/mail"}),
        (
            "smtp+tls://me%40site:p%23w@mail.example",
            "smtp",
            {"host": "mail.example", "port": 587, "username": "me@site", "password": "p#w", "use_tls": True},
        ),
        ("smtp+ssl://mail.example", "smtp", {"host": "mail.example", "port": 465, "use_ssl": True}),
        ("smtp://10.0.0.5:2525", "smtp", {"host": "10.0.0.5", "port": 2525, "username": "", "timeout": 10}),
    ],
)
def test_one_variable_says_how_mail_is_sent(environment, url, backend, options):
    mailer = environment(EMAIL_URL=url).mailer("EMAIL_URL", "consolemail://")

    assert mailer["BACKEND"] == f"django.core.mail.backends.{backend}.EmailBackend"
    assert mailer["OPTIONS"].items() >= options.items()


def test_older_versions_of_django_get_the_same_in_settings_of_their_own(environment):
    url = "smtp+tls://me:secret@mail.example"

    assert mail_settings(environment(EMAIL_URL=url).mailer("EMAIL_URL", "")) == {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": "mail.example",
        "EMAIL_PORT": 587,
        "EMAIL_HOST_USER": "me",
        "EMAIL_HOST_PASSWORD": "secret",
        "EMAIL_USE_TLS": True,
        "EMAIL_USE_SSL": False,
        "EMAIL_TIMEOUT": 10,
    }


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda env: env.choice("X", ["line", "json"]), "X is 'what'; expected one of line, json."),
        (lambda env: env.mailer("X", ""), "X begins with 'what'; expected a URL such as smtp+tls://"),
    ],
)
def test_a_word_or_url_that_makes_no_sense_is_named_in_a_sentence(environment, read, expected):
    with pytest.raises(ImproperlyConfigured, match=re.escape(expected)):
        read(environment(X="what"))


def test_production_has_what_is_safest_and_one_variable_changes_each(settings_of):
    names = ("PASSWORD_HASHERS", "RATE_LIMITS", "LOGGING", "MAILERS", "CACHES", "AUTH_USER_MODEL")
    hashers, limits, logging, mailers, caches, model = settings_of(*names)
    others = {"RATE_LIMITS": "false", "LOG_FORMAT": "JSON", "SENTRY_DSN": "https://key@127.0.0.1/1"}
    no_limits, as_json = settings_of("RATE_LIMITS", "LOGGING", **others)

    assert hashers[0] == "django.contrib.auth.hashers.Argon2PasswordHasher"
    assert (limits["signup"], no_limits) == ([20, 3600], {})
    assert [logs["handlers"]["console"]["formatter"] for logs in (logging, as_json)] == ["line", "json"]
    assert mailers["default"]["BACKEND"] == "django.core.mail.backends.dummy.EmailBackend"
    assert caches["default"]["BACKEND"] == "django.core.cache.backends.locmem.LocMemCache"
    assert model == "accounts.User"


def test_a_tracker_of_errors_whose_package_is_missing_is_told_in_a_sentence(bare_project):
    code = "import sys; sys.modules['sentry_sdk'] = None; import config.settings"

    refused = run(bare_project, "-c", code, check=False, SENTRY_DSN="https://key@127.0.0.1/1", **SECRET)

    assert "ImproperlyConfigured: SENTRY_DSN is set, but sentry-sdk is not installed." in refused.stdout


SIGNS_UP_WITHOUT_TABLES = """
import json, sentry_sdk
from sentry_sdk.transport import Transport

class Printing(Transport):
    def capture_envelope(self, envelope):
        print("REPORT", *[json.dumps(item.payload.json) for item in envelope.items])

init = sentry_sdk.init
sentry_sdk.init = lambda **options: init(transport=Printing, **options)
import django
django.setup()
from django.test import Client

fields = {"username": "anna", "password1": PASSWORD, "password2": PASSWORD}
Client(raise_request_exception=False, SERVER_NAME="localhost").post("/accounts/signup/", fields)
sentry_sdk.flush()
"""


def test_a_tracker_of_errors_never_learns_a_password(bare_project):
    code = SIGNS_UP_WITHOUT_TABLES.replace("PASSWORD", "''.join(['river', '-stone'])")
    variables = {"SENTRY_DSN": "https://key@127.0.0.1/1", "DEBUG": "true", "DJANGO_SETTINGS_MODULE": "config.settings"}

    [report] = re.findall("REPORT.*", run(bare_project, "-c", code, **variables, **SECRET).stdout)

    assert "no such table" in report
    assert "river-stone" not in report


def test_the_environment_wins_over_the_env_file(project):
    code = "from django.conf import settings; print(settings.SITE_NAME, settings.DEBUG)"

    shown = run(project, "-c", code, DJANGO_SETTINGS_MODULE="config.settings", SITE_NAME="Other")

    assert shown.stdout == "Other True\n"


def test_the_settings_load_no_app_and_no_model(project):
    code = "import sys, config.settings; print(*sorted(sys.modules), sep='\\n')"

    loaded = run(project, "-c", code).stdout.splitlines()

    assert "config.settings" in loaded
    for package in ("chat", "django.contrib", "django.db.models"):
        assert [name for name in loaded if f"{name}.".startswith(f"{package}.")] == []
