"""A client that sends what a browser sends: headers, cookies, addresses, the order of its messages."""

from __future__ import annotations

import copy
import json as json_module
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from django.core.serializers.json import DjangoJSONEncoder
from django.test import Client as DjangoClient

from ..exceptions import DenyConnection
from ..layers.base import Content
from ..registry import DEFAULT_CHANNEL_LAYER
from .client import Client
from .interface_server import InterfaceServer

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.sessions.backends.base import SessionBase

HOST = "testserver"


class ConnectionRejected(AssertionError, DenyConnection):
    """Is raised when a socket that a test wants to be accepted is not."""


class WSClient(Client):
    """
    The browser of a visitor, with one socket; it can send requests, too.

    Its cookies, and so its login and its session, are those of ``client``, a test client of Django's. A browser names
    itself once, when the socket connects: so headers go with ``websocket.connect``, ``http.request`` and, for tests
    that do not begin there, with whatever is sent first. Messages of a socket are numbered as an interface server does
    it; with ``ordered`` all messages are, and no test may do it itself.
    """

    def __init__(
        self, alias: str = DEFAULT_CHANNEL_LAYER, ordered: bool = False, client: DjangoClient | None = None
    ) -> None:
        super().__init__(alias)
        self.client = client or DjangoClient()
        # The number of its next message.
        self.order = 0
        self._ordered = ordered
        self._headers: dict[str, str | None] = {}
        self._named = False
        self._session: SessionBase | None = None

    # Who it is

    def set_cookie(self, key: str, value: str) -> None:
        """Have a cookie sent."""
        self.client.cookies[key] = value

    def get_cookies(self) -> dict[str, str]:
        """Return the values of the cookies by their names."""
        return {name: morsel.value for name, morsel in self.client.cookies.items()}

    def set_header(self, key: str, value: str | bytes | None) -> None:
        """
        Have a header sent, in the place of one of that name; None leaves it out.

        Raises ``ValueError`` for cookies.
        """
        if key.lower() == "cookie":
            raise ValueError("A cookie is no header of its own: use set_cookie(name, value).")
        self._headers[key.lower()] = value.decode("latin-1") if isinstance(value, bytes) else value

    @property
    def headers(self) -> list[list[bytes]]:
        """What it names itself by: a list of ``[name, value]``, both bytes."""
        return self._headers_from("http")

    @property
    def session(self) -> Any:
        """
        The session of the visitor, made when it is first asked for.

        Save it when you have changed it. After a message has been sent it is loaded anew.
        """
        if self._session is None:
            self._session = self.client.session
        return self._session

    def login(self, **credentials: Any) -> bool:
        """Log the visitor in; return whether the credentials were right."""
        self._session = None
        return self.client.login(**credentials)

    def force_login(self, user: AbstractBaseUser, backend: str | None = None) -> None:
        """Log the visitor in without asking for anything."""
        self._session = None
        self.client.force_login(user, backend)

    def logout(self) -> None:
        """Log the visitor out."""
        self._session = None
        self.client.logout()

    # What it sends

    def send(self, to: str, content: Content | str | None = None, text: Any = None, path: str = "/") -> None:
        """
        Put a message into a channel, as an interface server does for a browser.

        ``text`` is sent as it is if it is text, otherwise as JSON. ``path`` may have a query string. What stands in
        ``content`` comes first; its headers may be a dict. Content that is text is a path.
        """
        made = {"path": content} if isinstance(content, str) else copy.deepcopy(content or {})
        text = made.get("text") if text is None else text
        if text is not None:
            made["text"] = text if isinstance(text, str) else json_module.dumps(text, cls=DjangoJSONEncoder)
        self._add_address(to, made, path)
        self._add_order(to, made)
        self._put(to, made)
        self._named = True
        self._session = None

    def send_and_consume(  # type: ignore[override]
        self,
        channel: str,
        content: Content | str | None = None,
        text: Any = None,
        path: str = "/",
        fail_on_none: bool = True,
        check_accept: bool = True,
    ) -> Any:
        """Send a message and run its consumer: ``send``, then ``consume``."""
        self.send(channel, content, text, path)
        return self.consume(channel, fail_on_none=fail_on_none, check_accept=check_accept)

    def consume(self, channel: str, fail_on_none: bool = True, check_accept: bool = True) -> Any:
        """
        Take the next message of a channel and run its consumer; return what that returns.

        A socket that connects has to be accepted: ``ConnectionRejected`` is raised if it is not, an ``AssertionError``.
        Without ``check_accept`` the answer waits for ``receive``. The rest is that of ``Client.consume``.
        """
        result = super().consume(channel, fail_on_none)
        if channel == "websocket.connect" and check_accept:
            self.take_acceptance()
        return result

    # What it gets

    def receive(self, json: bool = True) -> Any:
        """
        Return what came next, None if nothing did: text, which has to be JSON, decoded.

        With ``json`` false it is the text itself. What has none (bytes, ``{"close": 4000}``) is the whole content.
        Raises ``ValueError`` for text that is no JSON.
        """
        content = super().receive()
        if content is None or content.get("text") is None:
            return content
        text = content["text"]
        if not json or not isinstance(text, str):
            return text
        try:
            return json_module.loads(text)
        except ValueError as error:
            raise ValueError(
                f"The client has received {text!r}, which is no JSON: take it by receive(json=False)."
            ) from error

    def take_acceptance(self) -> None:
        """Take what accepts the socket, and leave what else has come. Raises ``ConnectionRejected``, and leaves all."""
        replies = InterfaceServer.of(self.channel_layer).replies(self.reply_channel)
        answer = next((reply for reply in replies if not reply.from_group), None)
        if answer is None:
            raise ConnectionRejected(
                'Connection rejected: its consumer has not sent {"accept": True} to message.reply_channel. '
                "What is sent to a group does not accept a socket."
            )
        accept, rest = answer.content.get("accept"), {**answer.content}
        rest.pop("accept", None)
        if not accept and (accept is not None or (rest.get("text") is None and rest.get("bytes") is None)):
            raise ConnectionRejected(f"Connection rejected: the consumer has answered {answer.content!r}.")
        place = replies.index(answer)
        del replies[place]
        if rest.keys() - {"subprotocol", "messages_under_way"}:
            replies.insert(place, answer._replace(content=rest))

    # What a browser adds

    def _add_address(self, to: str, content: Content, path: str) -> None:
        path, _, query = content.pop("path", path).partition("?")
        content["path"] = unquote(path)
        is_page, opens = to == "http.request", to in ("http.request", "websocket.connect")
        if opens or not self._named:
            scheme = content.setdefault("scheme", "http" if is_page else "ws")
            content.setdefault("query_string", query.encode())
            content.setdefault("headers", self._headers_from(scheme))
        if opens:
            for key, value in (_PAGE if is_page else _SOCKET).items():
                content.setdefault(key, copy.copy(value))
        if isinstance(headers := content.get("headers"), Mapping):
            content["headers"] = [[_bytes(name).lower(), _bytes(value)] for name, value in headers.items()]
        if to == "websocket.disconnect":
            content.setdefault("code", 1000)

    def _add_order(self, to: str, content: Content) -> None:
        if self._ordered and "order" in content:
            raise ValueError('A client with ordered=True numbers its messages itself: leave "order" out.')
        if self._ordered or to.startswith("websocket."):
            content.setdefault("order", self.order)
            self.order += 1

    def _headers_from(self, scheme: str) -> list[list[bytes]]:
        host = self._headers.get("host", HOST)
        origin = f"{'https' if scheme in ('https', 'wss') else 'http'}://{host}"
        cookies = "; ".join(f"{name}={morsel.coded_value}" for name, morsel in self.client.cookies.items())
        headers = {"cookie": cookies or None, "host": HOST, "origin": origin, **self._headers}
        return [[name.encode(), value.encode("latin-1")] for name, value in headers.items() if value is not None]


HttpClient = WSClient

_ADDRESSES = {"root_path": "", "client": ["127.0.0.1", 50000], "server": [HOST, 80]}
_SOCKET = {**_ADDRESSES, "subprotocols": []}
_PAGE = {**_ADDRESSES, "http_version": "1.1", "method": "GET", "body": b"", "body_channel": None}


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
