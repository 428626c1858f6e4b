"""Models of an app that only the tests of bindings have."""
# ruff: noqa: DJ008

import uuid

from django.core.exceptions import ValidationError
from django.db import models


class Shelf(models.Model):
    name = models.CharField(max_length=20)

    class Meta:
        app_label = "bound"


class Tag(models.Model):
    name = models.CharField(max_length=20)

    class Meta:
        app_label = "bound"


class Book(models.Model):
    """A book stands on a shelf; who looks at the shelf is told of it."""

    title = models.CharField(max_length=20, unique=True)
    pages = models.PositiveIntegerField(default=1)
    published = models.DateField(null=True, blank=True)
    shelf = models.ForeignKey(Shelf, models.CASCADE, null=True, blank=True)
    tags = models.ManyToManyField(Tag)
    cover = models.FileField(blank=True)
    added = models.DateTimeField(auto_now_add=True)

    # Titles of which an instance has been deleted by its own delete().
    deleted = []

    class Meta:
        app_label = "bound"

    def clean(self):
        if self.title == "Untitled":
            raise ValidationError("A book needs a title of its own.")

    def delete(self, *args, **kwargs):
        Book.deleted.append(self.title)
        return super().delete(*args, **kwargs)

    @property
    def is_long(self):
        return self.pages > 300

    def label(self):
        return self.title.upper()


class ProxyBook(Book):
    class Meta:
        app_label = "bound"
        proxy = True


class Keyed(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=20)

    class Meta:
        app_label = "bound"


MODELS = (Shelf, Tag, Book, Keyed)
