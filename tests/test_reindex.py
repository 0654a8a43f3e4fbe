"""Making the indexes anew, by another model or of other passages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import article
from crash import HashEmbedder, put
from small_archive import LONG, found, small_settings

from rag import Archive, maintenance
from rag.agreement import check
from rag.store import Store
from rag.words import Filters


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


def test_reindexing_serves_until_the_switch_and_continues(small_folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("rag.reindex._BATCH_ARTICLES", 2)
    reader = Store(small_folder)
    assert found(reader, "word1") == {"a1"}
    with pytest.raises(KeyboardInterrupt):
        maintenance.rebuild(small_folder, OtherEmbedder(fails_after=25), 200)
    assert maintenance.check(small_folder) == []
    assert reader.embedding_model == HashEmbedder.name
    writer = Store(small_folder)
    put(writer, [article(5, f"Word5 opens. {LONG}"), article(1, f"Newer1 opens. {LONG}")])
    writer.close()
    again = OtherEmbedder()
    report = maintenance.rebuild(small_folder, again, 200)
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
    assert maintenance.check(small_folder) == []
    reader.close()
    maintenance.repair(small_folder, None, lambda name: again)  # the next writing clears away
    assert maintenance.check(small_folder) == []
    assert not (small_folder / "vectors").exists()
    store = Store(small_folder)
    lengths = [s.end - s.start for a in store.ledger.articles() for s in store.ledger.passages(a)]
    assert max(lengths) <= 200
    store.close()


def test_another_goal_begins_anew(small_folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        maintenance.rebuild(small_folder, OtherEmbedder(fails_after=1), 200)
    maintenance.rebuild(small_folder, HashEmbedder(), 400)
    store = Store(small_folder)
    assert (store.embedding_model, store.passage_characters) == (HashEmbedder.name, 400)
    put(store, [])
    assert len(list(small_folder.glob("edition-*"))) == 1
    assert check(store) == []
    store.close()


def test_an_open_archive_follows_the_switch(small_folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("rag.archive.SentenceTransformerEmbedder", lambda name: OtherEmbedder())
    from conftest import ScriptedLLM

    with Archive(Store(small_folder), small_settings(), HashEmbedder(), ScriptedLLM()) as archive:
        assert archive.search("Word1 opens")[0].article.id == "a1"
        maintenance.rebuild(small_folder, OtherEmbedder(), 200)
        assert archive.search("Word1 opens")[0].article.id == "a1"
        assert (
            archive.ask("What opens?", wording=False).trace.models["embedding"] == "another model"
        )
        assert archive.ingest(article(6, f"Word6 opens. {LONG}")).added == 1
        assert archive.search("Word6 opens")[0].article.id == "a6"
    assert maintenance.check(small_folder) == []
