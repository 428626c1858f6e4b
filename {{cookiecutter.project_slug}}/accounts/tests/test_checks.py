from accounts.checks import mail_can_be_sent


def test_a_site_without_a_server_for_mail_is_told_what_is_missing(settings):
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.dummy.EmailBackend"}}
    [found] = mail_can_be_sent(None)

    assert found.id == "accounts.W001"
    assert "EMAIL_URL" in found.msg


def test_a_site_with_one_is_not():
    assert mail_can_be_sent(None) == []
