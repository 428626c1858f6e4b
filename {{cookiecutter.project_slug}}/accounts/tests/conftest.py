"""What tests share that have to do with users."""

import uuid

import pytest
from django.conf import settings as site_settings
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import translation

from channels.test import memory_layers


@pytest.fixture(autouse=True)
def fresh_layer():
    with memory_layers():
        yield


@pytest.fixture(autouse=True)
def language_of_the_site():
    """Leave nothing of the language of a test's visitor to the next test."""
    with translation.override(site_settings.LANGUAGE_CODE):
        yield


@pytest.fixture
def anna(db):
    return get_user_model().objects.create_user("anna", "anna@example.com", "river-stone-77")


@pytest.fixture
def signed_in():
    """Return a function that gives the browser of a user."""

    def sign_in(user):
        client = Client()
        client.force_login(user)
        assert site_settings.SESSION_COOKIE_NAME in client.cookies
        return client

    return sign_in


@pytest.fixture
def counting(settings):
    """A cache of its own, in which nothing has been counted yet. A test sets the limits that it is about."""
    memory = "django.core.cache.backends.locmem.LocMemCache"
    settings.CACHES = {"default": {"BACKEND": memory, "LOCATION": str(uuid.uuid4())}}
