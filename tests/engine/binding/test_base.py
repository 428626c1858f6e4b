"""`channels.binding.base`: which bindings there are, and what they have to say."""

import subprocess
import sys

import pytest
from django.apps import apps

from channels.binding.base import Binding, BindingMetaclass
from channels.binding.websockets import WebsocketBinding, WebsocketBindingWithMembers

from ...baking import FOLDER, REPOSITORY
from .models import Book, Shelf


def test_a_class_without_a_model_is_refused():
    with pytest.raises(ValueError, match=r"Nameless has no model. Set it to one, or to None if others derive from"):
        type(Binding)("Nameless", (Binding,), {"fields": ["title"]})


def test_a_class_to_derive_others_from_needs_nothing():
    class Abstract(WebsocketBinding):
        model = None

    assert Abstract.get_registered_models() == []


def test_nothing_of_a_model_is_sent_unless_one_says_so():
    with pytest.raises(ValueError, match=r"Shy has neither fields nor exclude, .* set fields = \['__all__'\] for all"):
        type(Binding)("Shy", (Binding,), {"model": Book})


@pytest.mark.parametrize("name", ["pre_save_receiver", "post_change_receiver", "send_messages"])
def test_what_nothing_calls_any_more_is_refused(name):
    with pytest.raises(ValueError, match=rf"Old has {name}, which nothing calls since Channels 1"):
        type(Binding)("Old", (Binding,), {"model": Book, "fields": ["title"], name: lambda *arguments: None})


def test_a_relation_of_another_model_is_no_field():
    with pytest.raises(
        ValueError, match=r"Wrong.fields names 'book', but bound.shelf has no such field \(it has: id, "
    ):
        type(Binding)("Wrong", (Binding,), {"model": Shelf, "fields": ["name", "book"]})


@pytest.mark.parametrize("option", ["fields", "exclude"])
def test_a_misspelt_field_is_named(option):
    with pytest.raises(ValueError, match=rf"Wrong.{option} names 'titel', but bound.book has no such field \(it has: "):
        type(Binding)("Wrong", (Binding,), {"model": Book, option: ["titel"]})


def test_fields_that_are_one_text_are_refused():
    with pytest.raises(ValueError, match=r"Wrong.fields is the text 'title'; expected a list of names."):
        type(Binding)("Wrong", (Binding,), {"model": Book, "fields": "title"})


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"fields": ["title", "pages"]}, ["title", "pages"]),
        ({"fields": ("shelf", "tags")}, ["shelf", "tags"]),
        ({"fields": "__all__", "exclude": ["id", "added", "cover"]}, ["title", "pages", "published", "shelf", "tags"]),
        ({"exclude": ["id", "added", "cover", "tags", "shelf", "published"]}, ["title", "pages"]),
    ],
)
def test_fields_and_exclude_say_what_is_sent(options, names):
    binding = type(Binding)("Some", (Binding,), {"model": Book, **options})

    assert binding.field_names() == names


def test_what_a_form_would_not_show_cannot_be_set():
    binding = type(Binding)("All", (Binding,), {"model": Book, "fields": ["__all__"]})

    assert binding.settable_names() == ["title", "pages", "published", "shelf"]


def test_a_model_may_be_named():
    binding = type(Binding)("Named", (Binding,), {"model": "bound.Book", "fields": ["title"]})

    assert (binding.model, binding.model_label) == (Book, "bound.book")


def test_a_model_that_is_not_there_is_named():
    with pytest.raises(LookupError, match=r"bound.*Nothing"):
        type(Binding)("Lost", (Binding,), {"model": "bound.Nothing", "fields": ["title"]})


def test_a_binding_that_is_made_late_is_at_work_at_once(book_binding, look_at):
    member = look_at("shelf-None")
    Book.objects.create(title="Emma")
    book_binding()
    Book.objects.create(title="Persuasion")

    assert [title for _, _, title in member.told()] == ["Persuasion"]


def test_registering_once_more_tells_nothing_twice(book_binding, look_at):
    member = look_at("shelf-None")
    book_binding()
    BindingMetaclass.register_all()
    Book.objects.create(title="Emma")

    assert [title for _, _, title in member.told()] == ["Emma"]


def test_a_binding_that_is_not_registered_any_more_is_silent(book_binding, look_at):
    member = look_at("shelf-None")
    book_binding().unregister()
    Book.objects.create(title="Emma")

    assert member.told() == []


def test_the_old_names_are_there():
    assert issubclass(WebsocketBindingWithMembers, WebsocketBinding)
    assert apps.ready and BindingMetaclass.register_immediately


PROJECT = {
    "site_of_test/__init__.py": "",
    "site_of_test/settings.py": """
SECRET_KEY = "test"
INSTALLED_APPS = ["channels", "django.contrib.auth", "django.contrib.contenttypes", "bound"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CHANNEL_LAYERS = {
    "default": {"BACKEND": "channels.layers.inmemory.InMemoryChannelLayer", "ROUTING": "site_of_test.missing.routing"}
}
""",
    "bound/__init__.py": "",
    "bound/bindings.py": """
from channels.binding.websockets import WebsocketBinding

class GroupBinding(WebsocketBinding):
    model = "auth.Group"
    fields = ["name"]
    stream = "groups"

    @classmethod
    def group_names(cls, instance):
        return ["all"]
""",
}
SCRIPT = """
import django; django.setup()
from django.contrib.auth.models import Group
from django.core.management import call_command
from channels import channel_layers
call_command("migrate", verbosity=0)
layer = channel_layers["default"]
layer.group_add("all", "told")
Group.objects.create(name="Staff")
print(layer.receive(["told"])[1]["text"])
"""


def test_a_process_without_a_routing_tells_what_it_saves(tmp_path):
    """As a command, a shell or a WSGI server: nothing of the routing is ever brought in."""
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    environment = {"PYTHONPATH": f"{tmp_path}:{REPOSITORY / FOLDER}", "DJANGO_SETTINGS_MODULE": "site_of_test.settings"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True)

    assert done.stdout.startswith('{"stream": "groups", "payload": {"action": "create", "pk": 1, "data": '), done.stderr
