from django.urls import path

from . import views

urlpatterns = [
    path("", views.page),
    path("upload/", views.upload),
    path("download/", views.download),
    path("half/", views.half),
    path("form/", views.show_form),
    path("wrong/<kind>/", views.wrong),
    path("tick/", views.tick),
    path("wait/", views.wait),
    path("think/", views.think),
    path("slow/", views.slow),
    path("poll/", views.poll),
    path("publish/<name>/", views.publish),
]
