from django.contrib.auth.views import LogoutView
from django.urls import path

from . import views

urlpatterns = [
    path("", views.account, name="account"),
    path("signup/", views.SignUp.as_view(), name="signup"),
    path("login/", views.SignIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("email/", views.ChangeEmail.as_view(), name="email"),
    path("password/", views.ChangePassword.as_view(), name="password_change"),
    path("reset/", views.Reset.as_view(), name="password_reset"),
    path("reset/sent/", views.ResetSent.as_view(), name="password_reset_done"),
    path("reset/<uidb64>/<token>/", views.NewPassword.as_view(), name="password_reset_confirm"),
]
