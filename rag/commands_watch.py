"""The command that watches a folder: thin, over `rag.watch`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.options import DEFAULT_ARCHIVE, ArchiveOption, DatabaseOption
from rag.printing import console, errors, plain, summary

if TYPE_CHECKING:
    from rag.reports import IngestReport

app = typer.Typer()


@app.command()
def watch(
    folder: Annotated[Path, typer.Argument(help="The folder to watch.")],
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    database: DatabaseOption = None,
) -> None:
    """Ingest a folder, and then what appears in it, until Ctrl-C."""
    from rag.archive import Archive
    from rag.settings import load_settings
    from rag.watch import watch as watch_folder

    with Archive.open(archive, load_settings(None, database=database)) as opened:
        errors().print(plain(f"Watching {folder}; Ctrl-C ends it."))
        try:
            watch_folder(opened, folder, _tell, lambda sentence: errors().print(plain(sentence)))
        except KeyboardInterrupt:
            errors().print("Stopped.")


def _tell(report: IngestReport) -> None:
    for failure in report.failures:
        errors().print(plain(str(failure)), style="yellow")
    if report.added or report.changed or report.failures:
        console().print(plain(summary(report)))
