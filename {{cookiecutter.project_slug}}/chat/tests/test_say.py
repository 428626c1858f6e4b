from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from channels import channel_layers
from channels.asgi import ChannelLayerWrapper
from channels.layers.inmemory import InMemoryChannelLayer
from chat.models import Message

pytestmark = pytest.mark.django_db


def test_without_a_user_the_site_speaks(room):
    call_command("say", "boat-shed", "Hello")

    assert Message.objects.get().author is None


def test_the_layer_in_memory_makes_the_windows_wait_and_the_command_says_so(room):
    errors = StringIO()
    call_command("say", "boat-shed", "Hello", stderr=errors)

    assert errors.getvalue() == (
        "The channel layer in memory cannot be reached from another process: "
        "open windows show the message at their next sync, within 20 s.\n"
    )


def test_with_a_layer_that_spans_processes_there_is_nothing_to_say(room):
    class SharedLayer(InMemoryChannelLayer):
        spans_processes = True

    replaced = channel_layers.set("default", ChannelLayerWrapper(SharedLayer(), "default"))
    errors = StringIO()
    try:
        call_command("say", "boat-shed", "Hello", stderr=errors)
    finally:
        channel_layers.set("default", replaced)

    assert errors.getvalue() == ""


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["harbour", "Hello"], "There is no room 'harbour'. Rooms: boat-shed."),
        (["boat-shed", "Hello", "--as", "nobody"], "There is no user 'nobody'."),
        (["boat-shed", " "], "Write something first."),
        (["boat-shed", "x" * 2001], "Ensure this value has at most 2000 characters (it has 2001)."),
    ],
)
def test_a_mistake_is_explained(room, arguments, problem):
    with pytest.raises(CommandError) as error:
        call_command("say", *arguments)

    assert str(error.value) == problem
