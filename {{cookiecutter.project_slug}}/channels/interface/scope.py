"""
Make one scope of what servers say: the same bytes become the same message behind all of them. No I/O.

- A target may be a whole address, ``http://host/path`` (RFC 9112, section 3.2.2). Some servers take its path, for some
  all of it is the path. A fragment, which no target may have, is a part of the path, or is cut off: here it is.
- What is no target is refused: some servers do so, others make a path of it.
- The root path: uvicorn puts it in front of the path, the others do not; proxies strip it, or do not. Here it is always
  the beginning of the path, and ends without a slash. ``FORCE_SCRIPT_NAME`` counts as it does for Django's pages.
- Headers keep the order of those that share a name, which is all that has a meaning (RFC 9110, section 5.3), and are
  sorted by name: some servers gather them. Blanks around values go. Names with an underscore go too, for Django would
  take it for a hyphen.
- An address is text and a number; a connection over a Unix socket has none.
- A scheme is one of the four. What a proxy says is not always.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import itemgetter
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from ..values.paths import behind

# What a server tells of a connection, and an event of it, in either direction.
Scope = Mapping[str, Any]
Event = dict[str, Any]

# A path as nearly all requests have it, and the query behind it: visible ASCII without a hash.
_PLAIN_PATH = re.compile(rb"/[!-\"$-~]*")
_PLAIN_QUERY = re.compile(rb"[!-\"$-~]*")
_ADDRESS = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/]+(.*)")
# What proxies write for an address with a port, or for one of IPv6.
_HOST_AND_PORT = re.compile(r"\[([^]]+)\](?::([0-9]{1,5}))?|([^:]+):([0-9]{1,5})")
_SCHEMES = {"https": ("https", "wss"), "wss": ("https", "wss")}
_ROOT_PATH_HEADER = b"daphne-root-path"
_name = itemgetter(0)


class BadTarget(Exception):
    """The target of a request is none."""


def unify(scope: Scope, script_name: str = "", trusts_header: bool = False, joins: bool = False) -> dict[str, Any]:
    """
    Return a scope as every server should make it. Raises ``BadTarget``.

    ``script_name`` is the setting ``FORCE_SCRIPT_NAME``, ``trusts_header`` says whether the header ``Daphne-Root-Path``
    is believed, and ``joins`` whether the server has put the root path in front of the path.
    """
    path, query = _target(scope, joins)
    headers = [(name, value.strip(b" \t")) for name, value in scope.get("headers", ()) if b"_" not in name]
    headers.sort(key=_name)
    root_path = given = scope.get("root_path") or ""
    if _ROOT_PATH_HEADER in map(_name, headers):
        told = [value for name, value in headers if name == _ROOT_PATH_HEADER]
        headers = [header for header in headers if header[0] != _ROOT_PATH_HEADER]
        if trusts_header:
            root_path = unquote(told[-1].decode("latin-1"))
    if root_path := _tidy(script_name or root_path):
        path = _below(path, root_path, _tidy(given))
    is_page = scope["type"] == "http"
    return {
        **scope,
        "path": path,
        "query_string": query,
        "root_path": root_path,
        "headers": headers,
        "scheme": _SCHEMES.get(scope.get("scheme", ""), ("http", "ws"))[0 if is_page else 1],
        "client": _address(scope.get("client")),
        "server": _address(scope.get("server")),
    }


def described(scope: Scope, scheme: str) -> dict[str, Any]:
    """Return what the message that opens a connection says of its scope; a ``scheme`` where that names none."""
    return {
        "scheme": scope.get("scheme", scheme),
        "query_string": scope.get("query_string", b""),
        "headers": [[name.lower(), value] for name, value in scope.get("headers", ())],
        "client": list(scope["client"]) if scope.get("client") else None,
        "server": list(scope["server"]) if scope.get("server") else None,
    }


def joins_root_path(receive: Any) -> bool:
    """Return whether the server puts the root path in front of the path, which uvicorn does."""
    return type(getattr(receive, "__self__", None)).__module__.startswith("uvicorn.")


def _target(scope: Scope, joins: bool) -> tuple[str, bytes]:
    """Return the path and the query that the client has sent."""
    path, query, root_path = scope["path"], scope.get("query_string", b""), scope.get("root_path")
    raw_path = scope.get("raw_path")
    if joins and root_path:
        path = path.removeprefix(root_path)
        raw_path = raw_path and raw_path.removeprefix(root_path.encode())
    if raw_path is None or (_PLAIN_PATH.fullmatch(raw_path) and _PLAIN_QUERY.fullmatch(query)):
        return path, query
    raw_path, hash_, _ = raw_path.partition(b"#")
    query = b"" if hash_ else query.partition(b"#")[0]
    if address := _ADDRESS.fullmatch(raw_path):
        raw_path = address[1] or b"/"
    if (raw_path != b"*" and not _PLAIN_PATH.fullmatch(raw_path)) or not _PLAIN_QUERY.fullmatch(query):
        raise BadTarget(f"{raw_path!r} with the query {query!r} is not the path of a request.")
    return unquote_to_bytes(raw_path).decode(errors="replace"), query


def _below(path: str, root_path: str, given: str) -> str:
    """Return the whole path of the site's page: from a proxy it may come without the prefix, or with another one."""
    if path == "*" or behind(path, root_path) is not None:
        return path
    rest = behind(path, given) if given else None
    return root_path + (path if rest is None else rest)


def _tidy(root_path: str) -> str:
    stripped = root_path.strip("/")
    return f"/{stripped}" if stripped else ""


def _address(address: Any) -> list[Any] | None:
    if not address or not address[0] or address[1] is None or address[0].startswith("/"):
        return None
    host, port = address[0], int(address[1])
    if port == 0 and (match := _HOST_AND_PORT.fullmatch(host)):
        host = match[1] or match[3]
        port = int(match[2] or match[4] or 0)
    return [host, port]
