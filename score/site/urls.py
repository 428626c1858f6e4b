import json

from django.http import HttpResponse, JsonResponse
from django.urls import path


def hello(request):
    return HttpResponse("Hello, world!")


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
    path("inspect/", inspect),
    path("inspect/<path:rest>", lambda request, rest: inspect(request)),
]
