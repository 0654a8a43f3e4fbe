"""ui.adding: files, pasted articles and addresses reach the archive, or say why not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from conftest import make_archive
from filelock import FileLock

from rag import Archive, Failure, IngestReport
from rag.models import SentenceTransformerEmbedder
from ui import adding
from ui.adding import Adding, Item, Progress, addresses, pasted, uploaded


@pytest.fixture
def archive(tmp_path: Path, embedder: SentenceTransformerEmbedder) -> Iterator[Archive]:
    with make_archive(tmp_path / "archive", embedder) as opened:
        yield opened


@pytest.fixture
def upload(tmp_path: Path) -> Callable[[str, str], str]:
    """A file in a folder of its own, as Gradio leaves it."""

    def make(name: str, text: str) -> str:
        folder = tmp_path / f"upload-{name}"
        folder.mkdir()
        (folder / name).write_text(text, encoding="utf-8")
        return str(folder / name)

    return make


def added(archive: Archive, items: list[Item], failures: list[Failure] | None = None) -> Progress:
    run = Adding(archive, items, failures or [])
    run.start()
    *_, last = run.watch()
    assert last is run.progress
    assert not any(isinstance(item.given, Path) and item.given.parent.exists() for item in items)
    return last


def test_files_are_added_each_failure_names_its_file_and_all_are_removed(
    archive: Archive, upload: Callable[[str, str], str]
) -> None:
    paths = [
        upload("walrus.md", "# Walruses\n\nA walrus swam into the bay."),
        upload("photo.png", "no text"),
        upload("two.jsonl", '{"title": "Seals", "text": "Seals sang."}\n{broken\n'),
        upload("none.txt", ""),
    ]
    last = added(archive, uploaded(paths))
    assert (last.done, last.total, last.over, last.error, last.failed) == (4, 4, True, "", 3)
    assert last.report.added == 2
    failures = {failure.place: failure.reason for failure in last.report.failures}
    assert set(failures) == {"photo.png", "two.jsonl:2", "none.txt"}
    assert "supported kinds" in failures["photo.png"]
    assert {article.title for article in archive.articles()} == {"Walruses", "Seals"}


def test_the_same_file_again_is_unchanged(
    archive: Archive, upload: Callable[[str, str], str]
) -> None:
    text = '{"title": "Seals", "url": "https://bay.example/1", "text": "Seals sang."}'
    assert added(archive, uploaded([upload("a.json", text)])).report.added == 1
    assert added(archive, uploaded([upload("b.json", text)])).report.unchanged == 1
    changed = text.replace("sang", "slept")
    assert added(archive, uploaded([upload("c.json", changed)])).report.changed == 1


def test_a_file_that_is_too_large_is_not_read(
    archive: Archive, upload: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adding, "MAX_UPLOAD_BYTES", 3 * 1024**2)
    last = added(archive, uploaded([upload("big.txt", "word " * 700_000)]))
    (failure,) = last.report.failures
    assert str(failure) == "big.txt: is larger than 3 MB; add it with newsrag ingest FILE"
    assert archive.articles() == []


def test_an_upload_that_has_vanished_is_one_failure(archive: Archive, tmp_path: Path) -> None:
    last = added(archive, [Item("gone.txt", tmp_path / "nowhere" / "gone.txt")])
    assert last.report.failures == (Failure("gone.txt", "does not exist"),)
    assert last.over


def test_a_pasted_article_is_stored_as_it_was_typed(archive: Archive) -> None:
    item = pasted("<b>Ice</b> & snow", "The “Floe”", "2024-03-09", "Ice.\r\n\r\nSnow\0 fell.")
    assert added(archive, [item]).report.added == 1
    (article,) = archive.articles()
    assert article.title == "<b>Ice</b> & snow"
    assert article.source == "The “Floe”"
    assert article.published == date(2024, 3, 9)
    assert article.text == "Ice.\n\nSnow\ufffd fell."


def test_a_pasted_article_without_text_is_a_failure(archive: Archive) -> None:
    last = added(archive, [pasted("Title", "", "", "  \n")])
    assert last.report.failures == (Failure("The pasted article", "has no text"),)


def test_only_web_addresses_are_taken_and_each_once() -> None:
    lines = "https://a.example/1\n /etc/passwd\n\nHTTP://b.example/x\nfile:///etc/passwd\n"
    items, failures = addresses(lines + "https://a.example/1\njavascript:alert(1)\nwww.example")
    assert [item.given for item in items] == ["https://a.example/1", "http://b.example/x"]
    refused = ["/etc/passwd", "file:///etc/passwd", "javascript:alert(1)", "www.example"]
    assert [failure.place for failure in failures] == refused


def test_an_address_that_cannot_be_read_is_one_failure(archive: Archive) -> None:
    items, failures = addresses("http://127.0.0.1:9/private\nnonsense")
    last = added(archive, items, failures)
    assert [failure.place for failure in last.report.failures] == [
        "nonsense",
        "http://127.0.0.1:9/private",
    ]
    assert (last.failed, last.over, last.left) == (2, True, 0)


def test_the_lock_of_another_ends_it_with_the_archives_own_sentence(
    archive: Archive, upload: Callable[[str, str], str], tmp_path: Path
) -> None:
    items = uploaded([upload("a.txt", "A walrus."), upload("b.txt", "A seal.")])
    with FileLock(tmp_path / "archive" / "write.lock"):
        last = added(archive, items)
    assert "is being written by another process" in last.error
    assert (last.over, last.left, last.report.added) == (True, 2, 0)


def test_the_watcher_sees_what_is_being_read_and_may_leave(
    archive: Archive, upload: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    ingest = archive.ingest

    def slow(*inputs: str | Path, progress: Callable[[IngestReport], None]) -> IngestReport:
        report = ingest(*inputs, progress=progress)
        go_on.wait(30)
        return report

    monkeypatch.setattr(archive, "ingest", slow)
    items = uploaded([upload("a.txt", "A walrus."), upload("b.txt", "A seal.")])
    run = Adding(archive, items)
    run.start()
    watching = run.watch()
    for seen in watching:
        if seen.report.added:
            break
    assert (seen.current, seen.done, seen.total, seen.over) == ("a.txt", 0, 2, False)
    watching.close()
    go_on.set()
    run.join(30)
    assert (run.progress.over, run.progress.report.added) == (True, 2)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_unexpected_error_leaves_it_unfinished_but_removes_the_files(
    archive: Archive, upload: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> IngestReport:
        raise ZeroDivisionError

    monkeypatch.setattr(archive, "ingest", fail)
    assert not added(archive, uploaded([upload("a.txt", "A walrus.")])).over


def test_a_flood_of_failures_is_counted_and_cut(
    archive: Archive, upload: Callable[[str, str], str]
) -> None:
    last = added(archive, uploaded([upload("bad.jsonl", "{\n" * 500)]))
    assert last.failed == 500
    assert len(last.report.failures) == adding.MAX_NAMED_FAILURES
