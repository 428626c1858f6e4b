from django.conf import settings
from django.core.checks import Tags, Warning, register


@register(Tags.security, deploy=True)
def mail_can_be_sent(app_configs, **kwargs):
    if settings.MAILERS["default"]["BACKEND"] != "django.core.mail.backends.dummy.EmailBackend":
        return []
    return [
        Warning(
            "EMAIL_URL is not set: whoever forgets a password gets no link to a new one.",
            hint="Name the server that sends mail in the environment or in .env, for example "
            "EMAIL_URL=smtp+tls://user:password@mail.example.com:587",
            id="accounts.W001",
        )
    ]
