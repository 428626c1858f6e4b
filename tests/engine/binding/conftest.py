"""Bindings of one test, tables for their models, and what comes to the members of a group."""

import json

import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings

from channels import Group
from channels.binding.base import BindingMetaclass
from channels.binding.websockets import WebsocketBinding

from .models import MODELS, Book


@pytest.fixture(scope="package", autouse=True)
def app():
    """Install the app of the models, so that they know of each other."""
    with override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, "tests.engine.binding"]):
        yield


@pytest.fixture
def tables(transactional_db):
    """Make the tables of the models; what is sent after a commit takes real transactions."""
    with connection.schema_editor() as editor:
        for model in MODELS:
            editor.create_model(model)
    Book.deleted.clear()
    yield
    with connection.schema_editor() as editor:
        for model in reversed(MODELS):
            editor.delete_model(model)


@pytest.fixture
def site(make_site, tables):
    return make_site()


@pytest.fixture(autouse=True)
def bindings_end_with_their_test():
    before = list(BindingMetaclass.binding_classes)
    yield
    for binding in BindingMetaclass.binding_classes[len(before) :]:
        binding.unregister()


@pytest.fixture
def book_binding():
    """Return a function that makes a binding of books to their shelves, with whatever else it should have."""

    def make(**body):
        def group_names(cls, instance):
            return [f"shelf-{instance.shelf_id}"]

        body = {"model": Book, "stream": "books", "fields": ["title"], "group_names": classmethod(group_names)} | body
        return type(WebsocketBinding)("BookBinding", (WebsocketBinding,), body)

    return make


class Member:
    """A socket in a group."""

    def __init__(self, site, group, alias="default"):
        self.site = site
        self.channel = f"reply.{group}!1"
        Group(group, alias=alias).add(self.channel)

    def payloads(self):
        """Return the payloads that have come since the last look."""
        return [json.loads(content["text"])["payload"] for content in self.site.received(self.channel)]

    def told(self):
        """Return what has come, as (action, pk, title)."""
        return [(told["action"], told["pk"], told["data"].get("title")) for told in self.payloads()]


@pytest.fixture
def look_at(site):
    """Return a function that gives a socket in a group."""
    return lambda group: Member(site, group)
