"""
How often somebody may do something: ``RATE_LIMITS`` in the settings says how many times within how many seconds.

It is counted in Django's cache. On Redis all processes count together. In memory each process counts what it sees
itself: that is exact where there is one, as on the memory layer; with more, so many times as much is allowed.
"""

import hashlib
import ipaddress
import math
import time

from django.conf import settings
from django.core.cache import cache
from django.utils.translation import ngettext


class TooMany(Exception):
    """Somebody has done this too often. ``seconds``: when it may be done again."""

    def __init__(self, seconds):
        minutes = math.ceil(seconds / 60)
        sentence = ngettext(
            "That was too often. Please try again in a minute.",
            "That was too often. Please try again in %(minutes)d minutes.",
            minutes,
        )
        super().__init__(sentence % {"minutes": minutes})
        self.seconds = math.ceil(seconds)


def spend(limit, who):
    """Count that somebody does something; raise ``TooMany`` if that is more than the limit. None is not counted."""
    if who is None or limit not in settings.RATE_LIMITS:
        return
    most, seconds = settings.RATE_LIMITS[limit]
    now = time.time()
    key = key_of(limit, who, now)
    cache.add(key, 0, timeout=seconds)
    try:
        count = cache.incr(key)
    except ValueError:
        return  # it has expired just now, or the cache keeps nothing
    if count > most:
        raise TooMany(seconds - now % seconds)


def give_back(limit, who):
    """Take back what was counted last: it was not what is limited."""
    if who is not None and limit in settings.RATE_LIMITS:
        try:
            cache.decr(key_of(limit, who, time.time()))
        except ValueError:
            return  # it has expired


def spend_all(counted):
    """Count pairs of a limit and who it is for: all or none. What is refused by one limit counts for no other."""
    for number, (limit, who) in enumerate(counted):
        try:
            spend(limit, who)
        except TooMany:
            give_all_back(counted[:number])
            raise


def give_all_back(counted):
    for limit, who in counted:
        give_back(limit, who)


def key_of(limit, who, now):
    """Name the counter of this stretch of time. By a hash: a cache may know neither long keys nor all characters."""
    digest = hashlib.sha256(who.encode(errors="replace")).hexdigest()[:32]
    return f"limit-{limit}-{digest}-{int(now // settings.RATE_LIMITS[limit][1])}"


def address_of(request):
    """
    Return where a request comes from, as far as one household or office goes; None if that is not known.

    Anybody can send ``X-Forwarded-For``. Behind a proxy its end is true: each proxy adds the address it was asked from.
    """
    address = request.META.get("REMOTE_ADDR", "")
    if settings.BEHIND_PROXY:
        forwarded = request.headers.get("X-Forwarded-For", "").split(",")
        if len(forwarded) >= settings.PROXIES:
            address = forwarded[-settings.PROXIES]
    try:
        address = ipaddress.ip_address(address.strip())
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    if address.version == 6:  # whoever has one has 2 ** 64 of them
        address = ipaddress.ip_network((address, 64), strict=False)
    return str(address)


class LimitedForm:
    """A view with a form that may be sent so often only; the form says so, with status 429."""

    def counted(self, form):
        """Return pairs: a limit, and who it is counted for."""
        raise NotImplementedError

    def form_valid(self, form):
        try:
            spend_all(self.counted(form))
        except TooMany as too_many:
            form.add_error(None, str(too_many))
            return with_status(self.form_invalid(form), too_many)
        return self.accept(form)

    def accept(self, form):
        return super().form_valid(form)


class LimitedAttempts:
    """A view with a form that counts for itself (``PasswordAttempts``), with the same answer when it was too often."""

    def form_invalid(self, form):
        response = super().form_invalid(form)
        return with_status(response, form.too_many) if form.too_many else response


def with_status(response, too_many):
    response.status_code = 429
    response.headers["Retry-After"] = str(too_many.seconds)
    return response
