import types

from django.core.files.storage import InMemoryStorage
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from .pages import program


def test_an_upload_is_stored_and_told_of(make_site, settings, django_capture_on_commit_callbacks):
    settings.ROOT_URLCONF = types.ModuleType("urls")
    settings.ROOT_URLCONF.urlpatterns = program("docs/files.md", "upload").urlpatterns
    settings.MIDDLEWARE = []
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": f"{InMemoryStorage.__module__}.InMemoryStorage"}}
    site = make_site(default_routes=True)
    site.layer.group_add("room-1", "window")
    body = encode_multipart(BOUNDARY, {"file": types.SimpleNamespace(name="../note.txt", read=lambda: b"Hello")})
    headers = [
        [b"host", b"chat.example"],
        [b"content-type", MULTIPART_CONTENT.encode()],
        [b"content-length", str(len(body)).encode()],
    ]
    with django_capture_on_commit_callbacks(execute=True):
        [reply] = site.request("/rooms/1/files/", method="POST", headers=headers, body=body)

    assert (reply["status"], reply["content"]) == (200, b'{"name": "uploads/1/note.txt"}')
    [told] = site.received("window")
    assert told["text"].endswith("uploads/1/note.txt")


def test_a_download_is_left_to_the_proxy():
    response = program("docs/files.md", "download").download(None, "note.txt")

    assert dict(response.items()) == {"X-Accel-Redirect": "/protected/note.txt"}
