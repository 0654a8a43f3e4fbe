"""The archive over a real PostgreSQL; tests/test_store.py runs its own tests over it, too."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, article
from crash import HashEmbedder, put, run
from postgres import PASSWORD, PostgresServer
from typer.testing import CliRunner

from rag import Archive, ArchiveError, ArchiveLockedError, maintenance
from rag.cli import app
from rag.databaseurl import VARIABLE
from rag.ingest import ingest
from rag.postgres import PostgresDatabase
from rag.rows import StageResult
from rag.sources import Record
from rag.store import Store
from rag.types import Span
from rag.words import Filters

LONG = "The council met again about the bridge. " * 20


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.database()


@pytest.fixture
def folder(tmp_path: Path, url: str) -> Path:
    """An archive of five articles in PostgreSQL, of which one was revised."""
    made = tmp_path / "archive"
    fill(made, url)
    return made


def fill(folder: Path, url: str = "") -> None:
    store = Store(folder, HashEmbedder.name, 300, database=url)
    put(store, [article(n, f"Word{n} opens. {LONG}", published=None) for n in range(5)])
    put(store, [article(4, f"Fresh4 opens. {LONG}", source=None)])
    store.close()


def embedder_for(name: str) -> HashEmbedder:
    assert name == HashEmbedder.name
    return HashEmbedder()


def ledger_of(folder: Path) -> list[object]:
    """All that the ledger says, in its order."""
    with closing(Store(folder)) as store:
        ledger = store.ledger
        ids = [passage.id for one in ledger.articles() for passage in ledger.passages(one)]
        return [
            ledger.articles(),
            ledger.articles(2, Filters(source=["Test Gazette", "Nobody"])),
            list(ledger.every_article()),
            ledger.article("a4", 1),
            ledger.days(),
            ledger.passage_rows(ids),
            ledger.garbage(),
            {name: value for name, value in ledger.meta().items() if name != "version"},
            [ledger.database.last_number(table) for table in ("articles", "passages")],
        ]


def test_the_url_with_its_password_may_come_from_the_environment(
    url: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.delenv("PGPASSWORD")
    secret = PASSWORD.replace("/", "%2F").replace("@", "%40").replace(" ", "%20")
    monkeypatch.setenv(VARIABLE, url.replace("news@", f"news:{secret}@"))
    fill(tmp_path / "archive")
    assert maintenance.check(tmp_path / "archive") == []
    note = (tmp_path / "archive" / "database.json").read_text()
    assert url in note
    assert not (tmp_path / "archive" / "articles.sqlite").exists()
    monkeypatch.setenv(VARIABLE, url.replace("news@", "news:wrong-one@"))
    with pytest.raises(ArchiveError, match="password authentication failed") as caught:
        Store(tmp_path / "archive")
    for text in (note, str(caught.value)):
        assert "a%20secret" not in text and PASSWORD not in text and "wrong-one" not in text


def test_a_server_that_is_not_there_is_one_sentence(tmp_path: Path, postgres) -> None:
    url = postgres.url("none")
    with pytest.raises(
        ArchiveError, match=f'{url} cannot be opened .*"none" does not exist'
    ) as one:
        Store(tmp_path / "archive", "m", 1000, database=url)
    with pytest.raises(ArchiveError, match="Connection refused") as other:
        Store(tmp_path / "archive", "m", 1000, database="postgresql://127.0.0.1:1/none")
    assert "\n" not in f"{one.value}{other.value}"
    assert not (tmp_path / "archive" / "database.json").exists()


def test_a_database_that_cannot_hold_all_text_is_refused(tmp_path: Path, postgres) -> None:
    with pytest.raises(ArchiveError, match="stores text as SQL_ASCII, not as UTF8"):
        Store(tmp_path / "archive", "m", 1000, database=postgres.database(encoding="SQL_ASCII"))


# the same as in SQLite


def test_both_databases_say_the_same(folder: Path, tmp_path: Path) -> None:
    fill(tmp_path / "local")
    assert ledger_of(folder) == ledger_of(tmp_path / "local")


def test_text_that_postgresql_cannot_hold_keeps_its_offsets(folder: Path) -> None:
    store = Store(folder)
    odd = article(9, 'A "quoted" \\ line\0with a null. \N{ROCKET} 100 % ?\tend' + LONG, title="\0")
    put(store, [odd])
    held = store.ledger.article("a9")
    assert held.text == odd.text.replace("\0", "\ufffd")
    assert store.ledger.passages(held)
    assert store.ledger.is_known("o:a9", odd)
    long = Record("".join(map(chr, range(0x4E00, 0x6E00))), article(10, LONG))
    for expected in (StageResult.ADDED, StageResult.UNCHANGED):  # longer than what can be indexed
        assert store.ledger.stage(long.origin, long.article, [], replaces=True) is expected
    assert store.ledger.is_known(long.origin, long.article)
    store.close()


def test_a_schema_of_an_earlier_version_is_brought_up(folder: Path, url: str) -> None:
    before = ledger_of(folder)
    database = PostgresDatabase(url)
    with database.transaction() as db:
        db.execute("ALTER TABLE passages DROP COLUMN edition")
        db.execute("DROP TABLE replaced")
        db.execute("UPDATE writer SET schema = ''")
    database.close()
    assert ledger_of(folder) == before
    assert maintenance.check(folder) == []


def test_what_is_wrong_is_told_and_mended(folder: Path) -> None:
    store = Store(folder)
    store.vectors.delete([3])
    with store.ledger.transaction() as db:
        db.execute("UPDATE articles SET state = 'current' WHERE id = 'a4'")
        db.execute('UPDATE passages SET "end" = 9999 WHERE id = 5')
        db.execute("DELETE FROM articles WHERE id = 'a2'")
    told = "\n".join(maintenance.check(folder))
    for line in (
        "vectors: passage 3 of article a0 is missing",
        "article a4: 2 revisions are current at once",
        "to 9999, is outside its text of",
        "article a2 has no such revision",
        "its article a2 is not there",
    ):
        assert line in told
    store.close()
    assert maintenance.repair(folder, None, embedder_for)[1] == []
    assert maintenance.check(folder) == []


def test_a_new_edition_serves_after_the_switch(folder: Path) -> None:
    reader = Store(folder)
    assert maintenance.rebuild(folder, HashEmbedder(), 600).switched
    reader.refresh()
    assert reader.passage_characters == 600
    assert {row.article_id for row in found(reader, "fresh4")} == {"a4"}
    reader.close()
    assert maintenance.check(folder) == []


def found(store: Store, word: str):
    hits = store.search(word, HashEmbedder().encode([word])[0], 20, Filters())
    return [hit.row for hit in hits if hit.lexical]


def test_a_reader_follows_what_another_writes_but_not_itself(folder: Path) -> None:
    reader, writer = Store(folder), Store(folder)
    assert found(reader, "zebras") == []
    put(writer, [article(7, "Zebras escaped from the zoo.")])
    assert not writer.refresh()
    assert [row.article_id for row in found(reader, "zebras")] == ["a7"]
    with writer.writing():
        writer.ledger.stage("z", article(8, "Zebras."), [Span(0, 7)], replaces=False)
        assert [row.article_id for row in found(reader, "zebras")] == ["a7"]
    reader.close()
    writer.close()


# one folder, one database


def test_a_database_has_its_indexes_in_one_folder(
    folder: Path, url: str, tmp_path: Path, postgres
) -> None:
    other = tmp_path / "other"
    with pytest.raises(ArchiveError, match=r"repair --archive .*other --database") as caught:
        Store(other, HashEmbedder.name, 300, database=url)
    assert str(folder) in str(caught.value)
    open_before = Store(folder)
    mended, left = maintenance.repair(other, None, embedder_for, url)
    assert left == []
    assert mended.embedded > 5
    assert maintenance.check(other) == []
    for refused in (lambda: Store(folder), open_before.refresh):
        with pytest.raises(ArchiveError, match=r"are (now )?those in .*other"):
            refused()
    open_before.close()
    Store(other, database=url.replace("127.0.0.1", "localhost")).close()  # it has a new address
    assert "localhost" in (other / "database.json").read_text()
    with pytest.raises(ArchiveError, match="there is no archive in postgresql:"):
        maintenance.repair(tmp_path / "third", None, embedder_for, postgres.database())
    assert maintenance.repair(folder, None, embedder_for)[1] == []
    assert maintenance.check(folder) == []


def test_there_and_back_again(
    folder: Path, url: str, tmp_path: Path, postgres, monkeypatch
) -> None:
    before = ledger_of(folder)
    made = maintenance.back_up(folder, tmp_path / "b.zip")
    assert made.vectors == made.passages > 5
    local = tmp_path / "local"
    maintenance.restore(tmp_path / "b.zip", local, embedder_for)
    assert (local / "articles.sqlite").exists()
    assert ledger_of(local) == before
    with pytest.raises(ArchiveError, match="newsrag move --archive"):
        Store(local, database=postgres.database())
    with pytest.raises(ArchiveError, match="already has the archive in"):
        maintenance.move(local, url)
    stale = Store(local)
    target = postgres.database()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("rag.databases._note", _killed)
        maintenance.move(local, target)
    with pytest.raises(ArchiveError, match="have moved to PostgreSQL"):
        put(stale, [article(9, "Lost, if it were put into the file.")])
    stale.close()
    monkeypatch.setenv(VARIABLE, target)
    with pytest.raises(ArchiveError, match="interrupted: newsrag move"):
        Store(local)
    maintenance.move(local, "")
    assert not (local / "articles.sqlite").exists()
    assert ledger_of(local) == before
    store = Store(local)
    put(store, [article(9, "New words get new numbers.")])
    store.close()
    assert maintenance.check(local) == []


def _killed(*arguments: object) -> None:
    raise KeyboardInterrupt


# one writer among all machines


HOLDS = """
import sys, time
from rag.postgres import PostgresDatabase
database = PostgresDatabase(sys.argv[1])
assert database.lock()
print("locked", flush=True)
time.sleep(600)
"""


def test_one_writes_whatever_the_machine(folder: Path, url: str) -> None:
    store = Store(folder)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, url], cwd=ROOT, stdout=subprocess.PIPE
    ) as elsewhere:
        assert elsewhere.stdout is not None
        assert elsewhere.stdout.readline() == b"locked\n"
        who = rf"written by another process \(pid {elsewhere.pid} on .+, since \d{{4}}-"
        with pytest.raises(ArchiveLockedError, match=who):
            put(store, [article(7, "Text here.")])
        assert found(store, "fresh4")  # others read
        told: list[str] = []

        def waiting(sentence: str) -> None:
            told.append(sentence)
            elsewhere.kill()

        with store.writing(waiting):
            put(store, [article(7, "Text here.")])
    assert len(told) == 1
    store.close()
    assert maintenance.check(folder) == []


# what breaks


def test_a_server_that_goes_away_loses_nothing(
    folder: Path, postgres: PostgresServer, caplog, monkeypatch
) -> None:
    store, reader = Store(folder), Store(folder)
    add = store.indexes.add

    def stops(*given: Any) -> None:
        postgres.stop()  # as without power: what is not on the disk is lost
        add(*given)

    monkeypatch.setattr(store.indexes, "add", stops)
    records = [Record("o:a8", article(8, f"Late8 opens. {LONG}", published=date(2024, 5, 1)))]
    try:
        with pytest.raises(ArchiveError, match="continues once it is back") as caught:
            ingest(store, HashEmbedder(), records, 300, lambda report: None)
        assert "\n" not in str(caught.value)
        assert not caplog.records  # the driver keeps quiet, too
    finally:
        postgres.start()
        monkeypatch.undo()
    assert len(reader.ledger.articles()) == 5  # which connected anew
    assert reader.ledger.count("pending") == 1
    put(store, [])
    assert [row.article_id for row in found(reader, "late8")][:1] == ["a8"]
    store.close()
    reader.close()
    assert maintenance.check(folder) == []


DIES = """
import os, sys
sys.path.insert(0, "tests")
from pathlib import Path
from crash import HashEmbedder, small_batches
from rag.ingest import ingest
from rag.store import Store
from test_postgres import MANY
small_batches()

def die(report):
    if report.passages > 60:  # while the batch before is being written
        os.kill(os.getpid(), 9)

ingest(Store(Path(sys.argv[1])), HashEmbedder(), MANY, 300, die)
"""
MANY = [Record(f"o:{n}", article(n, f"Word{n} opens. {LONG}")) for n in range(20, 50)]


def test_a_killed_writer_is_completed_by_the_next(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", DIES, folder], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    store = Store(folder)
    assert store.ledger.count("pending") > 0
    report = ingest(store, HashEmbedder(), MANY, 300, lambda report: None)
    assert report.added > 0
    assert len(store.ledger.articles()) == 35
    store.close()
    assert maintenance.check(folder) == []


def test_two_kills_lose_nothing(tmp_path: Path, url: str) -> None:
    findings = run(tmp_path, seed=5, kills=2, database=url)
    assert findings.kills == 2
    assert findings.lost == findings.duplicated == findings.disagreements == 0


# the command line


def newsrag(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    assert "Traceback" not in result.output
    return result.output


def test_the_commands_work_over_it(url: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("story.txt").write_text("The harbour bridge closed on Monday after a ferry struck it.")
    told = newsrag("ingest", "story.txt", "--database", url.replace("@", ":hunter2@"), code=1)
    assert "holds a password" in told
    assert "hunter2" not in told
    assert "1" in newsrag("ingest", "story.txt", "--database", url)
    Path("newsrag.toml").write_text(f'database = "{url}"')
    asked = newsrag("ask", "when did the bridge close?", "--no-llm")
    assert "harbour bridge" in asked
    Path("newsrag.toml").unlink()
    for command in ("check", "repair", "status"):
        newsrag(command)
    newsrag("backup", "b.zip")
    assert "1 articles" in newsrag("export", "all.jsonl")
    with Archive.open() as archive:
        (only,) = archive.articles()
    assert "Deleted" in newsrag("delete", only.id)
    assert "Everything agrees." in newsrag("check")
