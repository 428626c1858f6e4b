import asyncio
import hashlib
import time

from django.http import HttpResponse, JsonResponse, StreamingHttpResponse

from channels import Group
from channels.handler import AsgiRequest
from channels.handler.responses import WINDOW

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


def show_form(request):
    """Say what came of a form."""
    files = {name: file.size for name, file in request.FILES.items()}
    return JsonResponse({"form": request.POST.dict(), "files": files, "length": request.META.get("CONTENT_LENGTH")})


def wrong(request, kind):
    """Answer with what HTTP does not allow."""
    note("wrong view begun")
    response = HttpResponse("12345")
    if kind == "length":
        response["Content-Length"] = "6"
    elif kind == "status":
        response.status_code = 199
    elif kind == "connection":
        response["Transfer-Encoding"] = "chunked"
    return response


def tick(request):
    """Send a part now and then, for ever."""

    def parts():
        try:
            while True:
                yield b"tick\n"
                time.sleep(0.2)
        finally:
            note("tick ended")

    return StreamingHttpResponse(parts())


async def wait(request):
    """Send one part, and then nothing more."""

    async def parts():
        try:
            yield b"begun\n"
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            note("wait cancelled")
            raise

    return StreamingHttpResponse(parts())


async def think(request):
    """Never answer."""
    note("think begun")
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        note("think cancelled")
        raise


def half(request):
    def begin():
        # As many parts as are waited for, so that the client has seen some of them.
        yield from [b"half a response"] * WINDOW
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
