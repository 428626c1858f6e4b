"""Serve static files from a worker while ``DEBUG`` is on, as Django's own development server does."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles import utils
from django.contrib.staticfiles.views import serve
from django.core.handlers.exception import response_for_exception
from django.http.response import HttpResponseBase

from .handler.handler import AsgiHandler, ViewConsumer, view_consumer


class StaticFilesHandler(AsgiHandler):
    """Answers requests below ``STATIC_URL`` with the files that the finders find, the rest by the views."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        utils.check_settings()
        base_url = urlsplit(settings.STATIC_URL)
        # Files on another host are not ours to serve.
        self._path = base_url.path if not base_url.netloc else None

    def get_response(self, request: Any) -> HttpResponseBase:
        """Answer one request."""
        name = self._name_of_file(request)
        if name is None:
            return super().get_response(request)
        try:
            return serve(request, name, insecure=True)
        except Exception as error:
            return response_for_exception(request, error)

    def _name_of_file(self, request: Any) -> str | None:
        # Below a prefix, STATIC_URL begins with it only if Django knew of it at the start (FORCE_SCRIPT_NAME).
        for path in request.path, request.path_info:
            if self._path is not None and path.startswith(self._path):
                return url2pathname(path.removeprefix(self._path))
        return None


class StaticFilesConsumer(ViewConsumer):
    """The consumer for ``http.request`` that serves static files and views."""

    handler_class = StaticFilesHandler


def default_http_consumer(serve_static: bool | None = None) -> ViewConsumer:
    """Return the consumer for pages; it serves static files if asked to, by default while ``DEBUG`` is on."""
    if serve_static is None:
        serve_static = settings.DEBUG
    if serve_static and apps.is_installed("django.contrib.staticfiles"):
        return StaticFilesConsumer()
    return view_consumer
