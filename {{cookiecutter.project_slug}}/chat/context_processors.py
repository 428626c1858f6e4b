from django.conf import settings


def site(request):
    """Give each template the name of the site, and what it is about."""
    return {"site_name": settings.SITE_NAME, "site_description": settings.SITE_DESCRIPTION}
