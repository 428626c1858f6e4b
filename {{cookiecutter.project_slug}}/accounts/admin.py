from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.admin import UserAdmin as DjangosUserAdmin

from .forms import AdminChangeForm, AdminCreationForm, SignInForm
from .models import User


@admin.register(User)
class UserAdmin(DjangosUserAdmin):
    form = AdminChangeForm
    add_form = AdminCreationForm


class AdminSignInForm(SignInForm, AdminAuthenticationForm):
    """The admin has a sign-in page of its own, with the same limits."""

    error_messages = AdminAuthenticationForm.error_messages


admin.site.login_form = AdminSignInForm
