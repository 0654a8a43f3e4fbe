"""The server over real HTTP and TLS: who reaches the page, and how it ends."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from conftest import ROOT, ScriptedLLM, make_archive
from gradio_queue import DATA, JOIN, Box, messages
from test_auth import PASSWORD, line

from rag import Archive, NewsragError
from rag.models import SentenceTransformerEmbedder
from ui import server
from ui.auth import AuthError
from ui.server import Server

# Gradio's queue counts its events with an option that pandas is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated")

QUESTION = "why is Kim boosting production?"
REACHED = {
    ("GET", "/"),
    ("HEAD", "/"),
    ("GET", "/archive"),
    ("GET", "/timeline"),
    ("GET", "/theme.css"),
    ("GET", "/gradio_api/theme.css"),
    ("GET", "/favicon.ico"),
    ("GET", "/manifest.json"),
    ("GET", "/assets/x"),
    ("GET", "/static/x"),
    ("GET", "/svelte/x"),
}
"""All of Gradio that answers without a login: the login page and its parts."""


@pytest.fixture
def users(tmp_path: Path) -> Path:
    file = tmp_path / "users"
    file.write_text(line("ada") + line("bo"))
    return file


@pytest.fixture(scope="module")
def alone(corpus_archive: Archive) -> Iterator[Server]:
    """A server without users."""
    served = server.start(corpus_archive, port=0, wording=False)
    yield served
    served.close()


@pytest.fixture
def shared(corpus_archive: Archive, users: Path) -> Iterator[Server]:
    """A server with users."""
    served = server.start(corpus_archive, port=0, wording=False, auth=users)
    yield served
    served.close()


def client(served: Server, **options: Any) -> httpx.Client:
    return httpx.Client(base_url=served.url, trust_env=False, timeout=60, **options)


def log_in(http: httpx.Client, name: str = "ada", password: str = PASSWORD) -> httpx.Response:
    return http.post("/login", data={"username": name, "password": password})


def ask(http: httpx.Client, session: str, question: str = QUESTION) -> Iterator[dict[str, Any]]:
    box = Box.of(http.get("/config").json())
    http.post(JOIN, json=box.body(question, session)).raise_for_status()
    with http.stream("GET", DATA, params={"session_hash": session}) as response:
        yield from messages(response.iter_lines())


def user_of(page: str) -> str:
    found = re.search(r'"username":"(\w+)"', page)
    return found[1] if found else ""


def test_the_page_and_its_health_are_served(alone: Server, corpus_archive: Archive) -> None:
    with client(alone) as http:
        page = http.get("/")
        assert page.status_code == 200
        assert "nr-question" in page.text
        count = corpus_archive.status().articles
        assert http.get("/health").json() == {"status": "ok", "articles": count}
        assert http.get("/archive").status_code == 200
        assert http.get("/openapi.json").status_code == 404


def test_every_response_forbids_other_hosts_and_frames(alone: Server) -> None:
    with client(alone) as http:
        for path in ("/", "/health", "/nothing"):
            headers = http.get(path).headers
            policy = headers["content-security-policy"]
            assert "default-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert not re.search(r"https?:|\*", policy)
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "server" not in headers


def test_a_question_is_answered_over_the_queue(alone: Server) -> None:
    with client(alone) as http:
        *_, last = ask(http, "session1")
    assert last["success"]


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("127.0.0.1", True),
        ("localhost:80", True),
        ("LOCALHOST", True),
        ("[::1]:7860", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.", False),
        ("localhost@evil.example", False),
        ("192.0.2.7", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_only_its_own_names_are_answered(alone: Server, host: str, served: bool) -> None:
    with client(alone) as http:
        response = http.get("/health", headers={"Host": host})
    assert response.status_code == (200 if served else 400)
    assert served or "articles" not in response.text


def test_further_names_are_answered_when_given(corpus_archive: Archive) -> None:
    served = server.start(corpus_archive, port=0, wording=False, host_names=["News.example"])
    try:
        assert served.url.startswith("http://News.example:")
        with httpx.Client(trust_env=False) as http:
            url = served.url.replace("News.example", "127.0.0.1")
            for host, status in (("news.example", 200), ("other.example", 400)):
                assert http.get(f"{url}health", headers={"Host": host}).status_code == status
    finally:
        served.close()


def test_an_address_is_answered_where_it_listens_everywhere(
    corpus_archive: Archive, users: Path
) -> None:
    served = server.start(corpus_archive, "0.0.0.0", 0, wording=False, auth=users)
    try:
        with client(served) as http:
            for host, status in (("192.0.2.7", 200), ("evil.example", 400), ("0.0.0.0", 200)):
                assert http.get("/health", headers={"Host": host}).status_code == status
    finally:
        served.close()


def test_other_sites_are_refused(alone: Server) -> None:
    own = alone.url.rstrip("/")
    with client(alone) as http:
        for origin, status in (
            (own, 200),
            ("http://evil.example", 403),
            ("http://127.0.0.1:1", 403),
            ("null", 403),
        ):
            assert http.get("/config", headers={"Origin": origin}).status_code == status
            asked = http.options(JOIN, headers={"Origin": origin, "Host": "localhost"})
            assert "access-control-allow-origin" not in asked.headers or origin == own


def test_a_forwarded_host_moves_no_address(alone: Server) -> None:
    with client(alone) as http:
        for name in ("X-Forwarded-Host", "X-Gradio-Server"):
            assert "evil.example" not in http.get("/", headers={name: "http://evil.example"}).text


def test_no_file_of_the_machine_is_served(alone: Server, corpus_archive: Archive) -> None:
    inside = Path(corpus_archive.status().path) / "articles.sqlite"
    assert inside.exists()
    with client(alone) as http:
        for path in (inside, ROOT / "pyproject.toml", "/etc/hostname", "../pyproject.toml"):
            assert http.get(f"/gradio_api/file={path}").status_code in {403, 404}
        for path in ("/gradio_api/proxy=http://127.0.0.1:1/", "/monitoring", "/gradio_api/token"):
            assert http.get(path).status_code == 404


def test_without_a_login_only_the_login_page_is_reached(shared: Server) -> None:
    page = shared._server._page
    reached = set()
    with client(shared) as http:
        assert '"auth_required":true' in http.get("/").text
        assert "nr-question" not in http.get("/").text + http.get("/archive").text
        assert '"auth_required":true' in http.get("/timeline").text
        assert http.get("/health").status_code == 200
        for route, methods in page.app.openapi()["paths"].items():
            path = re.sub(r"\{[^}]*\}", "x", route)
            for method in map(str.upper, methods):
                if path.rstrip("/") == "/login":
                    continue
                refused = http.request(method, path).status_code in {401, 404, 405}
                if not refused or (method, path) in REACHED:
                    reached.add((method, path))
        assert len(page.app.openapi()["paths"]) > 50
        assert reached == REACHED
        for path in (
            "/assets/../config",
            "/assets/%2e%2e/config",
            "//config",
            "/config?x=/assets/",
        ):
            assert "nr-question" not in http.get(path).text


def test_a_browser_that_is_not_logged_in_is_sent_to_the_login(shared: Server) -> None:
    with client(shared) as http:
        response = http.get("/config", headers={"Accept": "text/html"})
        assert (response.status_code, response.headers["location"]) == (303, "/")


def test_a_login_opens_the_page_until_the_logout(shared: Server) -> None:
    with client(shared) as http, client(shared) as stranger:
        assert log_in(http, password="wrong password").status_code == 400
        assert not http.cookies
        response = log_in(http)
        assert response.status_code == 200
        (cookie,) = response.headers.get_list("set-cookie")
        assert {"HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))
        assert "Secure" not in cookie
        page = http.get("/")
        assert user_of(page.text) == "ada"
        assert page.headers["cache-control"] == "no-store"
        assert http.get("/config").status_code == 200
        *_, last = ask(http, "session2")
        assert last["success"]
        held = dict(http.cookies)
        http.get("/logout")
        stranger.cookies.update(held)
        assert stranger.get("/config").status_code == 401


def test_a_login_is_short(shared: Server) -> None:
    with client(shared) as http:
        assert log_in(http, password="x" * 10_000).status_code == 413
        assert http.post("/login", content=iter([b"username=ada"])).status_code == 413


def test_a_changed_line_ends_the_sessions_of_its_user(shared: Server, users: Path) -> None:
    with client(shared) as ada, client(shared) as bo:
        assert log_in(ada).status_code == log_in(bo, "bo").status_code == 200
        assert ada.get("/config").status_code == bo.get("/config").status_code == 200
        kept = users.read_text().splitlines(keepends=True)[1]
        users.write_text(line("ada", "another password") + kept)
        assert ada.get("/config").status_code == 401
        assert bo.get("/config").status_code == 200
        users.write_text(line("ada"))
        assert bo.get("/config").status_code == 401


def test_conversations_belong_to_the_user_who_logged_in(
    shared: Server, corpus_archive: Archive
) -> None:
    with client(shared) as http:
        log_in(http, "bo")
        assert list(ask(http, "session3"))
    titles = [one.title for one in corpus_archive.conversations("bo").list()]
    assert titles == [QUESTION]
    assert QUESTION not in [one.title for one in corpus_archive.conversations("cy").list()]


@pytest.fixture
def certified(tmp_path: Path) -> tuple[Path, Path, ssl.SSLContext]:
    """A certificate and key as files, and what a browser needs to trust them."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return certificate, key, trusting


def test_over_tls_the_cookie_is_for_tls_only(
    corpus_archive: Archive, users: Path, certified: tuple[Path, Path, ssl.SSLContext]
) -> None:
    certificate, key, trusting = certified
    served = server.start(corpus_archive, port=0, wording=False, auth=users, tls=(certificate, key))
    try:
        assert served.url.startswith("https://")
        with client(served, verify=trusting) as http:
            assert http.get("/health").json()["status"] == "ok"
            (cookie,) = log_in(http).headers.get_list("set-cookie")
            assert {"HttpOnly", "SameSite=Lax", "Secure"} <= set(cookie.split("; "))
            assert user_of(http.get("/").text) == "ada"
        with pytest.raises(httpx.TransportError):
            httpx.get(served.url.replace("https", "http"), trust_env=False)
    finally:
        served.close()


def test_unusable_tls_files_are_one_sentence(
    corpus_archive: Archive, certified: tuple[Path, Path, ssl.SSLContext], tmp_path: Path
) -> None:
    certificate, key, _ = certified
    for files, message in (
        ((certificate, tmp_path / "none"), "--tls-key .* is not a file"),
        ((key, key), "are not a certificate and its key"),
        ((key, certificate), "are not a certificate and its key"),
    ):
        with pytest.raises(NewsragError, match=message):
            server.start(corpus_archive, port=0, tls=files)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_without_users_only_this_machine_is_served(corpus_archive: Archive, host: str) -> None:
    with pytest.raises(NewsragError, match=r"this machine only, not on .*--auth"):
        server.start(corpus_archive, host, 0)


def test_an_unknown_host_a_taken_port_and_a_missing_file_are_one_sentence(
    corpus_archive: Archive, tmp_path: Path
) -> None:
    with pytest.raises(NewsragError, match="--host no such host is no address"):
        server.start(corpus_archive, "no such host", 0, auth=tmp_path / "users")
    with pytest.raises(AuthError, match="newsrag user NAME"):
        server.start(corpus_archive, port=0, auth=tmp_path / "users")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NewsragError, match=f"listen on 127.0.0.1:{port} .*--port"):
            server.start(corpus_archive, port=port)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_is_known_by_its_address(host: str) -> None:
    assert server.is_loopback(host)


class SlowLLM(ScriptedLLM):
    """Says nothing until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.asking, self.released = threading.Event(), threading.Event()

    def stream(self, messages: Any, max_tokens: int) -> Iterator[str]:
        self.asking.set()
        self.released.wait(60)
        yield from ()


def test_closing_ends_an_answer_under_way(
    tmp_path: Path, embedder: SentenceTransformerEmbedder
) -> None:
    model = SlowLLM()
    with make_archive(tmp_path / "archive", embedder, model) as archive:
        archive.ingest(ROOT / "corpus")
        served = server.start(archive, port=0)
        with client(served) as http:
            answering = ask(http, "session4")
            next(answering)
            assert model.asking.wait(60)
            served.close()
            assert not served.running
            rest = list(answering)
        assert rest[-1]["msg"] == "process_completed"
        (kept,) = archive.conversations().list()
        (exchange,) = archive.conversations().get(kept.id).exchanges
        assert exchange.stopped
        assert not model.released.is_set()
        model.released.set()
