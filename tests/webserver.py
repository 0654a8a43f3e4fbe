"""A web server on this machine for tests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, str], bytes]


class Site:
    """A web server on 127.0.0.1 whose pages are told by the tests."""

    def __init__(self) -> None:
        self.pages: dict[str, Answer | Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(f"{self.headers['Host']}{self.path}")
                page = site.pages.get(self.path, (404, {}, b""))
                if callable(page):
                    page(self)
                    return
                status, headers, body = page
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *values: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *values: object) -> None:
                """A client that leaves early is what some tests want."""

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def put(self, path: str, body: str | bytes, kind: str = "text/html", **headers: str) -> str:
        data = body if isinstance(body, bytes) else body.encode()
        self.pages[path] = (200, {"Content-Type": kind, **headers}, data)
        return f"{self.url}{path}"

    def redirect(self, path: str, target: str) -> str:
        self.pages[path] = (302, {"Location": target}, b"")
        return f"{self.url}{path}"
