"""Signing up and in, and what belongs to an account: Django's own views, with the templates and limits of this site."""

from urllib.parse import urljoin, urlsplit

from django.contrib.auth import login
from django.contrib.auth import views as djangos
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import RedirectURLMixin
from django.contrib.messages.views import SuccessMessageMixin
from django.db import IntegrityError, transaction
from django.http import HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import CreateView, UpdateView

from .forms import ChangePasswordForm, EmailForm, NewPasswordForm, ResetForm, SignInForm, SignUpForm
from .limits import LimitedAttempts, LimitedForm, address_of
from .models import TAKEN, User


class AccountPage(RedirectURLMixin):
    """Remembers where the visitor came from, in the form and in the links to the other account pages."""

    def get_redirect_url(self):
        """Return where the visitor came from; nothing for another site, nor for the account pages themselves."""
        url = super().get_redirect_url()
        account_pages = urljoin(self.request.path, "..")  # /accounts/, wherever the site is mounted
        path = urlsplit(urljoin(self.request.path, url)).path
        return "" if path.startswith(account_pages) else url

    def get_context_data(self, **kwargs):
        return super().get_context_data(**kwargs) | {"next": self.get_success_url()}


class SignIn(AccountPage, LimitedAttempts, djangos.LoginView):
    """Sign in, and go on where the visitor came from."""

    template_name = "accounts/login.html"
    form_class = SignInForm
    redirect_authenticated_user = True


@method_decorator(sensitive_post_parameters(), name="dispatch")
class SignUp(AccountPage, LimitedForm, CreateView):
    """Make an account, and go on signed in where the visitor came from."""

    template_name = "accounts/signup.html"
    form_class = SignUpForm
    next_page = "rooms"

    def counted(self, form):
        return [("signup", address_of(self.request))]

    def accept(self, form):
        try:
            with transaction.atomic():
                user = form.save()
        except IntegrityError:  # somebody has taken the name just now
            form.add_error("username", TAKEN)
            return self.form_invalid(form)
        login(self.request, user)
        return HttpResponseRedirect(self.get_success_url())


@login_required
def account(request):
    """Show what belongs to the visitor's account."""
    return render(request, "accounts/account.html")


class ChangePassword(LimitedAttempts, SuccessMessageMixin, djangos.PasswordChangeView):
    """Other browsers that are signed in to the account are signed out by the new password."""

    template_name = "accounts/password.html"
    form_class = ChangePasswordForm
    success_url = reverse_lazy("account")
    success_message = _("Your password is changed. Everywhere else you are signed out.")


class ChangeEmail(LoginRequiredMixin, LimitedAttempts, SuccessMessageMixin, UpdateView):
    template_name = "accounts/email.html"
    form_class = EmailForm
    success_url = reverse_lazy("account")
    success_message = _("Your e-mail address is changed.")

    def get_object(self, queryset=None):
        # Not the user that the page shows: the form writes into it what may be wrong.
        return User.objects.get(pk=self.request.user.pk)


class Reset(LimitedForm, djangos.PasswordResetView):
    """Send a link to a new password. The answer is the same whether somebody here has the address or not."""

    template_name = "accounts/reset.html"
    form_class = ResetForm

    def counted(self, form):
        return [("reset", address_of(self.request)), ("reset_email", form.cleaned_data["email"].casefold())]


class ResetSent(djangos.PasswordResetDoneView):
    template_name = "accounts/reset_sent.html"


class NewPassword(SuccessMessageMixin, djangos.PasswordResetConfirmView):
    """Where the link leads: once, for three days, and as long as the password and the address stay the same."""

    template_name = "accounts/new_password.html"
    form_class = NewPasswordForm
    success_url = reverse_lazy("login")
    success_message = _("Your password is changed. Sign in with the new one.")
