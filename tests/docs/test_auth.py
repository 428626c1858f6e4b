import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client


@pytest.fixture
def site(serve):
    return serve("docs/auth.md", "connect")


def sign_in(name):
    client = Client()
    client.force_login(get_user_model().objects.create_user(name))
    return client.cookies.output(header="", sep=";").strip()


def test_who_is_signed_in_talks_under_his_name(site, open_socket):
    anna, ben = (open_socket(site, cookie=sign_in(name)) for name in ("anna", "ben"))

    assert [anna.connect(), ben.connect()] == [[{"accept": True}]] * 2
    assert anna.send("hello") == ben.received() == [{"text": "anna: hello"}]


def test_a_stranger_is_refused(site, open_socket):
    assert open_socket(site).connect() == [{"accept": False}]


def test_a_page_of_another_site_is_refused_whoever_looks_at_it(site, open_socket):
    socket = open_socket(site, cookie=sign_in("anna"), origin="https://elsewhere.example")

    assert socket.connect() == [{"accept": False}]


def test_whose_account_is_closed_is_not_heard_any_more(site, open_socket):
    anna = open_socket(site, cookie=sign_in("anna"))
    anna.connect()
    get_user_model().objects.update(is_active=False)

    assert anna.send("hello") == []


def test_who_has_lost_a_permission_is_closed(serve, open_socket, settings, django_capture_on_commit_callbacks):
    settings.CHANNELS_SOCKETS_FOLLOW_ACCOUNT = 300
    cookie = sign_in("anna")
    user = get_user_model().objects.get()
    user.user_permissions.add(Permission.objects.get(codename="change_room"))
    anna = open_socket(serve("docs/auth.md", "recheck"), cookie=cookie)
    assert anna.connect() == [{"accept": True}]

    with django_capture_on_commit_callbacks(execute=True):
        user.user_permissions.clear()
    anna.received()
    anna.site.work()

    assert anna.received() == [{"close": 4403}]
