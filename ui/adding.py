"""Adding articles to an archive from the page: what is to be read, and how far it is. No Gradio."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from rag import Archive, ArchiveError, Failure, IngestReport, ModelError, NewsragError, SourceError
from ui.render import safe_url

MAX_UPLOAD_BYTES = 100 * 1024 * 1024
"""The largest file that is taken from a browser; larger ones go through `newsrag ingest`."""

MAX_NAMED_FAILURES = 100
"""How many failures are told one by one; a broken file may have one a line."""

POLL_SECONDS = 0.2
_NOTHING = IngestReport()


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to add: its name for the reader, and a file or a web address.

    A file is removed, with its folder, once it was read.
    """

    name: str
    given: Path | str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the adding is. `error` is what ended it early; `left` items were then not read."""

    total: int
    done: int = 0
    current: str = ""
    report: IngestReport = _NOTHING
    failed: int = 0
    error: str = ""
    over: bool = False

    @property
    def left(self) -> int:
        """Items that were not read."""
        return self.total - self.done


class Adding(threading.Thread):
    """Reads the items, one after the other, in a thread that goes on when its watcher leaves.

    `failures` are those known before. `progress` is always the latest; it is `over` at the end,
    unless an unexpected error came.
    """

    def __init__(
        self, archive: Archive, items: Sequence[Item], failures: Sequence[Failure] = ()
    ) -> None:
        super().__init__(name="newsrag-adding", daemon=True)
        self._archive = archive
        self._items = items
        report = IngestReport(failures=tuple(failures[:MAX_NAMED_FAILURES]))
        self.progress = Progress(len(items), report=report, failed=len(failures))

    def run(self) -> None:
        """Read each item; an error of the archive ends it, any other counts against its item."""
        try:
            for done, item in enumerate(self._items):
                self.progress = replace(self.progress, done=done, current=item.name)
                self._read(item)
            self.progress = replace(self.progress, done=len(self._items), current="", over=True)
        except (ArchiveError, ModelError) as error:
            self.progress = replace(self.progress, error=str(error), current="", over=True)
        finally:
            for item in self._items:
                _remove(item)

    def watch(self) -> Iterator[Progress]:
        """The progress whenever it has changed, and once it will not change any more."""
        seen = None
        while self.is_alive():
            if (now := self.progress) is not seen:
                yield now
            seen = now
            self.join(POLL_SECONDS)
        yield self.progress

    def _read(self, item: Item) -> None:
        before = self.progress

        def advance(report: IngestReport) -> None:
            failures = report.failures[:MAX_NAMED_FAILURES]
            named = replace(report, failures=tuple(_named(item, one) for one in failures))
            self.progress = replace(
                before,
                report=_sum(before.report, named),
                failed=before.failed + len(report.failures),
            )

        try:
            _check_size(item)
            advance(self._archive.ingest(item.given, progress=advance))
        except (ArchiveError, ModelError):
            raise
        except NewsragError as error:
            reason = error.reason if isinstance(error, SourceError) else str(error)
            advance(IngestReport(failures=(Failure(item.name, reason),)))


def uploaded(paths: Iterable[str]) -> list[Item]:
    """The files that a browser has sent."""
    return [Item(Path(path).name, Path(path)) for path in paths]


def pasted(title: str, source: str, published: str, text: str) -> Item:
    """An article from a form; it takes the same way as a file. Its words are checked there."""
    fields = {"title": title, "source": source, "published": published, "text": text}
    file = Path(tempfile.mkdtemp(prefix="newsrag-")) / "pasted.json"
    filled = {name: value for name, value in fields.items() if value.strip()}
    file.write_text(json.dumps(filled), encoding="utf-8")
    return Item("The pasted article", file)


def addresses(lines: str) -> tuple[list[Item], list[Failure]]:
    """One web address a line; what is none is a failure: a path must never be read as a file."""
    items, failures = [], []
    for line in dict.fromkeys(line.strip() for line in lines.splitlines()):
        if url := safe_url(line):
            items.append(Item(url, urlsplit(url).geturl()))
        elif line:
            failures.append(Failure(line, "is not a web address (http or https)"))
    return items, failures


def _check_size(item: Item) -> None:
    if not isinstance(item.given, Path):
        return
    with suppress(OSError):  # what cannot be read is told by the archive
        if item.given.stat().st_size > MAX_UPLOAD_BYTES:
            limit = MAX_UPLOAD_BYTES // 1024**2
            raise SourceError(
                item.name, f"is larger than {limit} MB; add it with newsrag ingest FILE"
            )


def _named(item: Item, failure: Failure) -> Failure:
    """The failure with the name that the reader knows, not with where the file was kept."""
    return replace(failure, place=failure.place.replace(str(item.given), item.name))


def _sum(before: IngestReport, now: IngestReport) -> IngestReport:
    return IngestReport(
        added=before.added + now.added,
        changed=before.changed + now.changed,
        unchanged=before.unchanged + now.unchanged,
        passages=before.passages + now.passages,
        seconds=before.seconds + now.seconds,
        failures=(*before.failures, *now.failures)[:MAX_NAMED_FAILURES],
    )


def _remove(item: Item) -> None:
    """Forget an uploaded file and the folder that was made for it."""
    if isinstance(item.given, Path):
        with suppress(OSError):
            item.given.unlink()
            item.given.parent.rmdir()
