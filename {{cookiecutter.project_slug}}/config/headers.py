"""Headers that tell browsers what a page of this site may do."""

from django.conf import settings

PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


def content_security_policy(host, secure):
    """
    Allow what comes from this site, and nothing written inside a page.

    The WebSocket origin is spelled out, because `'self'` covers it in some browsers only.
    """
    socket_origin = f"{'wss' if secure else 'ws'}://{host}"
    return "; ".join(
        [
            "default-src 'self'",
            f"connect-src 'self' {socket_origin}",
            "img-src 'self' data:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


class BrowserPolicyMiddleware:
    """
    Adds Content-Security-Policy, Permissions-Policy and Cache-Control to every response that has none.

    Django's own debug pages carry their style and script inside, so they stay as they are.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        # A host that is not allowed ends here, as a 400, before it could get into a header.
        policy = content_security_policy(request.get_host(), request.is_secure())
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        # Pages show who is signed in: no cache between here and the browser may keep them. Static files say more.
        response.headers.setdefault("Cache-Control", "private")
        if not (settings.DEBUG and response.status_code in (404, 500)):
            response.headers.setdefault("Content-Security-Policy", policy)
        return response
