from contextlib import contextmanager

from django import forms
from django.contrib.auth.forms import (
    AdminUserCreationForm,
    AuthenticationForm,
    BaseUserCreationForm,
    PasswordChangeForm,
    PasswordResetForm,
    SetPasswordForm,
    UserChangeForm,
)
from django.core.exceptions import ValidationError
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from channels import Channel

from . import limits
from .models import User
from .names import LONGEST, look_of

# What AUTH_PASSWORD_VALIDATORS want, in short: who does not keep to it is told more.
PASSWORD_RULES = _("Eight characters or more, but not a common password, your name, or digits alone.")
EMAIL_USE = _("Only for a link to a new password, if you forget yours. Nobody sees it.")


class SignUpForm(BaseUserCreationForm):
    username = BaseUserCreationForm.Meta.field_classes["username"](
        label=_("Username"), max_length=LONGEST, help_text=_("Letters, digits and @ . + - _")
    )

    class Meta(BaseUserCreationForm.Meta):
        model = User
        fields = ["username", "email"]
        labels = {"email": _("E-mail (optional)")}
        help_texts = {"email": EMAIL_USE}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["email"].widget.attrs["autocomplete"] = "email"
        self.fields["password1"].help_text = PASSWORD_RULES
        self.fields["password2"].help_text = ""

    def validate_password_for_user(self, user, **options):
        """Say what is wrong with the password where it is chosen."""
        super().validate_password_for_user(user, "password1")


class PasswordAttempts:
    """A form with a password. Attempts are counted before it is looked at, so that no number of them runs at once."""

    too_many = None

    def attempts(self):
        """Return pairs: a limit, and who it is counted for; the widest first, so that many names make few counters."""
        raise NotImplementedError

    @contextmanager
    def attempt(self):
        """Count an attempt, and take it back if the password is right: if what is done meanwhile raises nothing."""
        attempts = self.attempts()
        try:
            limits.spend_all(attempts)
        except limits.TooMany as too_many:
            self.too_many = too_many
            raise ValidationError(str(too_many), code="rate") from None
        yield
        limits.give_all_back(attempts)


class SignInForm(PasswordAttempts, AuthenticationForm):
    error_messages = AuthenticationForm.error_messages | {
        "invalid_login": _("This name and this password do not belong together. Mind capital letters in the password.")
    }

    def clean(self):
        with self.attempt():
            return super().clean()

    def attempts(self):
        name = look_of(self.cleaned_data.get("username", ""))
        address = limits.address_of(self.request)
        return [
            ("login_address", address),
            ("login", address and f"{address} {name}"),
            ("login_name", name),
        ]


class ResetForm(PasswordResetForm):
    """Leaves it to a worker to send the mail: the answer takes as long for an address that nobody here has."""

    def save(self, *, request, use_https, **options):
        Channel("accounts-reset").send(
            {
                "email": self.cleaned_data["email"],
                "host": request.get_host(),
                "secure": use_https,
                "language": get_language(),
            }
        )


class NewPasswordForm(SetPasswordForm):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["new_password1"].help_text = PASSWORD_RULES


class ChangePasswordForm(PasswordAttempts, PasswordChangeForm, NewPasswordForm):
    def attempts(self):
        return [("password", str(self.user.pk))]

    def clean_old_password(self):
        with self.attempt():
            return super().clean_old_password()


class EmailForm(PasswordAttempts, forms.ModelForm):
    """Wants the password too: whoever has the address has the account."""

    password = forms.CharField(
        label=_("Your password"), strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )

    class Meta:
        model = User
        fields = ["email"]
        labels = {"email": _("E-mail")}
        help_texts = {"email": EMAIL_USE}
        widgets = {"email": forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True})}

    def attempts(self):
        return [("password", str(self.instance.pk))]

    def clean_password(self):
        with self.attempt():
            if not self.instance.check_password(self.cleaned_data["password"]):
                raise ValidationError(_("This is not your password."), code="password_incorrect")


class AdminCreationForm(AdminUserCreationForm):
    class Meta(AdminUserCreationForm.Meta):
        model = User


class AdminChangeForm(UserChangeForm):
    class Meta(UserChangeForm.Meta):
        model = User
