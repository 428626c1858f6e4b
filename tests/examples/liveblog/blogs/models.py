# ruff: noqa: DJ012
import json

from django.db import models
from django.template.defaultfilters import linebreaks_filter
from django.urls import reverse

from channels import Group


class Blog(models.Model):
    title = models.CharField(max_length=200)
    slug = models.SlugField(unique=True)

    def __str__(self):
        return self.title

    def get_absolute_url(self):
        return reverse("blog", kwargs={"slug": self.slug})

    @property
    def readers(self):
        """The sockets of all who have the blog open."""
        return Group("blog-%i" % self.id)


class Entry(models.Model):
    blog = models.ForeignKey(Blog, related_name="entries", on_delete=models.CASCADE)
    text = models.TextField()
    written = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-written",)

    def __str__(self):
        return "#%s of %s" % (self.id, self.blog)

    def as_html(self):
        return linebreaks_filter(self.text)

    def tell_readers(self):
        content = {"id": self.id, "html": self.as_html(), "written": self.written.isoformat()}
        self.blog.readers.send({"text": json.dumps(content)})

    def save(self, *args, **kwargs):
        super(Entry, self).save(*args, **kwargs)
        self.tell_readers()
