"""A watched folder: what appears in it is ingested."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from rag.errors import SourceError
from rag.files import name_of
from rag.reports import IngestReport
from rag.sources import is_wanted

if TYPE_CHECKING:
    from rag.archive import Archive

_LOOK_MILLISECONDS = 1000


def watch(
    archive: Archive,
    folder: Path,
    tell: Callable[[IngestReport], None],
    waiting: Callable[[str], None],
    stop: Event | None = None,
) -> None:
    """Ingest a folder, and then each file that appears or changes in it, until `stop` or Ctrl-C.

    `tell` gets the report of each ingestion, `waiting` a sentence while another process writes to
    the archive. What is deleted from the folder stays in the archive. Raises `SourceError` where
    there is no such folder, or no longer, `ArchiveError`, and `KeyboardInterrupt` at Ctrl-C.
    """
    from watchfiles import Change
    from watchfiles import watch as changes_in

    if not folder.is_dir():
        raise SourceError(name_of(folder), "is no folder")
    folder = folder.resolve()
    is_first = True
    # The watch begins before the folder is read as a whole: nothing falls between the two.
    for changes in changes_in(
        folder, stop_event=stop, yield_on_timeout=True, rust_timeout=_LOOK_MILLISECONDS
    ):
        if is_first:
            is_first = False
            tell(archive.ingest(folder, waiting=waiting))
            continue
        changed = [Path(path) for change, path in changes if change != Change.deleted]
        paths = sorted(path for path in changed if _is_file_of(path, folder))
        if paths:
            tell(_ingested(archive, paths, folder, waiting))


def _is_file_of(path: Path, folder: Path) -> bool:
    """Whether a changed path is a file that would be read were it found in the folder."""
    is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not is_hidden and is_wanted(path) and path.is_file()


def _ingested(
    archive: Archive, paths: Iterable[Path], folder: Path, waiting: Callable[[str], None]
) -> IngestReport:
    try:
        return archive.ingest(*paths, waiting=waiting)
    except SourceError:  # One of them is gone again: the folder tells what there is.
        return archive.ingest(folder, waiting=waiting)
