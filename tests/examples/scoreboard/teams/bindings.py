from channels.binding.websockets import WebsocketBinding
from channels.generic.websockets import WebsocketDemultiplexer

from .models import Team


class TeamBinding(WebsocketBinding):
    model = Team
    stream = "teams"
    fields = ["name", "points"]

    @classmethod
    def group_names(cls, instance):
        # Who has retired is on the board no longer.
        return [] if instance.retired else ["scores"]

    def has_permission(self, user, action, pk):
        if action == "delete":
            return user.is_superuser
        return user.is_authenticated


class Streams(WebsocketDemultiplexer):
    http_user = True
    consumers = {"teams": TeamBinding.consumer}

    def connection_groups(self):
        return ["scores"]
