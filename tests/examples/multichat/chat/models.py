import json

from django.db import models

from channels import Group


class Room(models.Model):
    title = models.CharField(max_length=100)
    staff_only = models.BooleanField(default=False)

    def __str__(self):
        return self.title

    @property
    def members(self):
        return Group("room-%s" % self.id)

    def tell(self, event, user, text=""):
        """Tell everybody in the room what a user has done."""
        self.members.send({"text": json.dumps({"room": self.id, "event": event, "user": user.username, "text": text})})
