from __future__ import annotations

from pathlib import Path
from queue import Queue
from threading import Event, Thread

import pytest
from conftest import make_archive
from inputs import FERRY, PIER, write

from rag import SourceError
from rag.models import SentenceTransformerEmbedder
from rag.reports import IngestReport
from rag.watch import watch


def test_what_appears_in_a_folder_is_ingested(
    tmp_path: Path, embedder: SentenceTransformerEmbedder
) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    write(folder / "a.txt", f"Pier\n\n{PIER}")
    reports: Queue[IngestReport] = Queue()
    stop = Event()
    with make_archive(tmp_path / "archive", embedder) as archive:
        watching = Thread(target=watch, args=(archive, folder, reports.put, print, stop))
        watching.start()
        try:
            assert reports.get(timeout=60).added == 1
            write(folder / ".hidden.txt", f"No\n\n{PIER}")
            write(folder / "picture.png", "no article")
            write(folder / "sub/b.jsonl", "broken\n")
            (failure,) = reports.get(timeout=60).failures
            assert failure.place == f"{folder}/sub/b.jsonl:1"
            write(folder / "a.txt", f"Pier\n\n{FERRY}")
            assert reports.get(timeout=60).changed == 1
        finally:
            stop.set()
            watching.join(timeout=60)
        assert not watching.is_alive()
        assert [article.text for article in archive.articles()] == [FERRY]
    assert reports.empty()


def test_a_folder_that_is_none(tmp_path: Path, embedder: SentenceTransformerEmbedder) -> None:
    with (
        make_archive(tmp_path / "archive", embedder) as archive,
        pytest.raises(SourceError, match="none: is no folder"),
    ):
        watch(archive, tmp_path / "none", print, print)
