from __future__ import annotations

import dataclasses
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, article, make_archive
from filelock import FileLock

from rag import (
    Archive,
    ArchiveError,
    ArchiveLockedError,
    ArchiveMismatchError,
    ArticleNotFoundError,
)
from rag.ingest import ingest
from rag.models import SentenceTransformerEmbedder, Vectors
from rag.passages import split_passages
from rag.reports import IngestReport
from rag.rows import StageResult
from rag.sources import Record
from rag.store import Store
from rag.types import Article, Span
from rag.words import Filters


class CountingEmbedder:
    """The real model, counting what it encodes; can be told to fail."""

    def __init__(self, embedder: SentenceTransformerEmbedder) -> None:
        self.name = embedder.name
        self.embedder = embedder
        self.encoded = 0
        self.fails = False

    def encode(self, texts: list[str]) -> Vectors:
        if self.fails:
            raise KeyboardInterrupt
        self.encoded += len(texts)
        return self.embedder.encode(texts)


@pytest.fixture
def counting(embedder: SentenceTransformerEmbedder) -> CountingEmbedder:
    return CountingEmbedder(embedder)


@pytest.fixture
def store(tmp_path: Path, database: str):
    opened = Store(tmp_path / "archive", "m", 1000, database=database)
    yield opened
    opened.close()


@pytest.fixture
def local_store(tmp_path: Path):
    opened = Store(tmp_path / "archive", "m", 1000)
    yield opened
    opened.close()


def put(store: Store, embedder: CountingEmbedder, *articles: Article) -> IngestReport:
    records = [Record(f"origin:{a.id}", a) for a in articles]
    return ingest(store, embedder, records, 1000, lambda report: None)


def found(store: Store, embedder: CountingEmbedder, question: str, **filters: object) -> set[str]:
    vector = embedder.embedder.encode([question])[0]
    hits = store.search(question, vector, 10, Filters(**filters))
    return {hit.row.article_id for hit in hits}


def test_an_unchanged_article_costs_no_embedding(store: Store, counting: CountingEmbedder) -> None:
    first = article(1, "The harbour bridge closed on Monday.")
    assert put(store, counting, first).added == 1
    encoded = counting.encoded
    report = put(store, counting, first)
    assert (report.unchanged, report.added, report.passages) == (1, 0, 0)
    assert counting.encoded == encoded


def test_a_changed_article_replaces_its_passages_everywhere(
    store: Store, counting: CountingEmbedder
) -> None:
    put(store, counting, article(1, "The harbour bridge closed on Monday."))
    report = put(store, counting, article(1, "Zebras escaped from the zoo."))
    assert report.changed == 1
    assert found(store, counting, "harbour bridge") == found(store, counting, "zebras") == {"a1"}
    assert store.words.search("harbour bridge", 10, Filters()) == []
    assert len(store.words.search("zebras", 10, Filters())) == 1
    assert store.ledger.article("a1").revision == 2
    assert store.ledger.article("a1", 1).text == "The harbour bridge closed on Monday."
    assert store.ledger.garbage() == ([], [])


def test_the_old_revision_answers_until_the_new_one_is_indexed(
    store: Store, counting: CountingEmbedder
) -> None:
    put(store, counting, article(1, "The harbour bridge closed on Monday."))
    counting.fails = True
    with pytest.raises(KeyboardInterrupt):
        put(store, counting, article(1, "Zebras escaped from the zoo."))
    assert store.ledger.article("a1").text.startswith("The harbour")
    assert found(store, counting, "harbour bridge") == {"a1"}
    counting.fails = False
    report = ingest(store, counting, [], 1000, lambda report: None)
    assert report.passages == 1
    assert store.ledger.article("a1").text.startswith("Zebras")
    assert store.ledger.count("pending") == 0


def test_an_interrupted_run_continues_without_repeating(
    store: Store, counting: CountingEmbedder
) -> None:
    articles = [article(n, f"Story {n}. " + "Words follow here. " * 400) for n in range(6)]
    batches = 0

    def interrupt(report: IngestReport) -> None:
        nonlocal batches
        batches += report.passages > 20
        if batches:
            raise KeyboardInterrupt

    records = [Record(f"o{a.id}", a) for a in articles]
    from rag import ingest as module

    original, module._BATCH_PASSAGES = module._BATCH_PASSAGES, 20
    try:
        with pytest.raises(KeyboardInterrupt):
            ingest(store, counting, records, 1000, interrupt)
        ingest(store, counting, records, 1000, lambda report: None)
    finally:
        module._BATCH_PASSAGES = original
    total = sum(len(split_passages(a.text, 1000)) for a in articles)
    assert counting.encoded == total == store.vectors.count()
    assert store.ledger.count("current") == 6


def test_delete_removes_from_all_stores(store: Store, counting: CountingEmbedder) -> None:
    put(store, counting, article(1, "The harbour bridge closed."), article(2, "Zebras escaped."))
    with store.writing():
        store.delete("a1")
    assert found(store, counting, "harbour bridge") == {"a2"}
    assert store.vectors.count() == 1
    assert store.words.search("harbour", 10, Filters()) == []
    with pytest.raises(ArticleNotFoundError, match="no article a1"):
        store.ledger.article("a1")
    with pytest.raises(ArticleNotFoundError), store.writing():
        store.delete("a1")
    assert put(store, counting, article(1, "The harbour bridge closed.")).added == 1


def test_an_edited_file_replaces_what_it_held(store: Store, counting: CountingEmbedder) -> None:
    ledger = store.ledger
    assert ledger.stage("f", article(1, "One."), [Span(0, 4)], replaces=True) is StageResult.ADDED
    result = ledger.stage("f", article(2, "Two."), [Span(0, 4)], replaces=True)
    assert result is StageResult.CHANGED
    ingest(store, counting, [], 1000, lambda report: None)
    assert [a.id for a in ledger.articles()] == ["a2"]


def test_an_article_that_another_file_also_gives_stays(
    store: Store, counting: CountingEmbedder
) -> None:
    ledger = store.ledger
    ledger.stage("f", article(1, "One."), [Span(0, 4)], replaces=True)
    ledger.stage("g", article(1, "One."), [Span(0, 4)], replaces=True)
    ledger.stage("f", article(2, "Two."), [Span(0, 4)], replaces=True)
    ingest(store, counting, [], 1000, lambda report: None)
    assert {a.id for a in ledger.articles()} == {"a1", "a2"}


def test_two_versions_in_one_run_leave_no_trace_of_the_first(
    store: Store, counting: CountingEmbedder
) -> None:
    put(store, counting, article(1, "First words."), article(1, "Second words."))
    assert store.ledger.article("a1").text == "Second words."
    assert store.vectors.count() == 1
    assert store.words.search("first", 10, Filters()) == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, {"a1", "a2", "a3"}),
        ({"since": date(2024, 2, 1)}, {"a2"}),
        ({"until": date(2024, 1, 31)}, {"a1", "a3"}),
        ({"since": date(2024, 1, 1), "until": date(2024, 1, 1)}, {"a1"}),
        ({"source": "Other"}, {"a2"}),
        ({"source": ["Other"]}, {"a2"}),
        ({"source": ["Other", "Third", "Nobody"]}, {"a2", "a3"}),
        ({"source": ("Test Gazette", "Third"), "until": date(2024, 1, 31)}, {"a1", "a3"}),
        ({"source": ["Other", "Third"], "since": date(2024, 1, 1)}, {"a2"}),
        ({"source": []}, {"a1", "a2", "a3"}),
        ({"source": ""}, set()),
        ({"source": ["Nobody"]}, set()),
        ({"source": ["Oth", "\ud800"]}, set()),
        ({"source": "Nobody"}, set()),
    ],
)
def test_filters(
    local_store: Store,
    counting: CountingEmbedder,
    filters: dict[str, object],
    expected: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(
        local_store,
        counting,
        article(1, "The bridge closed.", published=date(2024, 1, 1)),
        article(2, "The bridge opened.", published=date(2024, 2, 1), source="Other"),
        article(3, "The bridge is old.", published=None, source="Third"),
    )
    looks = []
    for most, few in ((15_000, 1_000), (0, 1_000), (0, 0)):  # fetched, compared, in the graph
        monkeypatch.setattr("rag.store._MOST_FETCHED", most)
        monkeypatch.setattr("rag.vectors._FEW", few)
        assert found(local_store, counting, "bridge", **filters) == expected
        vector = counting.embedder.encode(["a bridge"])[0]
        hits = local_store.search("unheard of", vector, 10, Filters(**filters))
        looks.append({(hit.row.id, round(hit.dense, 3)) for hit in hits})
    assert looks[0] == looks[1] == looks[2]
    assert local_store.period(Filters(**filters))[0] == len(expected)


def test_a_rare_outlet_is_found_among_many(store: Store, counting: CountingEmbedder) -> None:
    crowd = [article(n, f"The bridge story number {n}.") for n in range(60)]
    put(store, counting, *crowd, article(99, "Quiet words.", source="Rare"))
    assert found(store, counting, "bridge story", source="Rare") == {"a99"}
    assert found(store, counting, "bridge story", source=["Rare", "Nobody"]) == {"a99"}


def test_what_passes_is_found_where_the_nearest_of_all_do_not_pass(
    local_store: Store, counting: CountingEmbedder
) -> None:
    crowd = [article(n, f"The bridge story number {n}.") for n in range(100)]
    rare = [article(n, f"Quiet words, page {n}.", source="Rare") for n in range(100, 110)]
    put(local_store, counting, *crowd, *rare)
    vector = counting.embedder.encode(["The bridge story"])[0]
    assert len(local_store.vectors.search(vector, 40)) == 40  # more than are fetched at first
    hits = local_store.search("The bridge story", vector, 2, Filters(source="Rare"))
    cosines = {p: c for p, c in local_store.vectors.search(vector, 110) if p > 100}
    assert {hit.row.id for hit in hits} == set(list(cosines)[:2])


def test_the_period_is_that_of_the_articles_that_pass(
    store: Store, counting: CountingEmbedder
) -> None:
    put(
        store,
        counting,
        article(1, "The bridge closed.", published=date(2024, 1, 1)),
        article(2, "The bridge opened.", published=date(2024, 2, 1), source="Other"),
        article(3, "The bridge is old.", published=None),
    )
    days = (date(2024, 1, 1), date(2024, 2, 1))
    assert store.period(Filters()) == (3, *days)
    assert store.period(Filters(source=["Other", "Test Gazette"])) == (3, *days)
    assert store.period(Filters(source="Test Gazette")) == (2, days[0], days[0])
    assert store.period(Filters(until=date(2023, 1, 1))) == (1, None, None)
    with store.writing():
        store.delete("a2")
    assert store.period(Filters()) == (2, days[0], days[0])


def test_what_another_process_writes_is_found(tmp_path: Path, counting: CountingEmbedder) -> None:
    code = (
        "import sys; from rag import Archive, Article\n"
        "with Archive.open(sys.argv[1]) as archive:\n"
        "    archive.ingest(Article(id=sys.argv[2], title='T', text=sys.argv[3]))"
    )
    folder = tmp_path / "archive"

    def write(article_id: str, text: str) -> None:
        subprocess.run([sys.executable, "-c", code, folder, article_id, text], check=True, cwd=ROOT)

    write("a1", "The bridge closed.")
    with Archive.open(folder) as reader:
        assert [p.article.id for p in reader.search("viaduct shut")] == ["a1"]
        write("a2", "Engineers shut the viaduct.")
        assert [p.article.id for p in reader.search("viaduct shut")] == ["a2", "a1"]
        vector = counting.encode(["viaduct shut"])[0]
        assert len(reader._store.vectors.search(vector, 10)) == 2


def test_a_locked_archive_says_so(store: Store, counting: CountingEmbedder) -> None:
    message = "being written by another process"
    lock = FileLock(store.folder / "write.lock")
    with lock, pytest.raises(ArchiveLockedError, match=message):
        put(store, counting, article(1, "Text."))
    assert store.ledger.count("current") == 0


def test_an_archive_of_another_embedding_model_says_so(tmp_path: Path) -> None:
    Store(tmp_path / "archive", "one", 1000).close()
    with pytest.raises(ArchiveMismatchError, match="made with embedding_model one, not two"):
        Store(tmp_path / "archive", "two", 1000)


def test_a_folder_that_is_no_archive_says_so(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(ArchiveError, match="cannot be used as an archive"):
        Store(file, "m", 1000)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "articles.sqlite").write_text("this is not a database at all, " * 40)
    with pytest.raises(ArchiveError, match="cannot be opened as an archive"):
        Store(folder, "m", 1000)


def test_an_article_without_text_is_a_failure(
    tmp_path: Path, embedder: SentenceTransformerEmbedder
) -> None:
    with make_archive(tmp_path / "archive", embedder) as archive:
        assert archive.ingest(article(1, " \n ")).failures[0].reason == "has no id or no text"
        long = dataclasses.replace(article(2, "Text."), id="x" * 501)
        assert archive.ingest(long).failures[0].reason == "its id has over 500 characters"
        assert archive.status().articles == 0


def test_vectors_of_equal_texts_are_equal(embedder: SentenceTransformerEmbedder) -> None:
    rows = embedder.encode(["A bridge.", "A much longer text about a bridge. " * 9, "A bridge."])
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=0.01)
    assert float(rows[0] @ rows[2]) > 0.999
