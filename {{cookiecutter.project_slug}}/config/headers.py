"""Headers that tell browsers what a page of this site may do."""

from django.conf import settings

PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


def socket_origins(hosts, secure):
    """
    Return the origins of the sockets to these hosts, as a Content-Security-Policy names them.

    ``'self'`` covers them in some browsers only. Every host (``*``) and a number in IPv6 have no name there. Without
    HTTPS, as in development, the port may be any.
    """
    scheme, port = ("wss", "") if secure else ("ws", ":*")
    names = [host for host in hosts if host != "*" and not host.startswith("[")]
    names += [f"*{host}" for host in names if host.startswith(".")]
    return [f"{scheme}://{name.removeprefix('.')}{port}" for name in names]


class BrowserPolicyMiddleware:
    """
    Adds Permissions-Policy and Cache-Control to every response that has none.

    Pages show who is signed in: no cache between here and the browser may keep them. Static files say more.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        response.headers.setdefault("Cache-Control", "private")
        return response


class ContentSecurityPolicyMiddleware:
    """
    Adds the policy of ``SECURE_CSP``, as Django's own middleware of this name does from 6.0 on, without nonces.

    Django's own debug pages carry their style and script inside, so they stay as they are.
    """

    def __init__(self, get_response):
        self.get_response = get_response
        self.policy = "; ".join(f"{name} {' '.join(values)}" for name, values in settings.SECURE_CSP.items())

    def __call__(self, request):
        response = self.get_response(request)
        if not (settings.DEBUG and response.status_code in (404, 500)):
            response.headers.setdefault("Content-Security-Policy", self.policy)
        return response
