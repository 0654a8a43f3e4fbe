from __future__ import annotations

import gzip
import ipaddress
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from conftest import article, make_archive
from webserver import Site

from rag import Archive, SourceError, fetch
from rag.fetch import Page
from rag.models import SentenceTransformerEmbedder
from rag.sources import read_page

BODY = "The Corley dam was closed on Monday because engineers had found cracks in its wall. " * 5
HTML = (
    "<html><head><title>Corley dam closed</title>{head}"
    '<meta property="article:published_time" content="2024-03-09"></head>'
    f"<body><article><h1>Corley dam closed</h1><p>{BODY}</p></article></body></html>"
)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names and what each look-up of them gives, in turn; the last one stays."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def look_up(host: str, *values: object, **more: object) -> object:
        host = host.decode() if isinstance(host, bytes) else host
        if places := known.get(host):
            host = places.pop(0) if len(places) > 1 else places[0]
        else:
            ipaddress.ip_address(host)  # no test asks the network
        return real(host, *values, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@pytest.fixture
def only_one_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.1 stands for the public internet; every other address is what it is."""
    real = fetch._is_public
    home = ipaddress.ip_address("127.0.0.1")
    monkeypatch.setattr(fetch, "_is_public", lambda a: a == home or real(a))


def refusal(url: str, *, allow_private: bool = True) -> str:
    with pytest.raises(SourceError) as caught:
        fetch.fetch(url, allow_private=allow_private)
    assert caught.value.place == url.replace("\n", "\ufffd")
    return caught.value.reason


def test_a_page_is_read(site: Site) -> None:
    url = site.put("/a?b=1", HTML, "text/html; charset=utf-8")
    page = fetch.fetch(f"{url}#part", allow_private=True)
    assert page == Page(url, HTML.encode(), True, "utf-8")
    text = site.put("/t", "Plain.", "Text/Plain")
    assert fetch.fetch(text, allow_private=True) == Page(text, b"Plain.", False, None)


def test_a_compressed_page_is_read(site: Site) -> None:
    url = site.put("/a", gzip.compress(HTML.encode()), **{"Content-Encoding": "gzip"})
    assert fetch.fetch(url, allow_private=True).data == HTML.encode()


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0.0.0.0", "10.0.0.7", "172.16.9.9"),
        *("192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "240.0.0.1"),
        *("255.255.255.255", "192.0.2.1", "198.18.0.1", "[::1]", "[::]", "[fe80::1]"),
        *("[fc00::1]", "[fec0::1]", "[ff02::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]"),
        *("[64:ff9b::7f00:1]", "[2002:7f00:1::1]", "[::127.0.0.1]", "[2001:db8::1]"),
    ],
)
def test_an_address_that_is_not_public_is_refused(site: Site, host: str) -> None:
    reason = refusal(f"http://{host}:{site.port}/a", allow_private=False)
    assert reason.endswith("is on this machine or in a private network")
    assert site.asked == []


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_a_public_address_passes(address: str) -> None:
    assert fetch._is_public(ipaddress.ip_address(address))


def test_a_name_of_a_private_address_is_refused(site: Site, names: dict[str, list[str]]) -> None:
    names["inside.example"] = ["127.0.0.1"]
    reason = refusal(f"http://inside.example:{site.port}/a", allow_private=False)
    assert reason == "is refused: inside.example is on this machine or in a private network"
    assert site.asked == []


@pytest.mark.usefixtures("only_one_is_public")
def test_the_address_that_was_checked_is_connected_to(
    site: Site, names: dict[str, list[str]]
) -> None:
    """DNS rebinding: the name leads elsewhere as soon as it has been checked."""
    names["turns.example"] = ["127.0.0.1", "127.0.0.2"]
    site.put("/a", HTML)
    page = fetch.fetch(f"http://turns.example:{site.port}/a")
    assert page.url == f"http://turns.example:{site.port}/a"
    assert site.asked == [f"turns.example:{site.port}/a"]
    assert names["turns.example"] == ["127.0.0.2"]  # it was looked up once
    assert "private network" in refusal(page.url, allow_private=False)


@pytest.mark.usefixtures("only_one_is_public")
@pytest.mark.parametrize("where", ["http://127.0.0.2:{port}/b", "http://[::1]/", "//10.0.0.1/"])
def test_a_redirect_to_a_private_address_is_refused(site: Site, where: str) -> None:
    site.put("/b", HTML)
    url = site.redirect("/a", where.format(port=site.port))
    assert "private network" in refusal(url, allow_private=False)
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://news.example/a", "is refused: it leads to an address of kind 'ftp', not http"),
        ("file:///etc/passwd", "is refused: it leads to an address of kind 'file', not http"),
        ("http://me:secret@127.0.0.1/", "is refused: it has a user name or a password in it"),
        ("http://127.0.0.1:99999/", "is not a valid web address"),
        ("http://a..b/", "cannot be read: there is no host a..b"),
        ("http://a\nb/", "is not a valid web address"),
        ("http://[::1/", "is not a valid web address"),
        ("http://", "is not a valid web address"),
        ("http://no-such-host.invalid/", "cannot be read: there is no host no-such-host.invalid"),
        ("http://127.0.0.1:9/", "cannot be read: All connection attempts failed"),
    ],
)
def test_an_address_that_cannot_be_read_says_why(url: str, reason: str) -> None:
    assert refusal(url) == reason


def test_an_endless_address_is_named_in_short() -> None:
    with pytest.raises(SourceError, match="is longer than 2,000 characters") as caught:
        fetch.fetch("https://a.example/" + "x" * 1_000_000)
    assert len(str(caught.value)) < 200


def test_a_redirect_is_followed_five_times(site: Site) -> None:
    for number in range(6):
        site.redirect(f"/{number}", f"/{number + 1}")
    site.put("/6", HTML)
    assert fetch.fetch(f"{site.url}/1", allow_private=True).url == f"{site.url}/6"
    assert refusal(f"{site.url}/0") == "redirects more than 5 times"


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a"])
def test_a_redirect_to_something_else_is_refused(site: Site, target: str) -> None:
    assert refusal(site.redirect("/a", target)).startswith("is refused: it leads to an address of")


@pytest.mark.parametrize("kind", ["application/pdf", "image/png", "text/javascript", ""])
def test_another_kind_of_content_is_refused(site: Site, kind: str) -> None:
    named = kind or "of an unnamed kind"
    assert refusal(site.put("/a", b"x", kind)) == f"is {named}, not HTML or plain text"


def test_an_error_page_is_no_article(site: Site) -> None:
    site.pages["/a"] = (503, {"Content-Type": "text/html"}, HTML.encode())
    assert refusal(f"{site.url}/a") == "answers with status 503"


def test_a_page_without_end_is_left(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.end_headers()
        while True:
            handler.wfile.write(b"word " * 10_000)

    site.pages["/a"] = endless
    site.pages["/b"] = (
        200,
        {"Content-Type": "text/html", "Content-Encoding": "gzip"},
        gzip.compress(bytes(fetch.MAX_BYTES + 1)),
    )
    for path in ("/a", "/b"):
        assert refusal(f"{site.url}{path}") == f"is larger than {10 * 1024 * 1024:,} bytes"


@pytest.mark.parametrize("part", ["header", "body"])
def test_a_page_that_drips_is_left(site: Site, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Each byte comes soon enough; together they never end."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n")
        handler.wfile.write(b"\r\n" if part == "body" else b"X-Long: ")
        for _ in range(1000):
            handler.wfile.write(b"x")
            time.sleep(0.05)

    monkeypatch.setattr(fetch, "MAX_SECONDS", 0.5)
    site.pages["/a"] = drip
    assert refusal(f"{site.url}/a") == "cannot be read: it takes too long to answer"


def test_a_redirect_with_an_endless_body_is_not_read(site: Site) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/b")
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 100_000)

    site.pages["/a"] = endless
    site.put("/b", HTML)
    assert fetch.fetch(f"{site.url}/a", allow_private=True).data == HTML.encode()


def test_a_proxy_is_passed_by(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would look the name up again, and connect to whatever it finds."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    url = site.put("/a", HTML)
    assert fetch.fetch(url, allow_private=True).url == url


def page(html: str, url: str = "https://post.example/a?utm_source=x") -> Page:
    return Page(url, html.encode(), True, None)


def test_a_page_becomes_an_article() -> None:
    record = read_page(page(HTML.format(head="")))
    stored = record.article
    assert (stored.title, stored.published) == ("Corley dam closed", date(2024, 3, 9))
    assert stored.text.startswith("The Corley dam was closed")
    assert stored.url == "https://post.example/a?utm_source=x"
    assert stored.source == "post.example"
    assert record == read_page(page(HTML.format(head="")))


@pytest.mark.parametrize(
    ("own", "stored"),
    [
        ("https://post.example/story", "https://post.example/story"),
        ("https://other.example/story", "https://post.example/a?utm_source=x"),
        ("javascript:alert(1)", "https://post.example/a?utm_source=x"),
    ],
)
def test_a_page_may_name_its_own_address_on_its_own_host(own: str, stored: str) -> None:
    link = f'<link rel="canonical" href="{own}">'
    assert read_page(page(HTML.format(head=link))).article.url == stored


def test_the_told_charset_counts_where_utf_8_fails() -> None:
    text = "Zürich\n\nDie Brücke über die Limmat wurde gesperrt."
    told = Page("https://post.example/a", text.encode("cp1252"), False, "cp1252")
    assert "Brücke" in read_page(told).article.text
    assert "Brücke" in read_page(replace(told, data=text.encode(), charset="none")).article.text
    assert read_page(told).article.title == "Zürich"


def test_an_empty_page_says_so() -> None:
    with pytest.raises(SourceError, match=r"https://post\.example/a.*: holds no article text"):
        read_page(page("<html><body></body></html>"))


@pytest.fixture
def near(tmp_path: Path, embedder: SentenceTransformerEmbedder) -> Iterator[Archive]:
    """An archive that may read from this machine."""
    with make_archive(tmp_path / "archive", embedder) as archive:
        archive.settings = replace(archive.settings, allow_private_urls=True)
        yield archive


def test_web_addresses_are_ingested_with_an_error_for_each(near: Archive, site: Site) -> None:
    good = site.put("/good?" + "q=1&" * 300, HTML.format(head=""))
    bad = site.put("/bad", "{}", "application/json")
    report = near.ingest(good, bad, article(1, "Text."))
    assert report.added == 2
    (failure,) = report.failures
    assert str(failure) == f"{bad}: is application/json, not HTML or plain text"
    assert near.ingest(good).unchanged == 1
    assert near.ask("Why was the Corley dam closed?", wording=False).status == "answered"


def test_by_default_nothing_near_is_read(near: Archive, site: Site) -> None:
    near.settings = replace(near.settings, allow_private_urls=False)
    (failure,) = near.ingest(site.put("/a", HTML)).failures
    assert "private network" in failure.reason
    assert site.asked == []
