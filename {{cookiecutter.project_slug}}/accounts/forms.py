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

from channels import Channel

from . import limits
from .models import User
from .names import LONGEST, look_of

# What AUTH_PASSWORD_VALIDATORS want, in short: who does not keep to it is told more.
PASSWORD_RULES = "Eight characters or more, but not a common password, your name, or digits alone."  # noqa: S105
EMAIL_USE = "Only for a link to a new password, if you forget yours. Nobody sees it."


class SignUpForm(BaseUserCreationForm):
    username = BaseUserCreationForm.Meta.field_classes["username"](
        label="Username", max_length=LONGEST, help_text="Letters, digits and @ . + - _"
    )

    class Meta(BaseUserCreationForm.Meta):
        model = User
        fields = ["username", "email"]
        labels = {"email": "E-mail (optional)"}
        help_texts = {"email": EMAIL_USE}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["email"].widget.attrs["autocomplete"] = "email"
        self.fields["password1"].help_text = PASSWORD_RULES
        self.fields["password2"].help_text = ""

    def validate_password_for_user(self, user, **options):
        """Say what is wrong with the password where it is chosen."""
        super().validate_password_for_user(user, "password1")


class SignInForm(AuthenticationForm):
    """Each attempt is counted before the password is looked at, so that no number of them can run at once."""

    error_messages = AuthenticationForm.error_messages | {
        "invalid_login": "This name and this password do not belong together. Mind capital letters in the password."
    }
    too_many = None

    def clean(self):
        attempts = self.attempts()
        try:
            for limit, who in attempts:
                limits.spend(limit, who)
        except limits.TooMany as too_many:
            self.too_many = too_many
            raise ValidationError(str(too_many), code="rate") from None
        cleaned = super().clean()
        for limit, who in attempts:
            limits.give_back(limit, who)
        return cleaned

    def attempts(self):
        name = look_of(self.cleaned_data.get("username", ""))
        address = limits.address_of(self.request)
        return [
            ("login", address and f"{address} {name}"),
            ("login_address", address),
            ("login_name", name),
        ]


class ResetForm(PasswordResetForm):
    """Leaves it to a worker to send the mail: the answer takes as long for an address that nobody here has."""

    def save(self, *, request, use_https, **options):
        Channel("accounts-reset").send(
            {"email": self.cleaned_data["email"], "host": request.get_host(), "secure": use_https}
        )


class NewPasswordForm(SetPasswordForm):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["new_password1"].help_text = PASSWORD_RULES


class ChangePasswordForm(PasswordChangeForm, NewPasswordForm):
    pass


class EmailForm(forms.ModelForm):
    """Wants the password too: whoever has the address has the account."""

    password = forms.CharField(
        label="Your password", strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )

    class Meta:
        model = User
        fields = ["email"]
        labels = {"email": "E-mail"}
        help_texts = {"email": EMAIL_USE}
        widgets = {"email": forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True})}

    def clean_password(self):
        if not self.instance.check_password(self.cleaned_data["password"]):
            raise ValidationError("This is not your password.", code="password_incorrect")


class AdminCreationForm(AdminUserCreationForm):
    class Meta(AdminUserCreationForm.Meta):
        model = User


class AdminChangeForm(UserChangeForm):
    class Meta(UserChangeForm.Meta):
        model = User
