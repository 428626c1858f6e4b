import json

from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

from .consumers import note


def hello(request):
    return HttpResponse("Hello, world!")


def download(request):
    """Send 8 MiB."""

    def parts():
        yield from [bytes(2**16)] * 128
        note("download made")

    return StreamingHttpResponse(parts())


def inspect(request):
    """Read everything of a request that a client decides."""
    files = {name: file.size for name, file in request.FILES.items()}
    seen = {
        "host": request.get_host(),
        "uri": request.build_absolute_uri(),
        "get": dict(request.GET),
        "post": dict(request.POST),
        "cookies": request.COOKIES,
        "files": files,
        "type": request.content_type,
        "length": len(json.dumps(dict(request.headers))),
        "secure": request.is_secure(),
    }
    return JsonResponse(seen)


urlpatterns = [
    path("", hello),
    path("download/", download),
    path("inspect/", inspect),
    path("inspect/<path:rest>", lambda request, rest: inspect(request)),
]
