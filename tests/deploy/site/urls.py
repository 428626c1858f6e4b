import os

from django.http import HttpResponse
from django.urls import path


def worker(request):
    return HttpResponse(str(os.getpid()))


urlpatterns = [path("worker/", worker)]
