"""Shared parts: the real embedding model, an archive of `corpus/`, and a scripted LLM."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import pytest
from crash import HashEmbedder, put
from postgres import MISSING, PASSWORD, PostgresServer, programs
from small_archive import LONG
from talks import find
from webserver import Site

from rag import Archive, Article, Conversations, LLMError
from rag.conversationfile import ConversationFile
from rag.models import Message, Reply, SentenceTransformerEmbedder
from rag.settings import EMBEDDED_EMBEDDING_MODEL, Settings
from rag.store import Store

ROOT = Path(__file__).resolve().parents[1]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """CI has every part, so a skipped test there is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("a test was skipped, but CI has every part", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


class ScriptedLLM:
    """Stands in at the LLM seam: replies as told, piece by piece, and keeps what it was asked.

    Its whole replies, which only phrases are asked for as, are `phrase`.
    """

    name = "scripted"

    def __init__(self, *pieces: str, error: str = "", phrase: str = "") -> None:
        self.pieces = pieces
        self.error = error
        self.phrase = phrase
        self.asked: list[Sequence[Message]] = []

    def stream(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        self.asked.append(messages)
        yield from self.pieces
        if self.error:
            raise LLMError(self.error)

    def reply(self, messages: Sequence[Message], max_tokens: int) -> Reply:
        self.asked.append(messages)
        if self.error:
            raise LLMError(self.error)
        return Reply(self.phrase)


@pytest.fixture
def site() -> Iterator[Site]:
    """A web server on this machine, whose pages the test tells."""
    opened = Site()
    yield opened
    opened.server.shutdown()
    opened.server.server_close()


@pytest.fixture(scope="session")
def embedder() -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder(EMBEDDED_EMBEDDING_MODEL)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL server; its password is in the environment."""
    found = programs()
    if found is None:
        pytest.skip(MISSING)
    with pytest.MonkeyPatch.context() as patch, PostgresServer(found) as server:
        patch.setenv("PGPASSWORD", PASSWORD)
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    """Where a new archive has its articles: in its folder, and in PostgreSQL by this URL."""
    return request.getfixturevalue("postgres").database() if request.param == "postgres" else ""


@pytest.fixture(scope="session")
def corpus_archive(
    tmp_path_factory: pytest.TempPathFactory, embedder: SentenceTransformerEmbedder
) -> Iterator[Archive]:
    """`corpus/` with the real embedding model; its LLM says nothing. Tests only read it."""
    with make_archive(tmp_path_factory.mktemp("corpus") / "archive", embedder) as archive:
        report = archive.ingest(ROOT / "corpus")
        assert not report.failures
        yield archive


@pytest.fixture
def small_folder(tmp_path: Path) -> Path:
    """The folder of a small archive: five articles, of which one was revised."""
    folder = tmp_path / "archive"
    store = Store(folder, HashEmbedder.name, 300)
    put(store, [article(n, f"Word{n} opens. {LONG}", published=None) for n in range(5)])
    put(store, [article(4, f"Fresh4 opens. {LONG}")])
    store.close()
    return folder


@pytest.fixture
def conversation_file(tmp_path: Path) -> Iterator[ConversationFile]:
    found = ConversationFile(tmp_path / "conversations.sqlite")
    yield found
    found.close()


@pytest.fixture
def mine(conversation_file: ConversationFile) -> Conversations:
    """The conversations of the user ada, of whom nothing is saved yet."""
    return Conversations(conversation_file, "ada", find)


def make_archive(
    folder: Path,
    embedder: SentenceTransformerEmbedder,
    llm: ScriptedLLM | None = None,
    settings: Settings | None = None,
    database: str = "",
) -> Archive:
    settings = settings or Settings()
    store = Store(folder, settings.embedding_model, settings.passage_characters, database=database)
    return Archive(store, settings, embedder, llm or ScriptedLLM())


def article(number: int, text: str, **fields: object) -> Article:
    values: dict[str, object] = {
        "title": f"Title {number}",
        "source": "Test Gazette",
        "url": f"https://gazette.example/{number}",
        "published": date(2024, 1, 1),
    }
    return Article(id=f"a{number}", text=text, **(values | fields))  # type: ignore[arg-type]
