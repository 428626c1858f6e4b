from django.urls import path

from . import views

urlpatterns = [
    path("", views.RoomList.as_view(), name="rooms"),
    path("new/", views.NewRoom.as_view(), name="new-room"),
    path("rooms/<str:slug>/", views.show_room, name="room"),
    path("rooms/<str:slug>/say/", views.say, name="say"),
    path("rooms/<str:slug>/history/", views.history, name="history"),
]
