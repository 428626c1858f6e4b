"""What takes its time is done by a worker of its own accord, and no page waits for it."""

from django.conf import settings
from django.contrib.auth.forms import PasswordResetForm
from django.utils import translation


def send_reset(message):
    """Send a link to a new password to everybody who has this address. A link counts once, and for three days."""
    form = PasswordResetForm({"email": message["email"]})
    if form.is_valid():
        with translation.override(message.get("language")):  # that of the page it was asked for on
            form.save(
                domain_override=message["host"],
                use_https=message["secure"],
                subject_template_name="accounts/reset_subject.html",
                email_template_name="accounts/reset_email.html",
                extra_email_context={"chat_name": settings.SITE_NAME},
            )
