from django.contrib.auth.views import LogoutView
from django.urls import path

from . import views

urlpatterns = [
    path("", views.RoomList.as_view(), name="rooms"),
    path("new/", views.NewRoom.as_view(), name="new-room"),
    path("rooms/<str:slug>/", views.show_room, name="room"),
    path("rooms/<str:slug>/say/", views.say, name="say"),
    path("rooms/<str:slug>/history/", views.history, name="history"),
    path("accounts/signup/", views.SignUp.as_view(), name="signup"),
    path("accounts/login/", views.SignIn.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
]
