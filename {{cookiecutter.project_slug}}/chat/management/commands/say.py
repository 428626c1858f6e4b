from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from channels import channel_layers
from chat.models import Message, Room

LATER = (
    "The channel layer in memory cannot be reached from another process: "
    "open windows show the message at their next sync, within 20 s."
)


class Command(BaseCommand):
    help = (
        "Say something in a room. It appears in the open windows at once, as any message does when it is saved; "
        "with the channel layer in memory, which other processes cannot reach, at their next sync, within 20 s."
    )

    def add_arguments(self, parser):
        parser.add_argument("room", help="the room as it stands in its address, for example general")
        parser.add_argument("text")
        parser.add_argument("--as", dest="user", help="who says it; the site itself when left out")

    def handle(self, *, room, text, user, **options):
        author = find_user(user) if user else None
        message = Message(room=find_room(room), author=author, text=text)
        try:
            message.full_clean()
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        message.save()
        if not channel_layers["default"].spans_processes:
            self.stderr.write(self.style.WARNING(LATER))


def find_room(slug):
    try:
        return Room.objects.get(slug=slug)
    except Room.DoesNotExist as error:
        known = ", ".join(Room.objects.order_by("slug").values_list("slug", flat=True)[:20])
        raise CommandError(f"There is no room {slug!r}. Rooms: {known or 'none yet'}.") from error


def find_user(name):
    users = get_user_model()
    try:
        return users.objects.get_by_natural_key(name)
    except users.DoesNotExist as error:
        raise CommandError(f"There is no user {name!r}.") from error
