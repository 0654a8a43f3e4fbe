"""What a question of an earlier day sees: the revisions of that day, and no later word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from conftest import article, make_archive
from crash import HashEmbedder, put
from typer.testing import CliRunner

from rag import maintenance
from rag.agreement import check
from rag.cli import app
from rag.retrieve import Scope
from rag.sources import Record
from rag.store import Store
from rag.types import Article
from rag.words import Filters

FIRST = "The flood drowned twelve sheep at Callow Mill."
SECOND = "Correction: the flood drowned fourteen goats at Callow Mill."
THIRD = "The flood at Callow Mill drowned fifteen llamas."
MARCH = date(2024, 3, 1)
LONG_AGO = date(2024, 1, 20)
TODAY = datetime.now().astimezone().date()


def story(text: str, modified: date | None = None, number: int = 1) -> Article:
    return article(number, text, published=date(2024, 1, 9), modified=modified)


@pytest.fixture
def store(tmp_path: Path, database: str) -> Iterator[Store]:
    opened = Store(tmp_path / "archive", HashEmbedder.name, 300, database=database)
    yield opened
    opened.close()


def seen(store: Store, words: str, as_of: date | None) -> set[str]:
    """The texts of the articles in which a search as of a day finds passages."""
    vector = HashEmbedder().encode([words])[0]
    filters = Scope(as_of).filters if as_of else Filters()
    rows = [candidate.row for candidate in store.search(words, vector, 10, filters)]
    return {store.ledger.article(row.article_id, row.revision).text for row in rows}


def test_a_question_of_an_earlier_day_sees_the_revision_of_that_day(store: Store) -> None:
    put(store, [story(FIRST), article(2, "A ferry sails.", published=date(2024, 1, 2))])
    put(store, [story(SECOND, MARCH)])
    put(store, [story(THIRD, date(2024, 5, 1))])
    for words in ("sheep", "goats", "llamas flood"):
        assert FIRST in seen(store, words, LONG_AGO)
        assert not {SECOND, THIRD} & seen(store, words, MARCH - timedelta(days=1))
        assert SECOND in seen(store, words, MARCH)
        assert not {FIRST, THIRD} & seen(store, words, MARCH)
        for now in (None, TODAY, date(2024, 5, 1)):
            assert THIRD in seen(store, words, now)
            assert not {FIRST, SECOND} & seen(store, words, now)
    assert seen(store, "sheep goats", date(2024, 1, 5)) == {"A ferry sails."}
    assert [one.text for one in store.find("sheep", 9, Filters())] == []
    assert check(store) == []


def test_what_only_later_revisions_say_does_not_rank_by_words(store: Store) -> None:
    put(store, [story(FIRST)])
    put(store, [story(SECOND, MARCH)])
    before = Scope(LONG_AGO).filters
    assert store.words.search("goats", 10, Filters(as_of=LONG_AGO))
    rows = store.ledger.passage_rows([i for i, _ in store.words.search("goats", 10, before)])
    assert {row.revision for row in rows.values()} == {2}
    by_day = store.ledger.passage_rows(list(rows), LONG_AGO)
    assert by_day == {}


def test_without_a_time_of_modification_a_revision_stands_from_its_ingestion(store: Store) -> None:
    put(store, [story(FIRST)])
    put(store, [story(SECOND)])
    yesterday = TODAY - timedelta(days=1)
    assert seen(store, "flood", yesterday) == {FIRST}
    assert seen(store, "flood", TODAY) == {SECOND}
    put(store, [story(THIRD)])  # on the same day: nobody can ask as of a day of the second
    assert seen(store, "flood", TODAY) == {THIRD}
    assert store.vectors.count() == 2
    assert check(store) == []


@pytest.mark.parametrize("stale", [MARCH, date(2024, 2, 1)])
def test_a_time_of_modification_that_did_not_move_says_nothing(store: Store, stale: date) -> None:
    put(store, [story(FIRST, MARCH)])
    put(store, [story(SECOND, stale)])
    assert seen(store, "flood", date(2024, 6, 1)) == {FIRST}
    assert seen(store, "flood", TODAY) == {SECOND}


def test_a_modification_in_the_future_counts_from_the_ingestion(store: Store) -> None:
    put(store, [story(FIRST)])
    put(store, [story(SECOND, datetime(2090, 1, 1, tzinfo=UTC))])
    assert seen(store, "flood", TODAY) == {SECOND}


def test_an_edited_file_is_a_later_revision_though_its_article_has_another_id(
    store: Store,
) -> None:
    for number, text in ((1, FIRST), (2, SECOND), (1, FIRST)):
        record = Record("file", story(text, number=number), is_whole=True)
        ledger = store.ledger
        from rag.passages import split_passages

        ledger.stage("file", record.article, split_passages(text, 300), replaces=True)
        put(store, [])
        assert seen(store, "flood", LONG_AGO) == {FIRST}
        assert seen(store, "flood", None) == {text}
    assert check(store) == []


def test_what_is_deleted_is_gone_for_every_day(store: Store) -> None:
    put(store, [story(FIRST)])
    put(store, [story(SECOND, MARCH)])
    with store.writing():
        store.delete("a1")
    assert seen(store, "flood", LONG_AGO) == seen(store, "flood", None) == set()
    assert store.vectors.count() == store.words.count() == store.article_words.count() == 0


def test_a_crash_before_the_indexes_have_filed_anew_is_completed(store: Store) -> None:
    put(store, [story(FIRST)])
    filing, store.collect_garbage = store.collect_garbage, lambda: None  # type: ignore[method-assign]
    put(store, [story(SECOND, MARCH)])
    assert seen(store, "flood", None) == {SECOND}
    assert seen(store, "flood", LONG_AGO) == {FIRST}
    assert check(store) == []  # what the ledger knows to be unfinished
    assert store.ledger.garbage() != ([], [])
    store.collect_garbage = filing  # type: ignore[method-assign]
    put(store, [])
    assert store.ledger.garbage() == ([], [])
    assert seen(store, "flood", LONG_AGO) == {FIRST}
    assert check(store) == []


def test_repair_and_reindex_and_backup_keep_what_was_superseded(
    store: Store, tmp_path: Path
) -> None:
    put(store, [story(FIRST)])
    put(store, [story(SECOND, MARCH)])
    folder = store.folder
    store.vectors.delete([1])
    store.close()
    assert maintenance.check(folder) == ["vectors: passage 1 of article a1 is missing"]
    mended, left = maintenance.repair(folder, None, lambda name: HashEmbedder())
    assert (mended.embedded, left) == (1, [])
    maintenance.rebuild(folder, HashEmbedder(), 200)
    maintenance.back_up(folder, tmp_path / "b.zip")
    maintenance.restore(tmp_path / "b.zip", tmp_path / "r", lambda name: HashEmbedder())
    for made in (folder, tmp_path / "r"):
        assert maintenance.check(made) == []
        opened = Store(made)
        assert seen(opened, "flood", LONG_AGO) == {FIRST}
        assert seen(opened, "flood", None) == {SECOND}
        opened.close()


def test_an_archive_of_an_earlier_version_gets_its_days(store: Store, database: str) -> None:
    for text, modified in ((FIRST, None), (SECOND, MARCH), (THIRD, None)):
        put(store, [story(text, modified)])
    with store.ledger.transaction() as db:
        db.execute("DROP INDEX articles_changed")
        for name in ("ingested", "valid_from", "valid_to"):
            db.execute(f"ALTER TABLE articles DROP COLUMN {name}")
        # An earlier version let the passages go as soon as they were superseded.
        db.execute("DELETE FROM passages WHERE revision < 3")
        if database:
            db.execute("UPDATE writer SET schema = ''")
    opened = Store(store.folder)
    assert opened.ledger.article("a1").ingested is None
    put(opened, [])
    assert check(opened) == []
    assert seen(opened, "flood", LONG_AGO) == {FIRST}
    assert seen(opened, "flood", MARCH) == {SECOND}
    assert seen(opened, "flood", TODAY) == {THIRD}
    opened.close()


def test_the_times_are_kept_apart(tmp_path: Path, embedder) -> None:
    before = datetime.now().astimezone().replace(microsecond=0)
    with make_archive(tmp_path / "archive", embedder) as archive:
        archive.ingest(story(FIRST))
        archive.ingest(story(SECOND, MARCH))
        first, second = (archive.article("a1", revision) for revision in (1, 2))
        assert first.ingested and before <= first.ingested <= datetime.now().astimezone()
        assert second.ingested and second.ingested >= first.ingested
        past = archive.ask("What did the flood drown?", as_of=LONG_AGO, wording=False)
        assert "sheep" in str(past) and "goats" not in str(past)
        assert {c.article.revision for c in past.citations} == {1}
        assert {p.article.text for p in archive.search("goats", as_of=LONG_AGO)} == {FIRST}
        assert "goats" in str(archive.ask("What did the flood drown?", wording=False))
    shown = CliRunner().invoke(
        app, ["show", "a1", "--archive", str(tmp_path / "archive"), "--json"]
    )
    values = json.loads(shown.stdout)
    assert (values["published"], values["modified"]) == ("2024-01-09", "2024-03-01")
    assert datetime.fromisoformat(values["ingested"]) == second.ingested
