import hashlib
import time

from django.http import HttpResponse, JsonResponse, StreamingHttpResponse

from channels import Group
from channels.handler import AsgiRequest

from .notes import note

DOWNLOAD_SIZE = 64 * 2**20
_BLOCK_SIZE = 2**16


def blocks():
    """Yield what is downloaded: no two blocks are alike."""
    for number in range(DOWNLOAD_SIZE // _BLOCK_SIZE):
        yield number.to_bytes(8, "big") * (_BLOCK_SIZE // 8)


def page(request):
    return HttpResponse(f"Hello, {request.GET.get('name', 'world')}!")


def upload(request):
    digest, size = hashlib.sha256(), 0
    while chunk := request.read(_BLOCK_SIZE):
        digest.update(chunk)
        size += len(chunk)
    return JsonResponse({"checksum": digest.hexdigest(), "size": size})


def download(request):
    def made():
        yield from blocks()
        note("download made")

    return StreamingHttpResponse(made(), content_type="application/octet-stream")


def half(request):
    def begin():
        yield b"half a response"
        raise RuntimeError("The other half cannot be made.")

    return StreamingHttpResponse(begin())


def slow(request):
    """Take a second."""
    note("slow view begun")
    time.sleep(1)
    return HttpResponse("done")


def poll(request):
    """Be answered by a message to the group."""
    Group("polls").add(request.reply_channel)
    note("poll begun")
    raise AsgiRequest.ResponseLater


def publish(request, name):
    """Answer the long polls, or feed the event streams, with the body of this request."""
    content = {"polls": {"status": 200}, "events": {"more_content": True}}[name]
    Group(name).send({**content, "content": request.body})
    return HttpResponse("sent")
