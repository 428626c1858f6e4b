from django.db import models


class Team(models.Model):
    name = models.CharField(max_length=30, unique=True)
    points = models.IntegerField(default=0)
    retired = models.BooleanField(default=False)

    class Meta:
        ordering = ("name",)

    def __str__(self):
        return self.name
