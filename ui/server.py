"""Serving the page: where it listens, who may see it, and how it ends."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import threading
import time
import warnings
import webbrowser
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from rag import Archive, NewsragError
from ui import app as page_of
from ui.adding import MAX_UPLOAD_BYTES
from ui.auth import Users
from ui.guard import HEALTH, Guard, Sessions
from ui.limits import PER_USER, Limits
from ui.theme import theme

Made = TypeVar("Made")

Tls = tuple[Path, Path]
"""A certificate and its key, both PEM files."""

POLL_SECONDS = 0.05
_START_SECONDS = 30.0
_END_SECONDS = 2.0
_UPLOADS_SECONDS = (3600, 24 * 3600)
"""How often uploads are looked through, and how old they get."""

_NO_DOCS: dict[str, Any] = {"openapi_url": None, "docs_url": None, "redoc_url": None}

_LOGIN = "<title>Log in – newsrag</title>Log in to ask the archive."
"""Shown above the login, whose page has no other place for a title."""

_STATIC = Path(__file__).parent / "static"
_COLOURS = _STATIC / "pane.css"


class Server:
    """A page that is being served, from a thread of its own; another loads the models meanwhile."""

    def __init__(
        self, url: str, server: _Uvicorn, listening: socket.socket, warm: Callable[[], None]
    ) -> None:
        self.url = url
        self._server = server
        self._thread = threading.Thread(
            target=server.run, args=([listening],), name="newsrag-chat", daemon=True
        )
        # No daemon: the process must not end in the midst of loading a native library.
        self._warming = threading.Thread(target=warm, name="newsrag-warm")

    @property
    def running(self) -> bool:
        """Whether it still serves."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Return once it answers. Raises `NewsragError`."""
        self._thread.start()
        end = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self.running or time.monotonic() > end:
                raise NewsragError("the chat did not start; the terminal shows the details")
            time.sleep(POLL_SECONDS)
        self._warming.start()

    def close(self) -> None:
        """End the answers under way, then the server; afterwards the archive can be closed."""
        self._server.should_exit = True
        self._thread.join(2 * _END_SECONDS)
        self._warming.join()


class _Uvicorn(uvicorn.Server):
    """Ends what is long-lived before it waits for it."""

    def __init__(
        self, config: uvicorn.Config, page: gr.Blocks, limits: Limits, users: Users | None
    ) -> None:
        super().__init__(config)
        self._page = page
        self._limits = limits
        self._users = users

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop the answers, let the browsers see their ends, then close."""
        self._limits.close()
        end = time.monotonic() + _END_SECONDS / 2
        while self._limits.under_way and time.monotonic() < end:
            await asyncio.sleep(POLL_SECONDS)
        await asyncio.sleep(POLL_SECONDS)
        self._page.close(verbose=False)
        await super().shutdown(sockets)
        if self._users:
            self._users.close()


def start(
    archive: Archive,
    host: str = "127.0.0.1",
    port: int = 7860,
    *,
    wording: bool = True,
    auth: Path | None = None,
    tls: Tls | None = None,
    host_names: Sequence[str] = (),
    per_user: int = PER_USER,
) -> Server:
    """Serve the page in threads of its own and return; `url` is its address.

    `auth` is a file of users; without it only this machine is served. `host_names` are further
    names that the machine is reached by. Port 0 takes any free one. Raises `NewsragError`.
    """
    if not is_loopback(host) and auth is None:
        raise NewsragError(
            f"without users the chat listens on this machine only, not on {host}; "
            "name a file of users with --auth (newsrag user NAME --auth FILE makes one)"
        )
    if tls:
        _check_certificate(*tls)
    users = Users(auth) if auth else None
    limits = Limits(per_user)
    with ExitStack() as unless_started:
        listening = unless_started.enter_context(_listen(host, port))
        page, app, sessions = _in_thread(lambda: _mounted(archive, wording, limits, users))
        certificate, key = tls or (None, None)
        config = uvicorn.Config(
            Guard(app, [host, *host_names], sessions),
            ssl_certfile=certificate,
            ssl_keyfile=key,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=int(_END_SECONDS),
        )
        url = _url(next(iter(host_names), host), listening.getsockname()[1], tls is not None)
        serving = _Uvicorn(config, page, limits, users)
        server = Server(url, serving, listening, lambda: _warm(archive))
        server.start()
        unless_started.pop_all()
    return server


def serve(  # noqa: PLR0913 - the options of `newsrag chat`
    archive: Archive,
    host: str = "127.0.0.1",
    port: int = 7860,
    *,
    open_browser: bool = True,
    started: Callable[[str], None] | None = None,
    wording: bool = True,
    auth: Path | None = None,
    tls: Tls | None = None,
    host_names: Sequence[str] = (),
    per_user: int = PER_USER,
) -> None:
    """Serve the page until Ctrl-C; `started` is called with its address once it is up.

    The other arguments, and what is raised, are those of `start`.
    """
    server = start(
        archive,
        host,
        port,
        wording=wording,
        auth=auth,
        tls=tls,
        host_names=host_names,
        per_user=per_user,
    )
    try:
        if started:
            started(server.url)
        if open_browser:
            webbrowser.open(server.url)
        while server.running:
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        pass
    finally:
        server.close()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host. Raises `NewsragError` for an unknown one."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NewsragError(f"--host {host} is no address of this machine ({error.strerror})") from (
            error
        )
    return all(ipaddress.ip_address(address[0]).is_loopback for *_, address in found)


def _warm(archive: Archive) -> None:
    """Load what a first question would wait for. One that needs it will say what is wrong."""
    with suppress(NewsragError):
        archive.ask("What happened yesterday?", wording=False)


def _in_thread(make: Callable[[], Made]) -> Made:
    """What `make` returns, called in an event loop that is closed again.

    Outside of one Gradio opens one for itself, and leaves it open.
    """

    async def made() -> Made:
        return make()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(made())).result()


def _mounted(
    archive: Archive, wording: bool, limits: Limits, users: Users | None
) -> tuple[gr.Blocks, FastAPI, Sessions | None]:
    """The page, an app with it and the health address, and who is logged in to it."""
    page = page_of.build(archive, wording=wording, limits=limits)
    page.delete_cache = _UPLOADS_SECONDS
    app = FastAPI(**_NO_DOCS)

    @app.get(HEALTH)
    def health() -> JSONResponse:
        try:
            return JSONResponse({"status": "ok", "articles": archive.status().articles})
        except NewsragError as error:
            return JSONResponse({"status": "failing", "reason": str(error)}, 503)

    with warnings.catch_warnings():
        # Of a page of several pages it says so even where nobody wants SSR.
        warnings.filterwarnings("ignore", message="SSR mode is not supported")
        gr.mount_gradio_app(
            app,
            page,
            path="",
            app_kwargs={**_NO_DOCS},  # a copy: Gradio adds to it
            auth=users.check if users else None,
            auth_message=_LOGIN,
            show_error=False,
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            mcp_server=False,
            max_file_size=MAX_UPLOAD_BYTES,
            footer_links=[],
            theme=theme(),
            head=f"<style>{_style(sorted({*_STATIC.glob('*.css')} - {_COLOURS}))}</style>",
        )
    # The login has the theme and no more.
    page.theme_css = f"{page.theme_css}\n{_style([_COLOURS])}"
    mounted: Any = app.routes[-1]
    page.app = mounted.app  # so that `page.close` ends its connections
    pages = [f"/{path}" for path, *_ in page.pages]
    return page, app, Sessions(mounted.app, users, pages) if users else None


def _style(files: Iterable[Path]) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def _check_certificate(certificate: Path, key: Path) -> None:
    """Raise `NewsragError` when the two files do not serve."""
    for option, file in (("--tls-cert", certificate), ("--tls-key", key)):
        if not file.is_file():
            raise NewsragError(f"{option} {file} is not a file")
    try:
        # The password keeps it from asking in the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or "unreadable"
        raise NewsragError(
            f"{certificate} and {key} are not a certificate and its key, unencrypted, "
            f"as PEM ({reason})"
        ) from error


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises `NewsragError`; the system's own error has no remedy."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise NewsragError(
            f"the chat cannot listen on {host}:{port} ({error.strerror}); "
            "choose another port with --port"
        ) from error


def _url(host: str, port: int, secure: bool) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    name = f"[{host}]" if ":" in host else host
    return f"{'https' if secure else 'http'}://{name}:{port}/"
