import pytest
from django.core.management import CommandError, call_command

from chat.models import Message

pytestmark = pytest.mark.django_db


def test_without_a_user_the_site_speaks(room):
    call_command("say", "boat-shed", "Hello")

    assert Message.objects.get().author is None


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
