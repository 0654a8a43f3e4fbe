"""Backups, restored whole or refused, and exports."""

from __future__ import annotations

import gzip
import json
import threading
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from conftest import article
from crash import HashEmbedder, put
from small_archive import LONG, embedder_for, found, small_settings

from rag import Archive, ArchiveError, Asked, Exchange, maintenance
from rag.store import Store


def no_embedder(name: str) -> HashEmbedder:
    class Refuses(HashEmbedder):
        def encode(self, texts):
            raise AssertionError("nothing had to be embedded")

    return Refuses()


def with_conversation(folder: Path) -> str:
    with Archive.open(folder, small_settings()) as archive:
        conversations = archive.conversations()
        one = conversations.new("About the bridge")
        now = datetime.now(UTC)
        conversations.save(one.id, Exchange("e1", "Which bridge?", Asked(), now))
        return one.id


def test_a_backup_is_restored_whole(small_folder: Path, tmp_path: Path) -> None:
    conversation = with_conversation(small_folder)
    made = maintenance.back_up(small_folder, tmp_path / "b.zip")
    assert made.vectors == made.passages > 5
    restored = maintenance.restore(tmp_path / "b.zip", tmp_path / "again", no_embedder)
    assert restored.articles == made.articles == 5
    assert maintenance.check(tmp_path / "again") == []
    before, after = Store(small_folder), Store(tmp_path / "again")
    assert after.ledger.articles() == before.ledger.articles()
    assert after.ledger.article("a4", 1) == before.ledger.article("a4", 1)
    ids = range(1, 20)
    assert np.allclose(before.vectors.vectors(ids)[1], after.vectors.vectors(ids)[1])
    assert found(after, "fresh4") == {"a4"}
    before.close(), after.close()
    with Archive.open(tmp_path / "again", small_settings()) as archive:
        assert archive.conversations().get(conversation).exchanges[0].question == "Which bridge?"


def test_a_backup_while_one_writes_is_of_one_moment(small_folder: Path, tmp_path: Path) -> None:
    store = Store(small_folder)
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
        maintenance.back_up(small_folder, tmp_path / f"{number}.zip")
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


def test_nothing_is_restored_over_what_is_there(small_folder: Path, tmp_path: Path) -> None:
    maintenance.back_up(small_folder, tmp_path / "b.zip")
    with pytest.raises(ArchiveError, match="not empty"):
        maintenance.restore(tmp_path / "b.zip", small_folder, embedder_for)
    assert maintenance.check(small_folder) == []
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
    small_folder: Path, tmp_path: Path, change, reason: str
) -> None:
    maintenance.back_up(small_folder, tmp_path / "b.zip")
    bad = _changed(tmp_path / "b.zip", tmp_path / "bad.zip", change)
    with pytest.raises(ArchiveError, match=reason):
        maintenance.restore(bad, tmp_path / "again", embedder_for)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["archive", "b.zip", "bad.zip"]


def test_a_truncated_backup_is_refused(small_folder: Path, tmp_path: Path) -> None:
    maintenance.back_up(small_folder, tmp_path / "b.zip")
    data = (tmp_path / "b.zip").read_bytes()
    (tmp_path / "half.zip").write_bytes(data[: len(data) // 2])
    with pytest.raises(ArchiveError, match="not a sound backup"):
        maintenance.restore(tmp_path / "half.zip", tmp_path / "again", embedder_for)


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz"])
def test_an_export_is_ingested_as_the_same_articles(
    small_folder: Path, tmp_path: Path, name: str
) -> None:
    from rag.sources import load

    assert maintenance.export(small_folder, tmp_path / name) == 5
    opened = gzip.open if name.endswith(".gz") else open
    with opened(tmp_path / name, "rt", encoding="utf-8") as file:
        assert len(file.readlines()) == 5
    again = Store(tmp_path / "again", HashEmbedder.name, 300)
    put(again, [record.article for record in load([tmp_path / name])])
    before = Store(small_folder)
    assert {
        (a.id, a.title, a.text, a.source, a.url, a.published) for a in again.ledger.articles()
    } == {(a.id, a.title, a.text, a.source, a.url, a.published) for a in before.ledger.articles()}
    before.close(), again.close()
