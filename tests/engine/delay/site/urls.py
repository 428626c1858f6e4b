from django.http import HttpResponse
from django.urls import path

from channels import Channel


def later(request):
    Channel("later").send({"text": "It is later now"}, delay=0.2)
    return HttpResponse("later")


urlpatterns = [path("later/", later)]
