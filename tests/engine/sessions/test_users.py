import threading

import pytest
from django.contrib import auth
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission, UserManager
from django.db import connection
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from channels.sessions import users
from channels.sessions.users import user_logged_in

BACKEND = "django.contrib.auth.backends.ModelBackend"
pytestmark = pytest.mark.django_db


class OwnBackend(ModelBackend):
    def get_user(self, user_id):
        return super().get_user(user_id)


class StrictBackend(ModelBackend):
    def user_can_authenticate(self, user):
        return super().user_can_authenticate(user)


@pytest.fixture(autouse=True)
def nobody_is_known():
    users._known.clear()
    users._is_plain.cache_clear()
    yield
    users._is_plain.cache_clear()


@pytest.fixture
def ann():
    return User.objects.create_user("ann", password="secret")


def login_of(user, backend=BACKEND):
    return {
        auth.SESSION_KEY: str(user.pk),
        auth.BACKEND_SESSION_KEY: backend,
        auth.HASH_SESSION_KEY: user.get_session_auth_hash(),
    }


def queries_for(session):
    with CaptureQueriesContext(
        connection,
    ) as queries:
        user_logged_in(session)
    return len(queries)


def test_a_user_who_is_known_costs_one_query_and_is_a_user_of_its_own_each_time(ann):
    session = login_of(ann)
    first, second = user_logged_in(session), user_logged_in(session)
    second.username = "changed by a consumer"

    assert first == second == ann
    assert user_logged_in(session).username == "ann"
    assert queries_for(session) == 1


@pytest.fixture
def give_users():
    """Return a function that gives each user that is made from now on what a function returns for it."""
    receivers = []

    def give_users(name, value_for):
        receivers.append(lambda instance, **options: setattr(instance, name, value_for(instance)))
        post_init.connect(receivers[-1], sender=User)

    yield give_users
    for receiver in receivers:
        post_init.disconnect(receiver, sender=User)


def test_what_a_consumer_changes_in_place_is_not_for_the_next_one(ann, give_users):
    session = login_of(ann)
    # As the value of a JSON field, and a file, which knows its user.
    give_users("preferences", lambda user: {"colours": ["red"], "of": user})
    for _ in range(3):
        user = user_logged_in(session)

        assert user.preferences == {"colours": ["red"], "of": user}
        assert user.preferences["of"] is user
        user.preferences["colours"].append("green")
        user._perm_cache = {"everything"}
    assert "_perm_cache" not in user_logged_in(session).__dict__
    assert queries_for(session) == 1


def test_users_that_cannot_be_copied_are_looked_up_each_time(ann, give_users):
    give_users("lock", lambda user: threading.Lock())

    assert user_logged_in(login_of(ann)) == user_logged_in(login_of(ann)) == ann
    assert users._known == {}


def test_what_was_changed_in_the_database_counts_at_once(ann):
    session = login_of(ann)
    user_logged_in(session)
    User.objects.filter(pk=ann.pk).update(first_name="Ann")

    assert user_logged_in(session).first_name == "Ann"
    assert queries_for(session) == 1


def change_password(user):
    user.set_password("another")
    user.save()


def deactivate(user):
    user.is_active = False
    user.save()


@pytest.mark.parametrize("end", [change_password, deactivate, User.delete])
def test_a_login_that_is_good_no_longer_ends_at_once(ann, end):
    session = login_of(ann)
    user_logged_in(session)
    end(User.objects.get(pk=ann.pk))

    assert user_logged_in(session).is_anonymous


def test_a_login_with_another_hash_is_none_although_the_user_is_known(ann):
    user_logged_in(login_of(ann))

    assert user_logged_in(login_of(ann) | {auth.HASH_SESSION_KEY: "forged"}).is_anonymous
    assert user_logged_in(
        {key: value for key, value in login_of(ann).items() if key != auth.HASH_SESSION_KEY}
    ).is_anonymous


def test_a_login_is_good_no_longer_when_the_secret_has_changed_or_its_backend_has_gone(ann, settings):
    session = login_of(ann)
    user_logged_in(session)
    settings.SECRET_KEY = "another"
    with_other_secret = user_logged_in(session)
    settings.SECRET_KEY_FALLBACKS, settings.AUTHENTICATION_BACKENDS = (
        [],
        ["tests.engine.sessions.test_users.OwnBackend"],
    )

    assert with_other_secret.is_anonymous
    assert user_logged_in(session).is_anonymous


def test_a_permission_that_was_given_counts_at_once(ann):
    session, permission = login_of(ann), Permission.objects.get(codename="add_user")
    assert not user_logged_in(session).has_perm("accounts.add_user")
    ann.user_permissions.add(permission)

    assert user_logged_in(session).has_perm("accounts.add_user")


def test_without_a_login_nobody_is_asked_for():
    assert user_logged_in({}).is_anonymous
    assert queries_for({}) == 0


@pytest.mark.parametrize("backend", [OwnBackend, StrictBackend])
def test_a_backend_that_is_not_djangos_is_asked_each_time(ann, settings, monkeypatch, backend):
    path = f"{__name__}.{backend.__name__}"
    settings.AUTHENTICATION_BACKENDS = [path]
    asked, get_user = [], backend.get_user
    monkeypatch.setattr(backend, "get_user", lambda self, key: asked.append(key) or get_user(self, key))
    for _ in range(3):
        assert user_logged_in(login_of(ann, path)) == ann

    assert len(asked) == 3


class OwnManager(UserManager):
    def get_queryset(self):
        return super().get_queryset().exclude(username="hidden")


def test_a_manager_of_the_sites_own_is_asked_each_time(ann, monkeypatch):
    manager = OwnManager()
    manager.model, manager.name = User, "objects"
    monkeypatch.setitem(User._meta.__dict__, "default_manager", manager)
    user_logged_in(login_of(ann))
    User.objects.filter(pk=ann.pk).update(username="hidden")

    assert users._known == {}
    assert user_logged_in(login_of(ann)).is_anonymous


def test_a_check_of_logins_of_the_sites_own_is_made_each_time(ann, monkeypatch):
    session = login_of(ann)
    monkeypatch.setattr(User, "get_session_auth_hash", lambda self: "own")

    assert user_logged_in(session | {auth.HASH_SESSION_KEY: "own"}) == ann
    assert users._known == {}


def test_users_that_work_out_whether_they_are_active_are_asked_each_time(ann, monkeypatch):
    session, banned = login_of(ann), set()
    is_active = property(lambda self: self.pk not in banned, lambda self, value: None)
    monkeypatch.setattr(User, "is_active", is_active)
    before = user_logged_in(session)
    banned.add(ann.pk)

    assert before == ann
    assert user_logged_in(session).is_anonymous


def test_no_more_than_so_many_users_are_kept(ann, monkeypatch):
    monkeypatch.setattr(users, "MOST_KNOWN", 2)
    everybody = [ann, *(User.objects.create_user(f"user{number}") for number in range(4))]
    for user in everybody:
        assert user_logged_in(login_of(user)) == user

    assert [known.user for known in users._known.values()] == everybody[-2:]
