"""Broken and hostile web sites and feeds: name, and what sets it up and gives its address."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler

from feedmaking import SITEMAP, html, item, rss
from webserver import Site

Handler = BaseHTTPRequestHandler


def sites(site: Site) -> Iterator[tuple[str, str]]:
    """Each with its own paths on the site; the address leads to the input."""
    for group in (_redirects, _bodies, _feeds):
        yield from group(site)


def _redirects(site: Site) -> Iterator[tuple[str, str]]:
    targets = {
        "to-itself": "/r/to-itself", "to-a-file": "file:///etc/passwd", "to-ftp": "ftp://127.0.0.1/",
        "to-a-script": "javascript:alert(1)", "to-no-host": "http://no-such-host.invalid/",
        "to-nothing": "", "to-rubbish": "http://[::1", "to-a-long-one": "/" + "x" * 60_000,
        "to-a-password": "http://me:secret@127.0.0.1/", "to-a-closed-port": "http://127.0.0.1:9/",
    }  # fmt: skip
    for name, target in targets.items():
        yield f"redirect-{name}", site.redirect(f"/r/{name}", target)
    for number in range(100):
        site.redirect(f"/chain/{number}", f"/chain/{number + 1}")
    yield "redirect-chain", f"{site.url}/chain/0"
    site.redirect("/ping", "/pong")
    yield "redirect-ping-pong", site.redirect("/pong", "/ping")


def _raw(site: Site, name: str, *parts: bytes, repeat: bool = False) -> tuple[str, str]:
    def answer(handler: Handler) -> None:
        for part in parts:
            handler.wfile.write(part)
        while repeat:
            handler.wfile.write(parts[-1])

    site.pages[f"/raw/{name}"] = answer
    return f"answer-{name}", f"{site.url}/raw/{name}"


def _bodies(site: Site) -> Iterator[tuple[str, str]]:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    yield _raw(site, "endless", head + b"\r\n", b"word " * 10_000, repeat=True)
    yield _raw(site, "endless-header", head, b"X: " + b"y" * 10_000, repeat=True)
    yield _raw(site, "endless-headers", head, b"X: y\r\n" * 1000, repeat=True)
    yield _raw(site, "cut", head + b"Content-Length: 5000\r\n\r\n", b"<p>The pier")
    yield _raw(site, "chunks", head + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\nrubbish")
    yield _raw(site, "no-http", b"\x16\x03\x01 rubbish\r\n\r\n" * 50)
    yield _raw(site, "nothing", b"")
    yield _raw(site, "two-lengths", head + b"Content-Length: 5\r\nContent-Length: 9\r\n\r\nx")
    yield _raw(site, "bad-gzip", head + b"Content-Encoding: gzip\r\n\r\n", b"rubbish")
    bomb = gzip.compress(bytes(200_000_000))
    yield _raw(site, "gzip-bomb", head + b"Content-Encoding: gzip\r\n\r\n", bomb)
    for status in (204, 304, 404, 500, 999):
        site.pages[f"/status/{status}"] = (status, {"Content-Type": "text/html"}, b"")
        yield f"answer-status-{status}", f"{site.url}/status/{status}"
    for name, kind in (("picture", "image/png"), ("no-kind", ""), ("json", "application/json")):
        yield f"answer-{name}", site.put(f"/kind/{name}", "x", kind)
    yield "answer-tags", site.put("/tags", "<p>ab cd</p>" * 300_000)
    yield "answer-charset", site.put("/charset", b"\xff\xfe\x00", "text/html; charset=no-such")


def _feeds(site: Site) -> Iterator[tuple[str, str]]:
    def feed(name: str, text: str | bytes, kind: str = "application/rss+xml") -> tuple[str, str]:
        return f"feed-{name}", site.put(f"/feed/{name}", text, kind)

    whole = rss(*[item(f"{site.url}/gone/{n}") for n in range(3)])
    yield feed("cut", whole[:-60])
    laughs = "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12))
    yield feed(
        "laughs", f"<!DOCTYPE rss [<!ENTITY a0 'ha'>{laughs}]><rss><channel>&a11;</channel></rss>"
    )
    yield feed("file", '<!DOCTYPE rss [<!ENTITY a SYSTEM "file:///etc/passwd">]><rss>&a;</rss>')
    yield feed("many", rss(*[item(f"http://127.0.0.1:9/{n}") for n in range(9000)]))
    yield feed("deep", "<rss><channel>" + "<a>" * 100_000)
    yield feed("large", rss(*[item("https://a.example/", "x" * 6_000_000)]))
    yield feed("noise", b"<rss>" + bytes(range(256)) * 4000)
    yield feed("wrong-encoding", b"<?xml version='1.0' encoding='utf-16'?>" + whole[21:].encode())
    links = ("javascript:alert(1)", "file:///etc/passwd", "http://[::1", "", "//", "x" * 5000)
    yield feed("links", rss(*map(item, links)))
    yield feed("itself", rss(item(f"{site.url}/feed/itself")))
    yield feed("redirects", rss(item(f"{site.url}/ping"), item(f"{site.url}/chain/0")))
    yield feed("html", html(1), "application/rss+xml")
    loop = f"<sitemap><loc>{site.url}/feed/loop</loc></sitemap>" * 3
    yield feed("loop", f"<sitemapindex>{loop}</sitemapindex>")
    pages = "".join(f"<url><loc>http://127.0.0.1:9/{n}</loc></url>" for n in range(50_000))
    yield feed("sitemap", SITEMAP.format(pages))
    yield "feed-changing", _changing(site)


def _changing(site: Site) -> str:
    """Another feed at every request, and pages that change while they are read."""
    count = 0

    def changing(handler: Handler) -> None:
        nonlocal count
        count += 1
        handler.send_response(200)
        handler.send_header("Content-Type", "application/rss+xml")
        handler.send_header("ETag", f'"{count}"')
        handler.end_headers()
        links = [item(f"{site.url}/moving/{n}", f"Title {count}") for n in range(count, count + 3)]
        text = rss(*links).encode()
        handler.wfile.write(text[: len(text) // 2])
        count += 1
        handler.wfile.write(rss(*links, item(f"{site.url}/moving/9")).encode()[len(text) // 2 :])

    def page(number: int) -> Callable[[Handler], None]:
        def answer(handler: Handler) -> None:
            handler.send_response(200 if number % 2 else 404)
            handler.send_header("Content-Type", "text/html")
            handler.end_headers()
            handler.wfile.write(html(number + count).encode())

        return answer

    for number in range(12):
        site.pages[f"/moving/{number}"] = page(number)
    site.pages["/feed/changing"] = changing
    return f"{site.url}/feed/changing"
