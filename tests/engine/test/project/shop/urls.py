from django.contrib.auth import get_user_model
from django.http import HttpResponse
from django.urls import path


def customers(request):
    return HttpResponse(str(get_user_model().objects.count()))


urlpatterns = [path("", customers)]
