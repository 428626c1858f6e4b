from django.urls import path

from . import views

urlpatterns = [
    path("", views.page),
    path("upload/", views.upload),
    path("download/", views.download),
    path("half/", views.half),
    path("slow/", views.slow),
    path("poll/", views.poll),
    path("publish/<name>/", views.publish),
]
