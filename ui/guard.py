"""What every request passes before the page: its host and origin, the login, and the headers.

Gradio checks the login itself, but leaves some addresses open and its cookies wide; this closes
both. Nothing here knows what the page shows.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from functools import partial
from typing import Protocol

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.auth import Attempts, TooManyLoginsError, Users

HEALTH = "/health"

_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
"""Nothing is fetched from another host. Gradio's own scripts need the two 'unsafe' words."""

_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\s\[\]:@/?#]+)(?::\d{1,5})?", re.IGNORECASE)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_EVERYWHERE = frozenset({"0.0.0.0", "::"})
_MISLEADING = frozenset({b"x-forwarded-host", b"x-gradio-server"})

_LOGIN_LIMIT = 8192
_LOGIN = "/login"
_STATIC = ("/assets/", "/static/", "/svelte/")
_LOOKS = frozenset({"/theme.css", "/gradio_api/theme.css", "/favicon.ico", "/manifest.json"})
# What the page never asks for, and what would hand out a session's token, a page of one user to
# another, or a file of another host.
_NEVER = ("/gradio_api/token", "/gradio_api/deep_link", "/gradio_api/proxy=", "/monitoring")


class TokenHolder(Protocol):
    """The part of Gradio's app that knows who is logged in."""

    cookie_id: str
    tokens: dict[str, str]


class Sessions:
    """Who is logged in, until they log out, the server ends, or their line in the file changes."""

    def __init__(self, gradio: TokenHolder, users: Users, pages: Collection[str]) -> None:
        self.pages = frozenset(pages)
        self._gradio = gradio
        self._users = users
        self._stored_at_login: dict[str, bytes | None] = {}

    def cookie(self, secure: bool) -> str:
        """The name of the cookie with the token: Gradio sets two, of which one is used here."""
        return f"access-token{'' if secure else '-unsecure'}-{self._gradio.cookie_id}"

    def user(self, cookies: dict[str, str], secure: bool) -> str | None:
        """The user of a request, or nothing."""
        token = cookies.get(self.cookie(secure), "")
        name = self._gradio.tokens.get(token)
        if name is None:
            self._stored_at_login.pop(token, None)
            return None
        stored = self._users.stored(name)
        if stored is None or self._stored_at_login.setdefault(token, stored) != stored:
            del self._gradio.tokens[token]
            return None
        return name


class Guard:
    """Passes on what may reach the page. `names` are the hosts that it answers to."""

    def __init__(
        self, app: ASGIApp, names: Collection[str], sessions: Sessions | None = None
    ) -> None:
        self._app = app
        self._names = _LOOPBACK | {name.lower() for name in names}
        self._any_address = not _EVERYWHERE.isdisjoint(self._names)
        self._sessions = sessions
        self._attempts = Attempts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        # A proxy in front must pass on the host as the browser named it.
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in _MISLEADING]
        send = partial(self._send, scope, send)
        refusal = self._refusal(scope, headers)
        if refusal:
            await refusal(scope, receive, send)
        elif self._sessions and scope["path"].rstrip("/") == _LOGIN and scope["method"] == "POST":
            await self._log_in(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return PlainTextResponse(
                "This chat does not answer to that host name; "
                "its operator can add one with --host-name.",
                status_code=400,
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return PlainTextResponse("Another site sent this request.", status_code=403)
        if scope["path"].startswith(_NEVER):
            return PlainTextResponse("Not found.", status_code=404)
        return self._no_login(scope, headers) if self._sessions else None

    def _is_ours(self, host: str) -> bool:
        """Whether the Host header is one of ours; else another site's name points at this one."""
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match["name"].strip("[]").lower()
        return name in self._names or (self._any_address and _is_address(name))

    def _no_login(self, scope: Scope, headers: Headers) -> Response | None:
        """What somebody gets who is not logged in, unless it is the login page or its parts."""
        assert self._sessions
        path, method = scope["path"], scope["method"]
        if self._sessions.user(HTTPConnection(scope).cookies, _is_secure(scope)):
            return None
        if path.rstrip("/") == _LOGIN and method == "POST":
            length = headers.get("content-length", "")
            if length.isdecimal() and int(length) <= _LOGIN_LIMIT:
                return None
            return PlainTextResponse("A login is not that long.", status_code=413)
        shown = path in self._sessions.pages or path in _LOOKS or path == HEALTH
        if method in {"GET", "HEAD"} and (shown or path.startswith(_STATIC)):
            return None
        if method == "GET" and "text/html" in headers.get("accept", ""):
            return RedirectResponse("/", status_code=303)
        return PlainTextResponse("Log in first.", status_code=401)

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = scope["client"][0] if scope.get("client") else ""
        try:
            async with self._attempts.turn(address) as turn:

                async def judged(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        turn.failed = message["status"] != 200
                    await send(message)

                await self._app(scope, receive, judged)
        except TooManyLoginsError as error:
            await PlainTextResponse(str(error), status_code=429)(scope, receive, send)

    async def _send(self, scope: Scope, send: Send, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(_HEADERS)
            if self._sessions:
                if not scope["path"].startswith(_STATIC):
                    headers["Cache-Control"] = "no-store"
                self._narrow_cookies(message, _is_secure(scope))
        await send(message)

    def _narrow_cookies(self, message: Message, secure: bool) -> None:
        """Of the two cookies of a login keep one, for this site only, and over TLS for TLS only."""
        assert self._sessions
        wanted = self._sessions.cookie(secure).encode() + b"="
        kept = []
        for name, value in message["headers"]:
            if name.lower() != b"set-cookie" or not value.startswith(b"access-token"):
                kept.append((name, value))
            elif value.startswith(wanted):
                kept.append((name, _narrow(value, secure)))
        message["headers"] = kept


def _narrow(cookie: bytes, secure: bool) -> bytes:
    ours = (b"samesite", b"secure", b"httponly")
    parts = [part.strip() for part in cookie.split(b";")]
    kept = [part for part in parts if part.partition(b"=")[0].lower() not in ours]
    return b"; ".join([*kept, b"HttpOnly", b"SameSite=Lax", *([b"Secure"] if secure else [])])


def _is_secure(scope: Scope) -> bool:
    return bool(scope["scheme"] == "https")


def _is_address(name: str) -> bool:
    """Whether it is an IP address: a browser only says one when its user did."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
