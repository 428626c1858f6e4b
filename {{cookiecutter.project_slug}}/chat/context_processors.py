from django.conf import settings


def site(request):
    """
    Give each template the name of the site, and what it is about.

    Not as ``site_name``: Django's ``LoginView`` has a variable of that name, which is the host.
    """
    return {"chat_name": settings.SITE_NAME, "chat_description": settings.SITE_DESCRIPTION}
