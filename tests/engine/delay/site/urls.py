from django.http import HttpResponse
from django.urls import path

from channels import Channel


def later(request):
    """Send a message that comes back to the sender's socket, later."""
    Channel("later").send({"text": "now"}, delay=0.2)
    return HttpResponse("later")


urlpatterns = [path("later/", later)]
