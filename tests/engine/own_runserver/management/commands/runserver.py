from channels.management.commands.runserver import Command as OurCommand


class Command(OurCommand):
    """A project's own command, as its developers may have one."""
