"""The commands that take articles in: thin, over `rag.Archive` and `rag.watch`."""

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
def ingest(
    paths: Annotated[
        list[str], typer.Argument(help="Files, folders, addresses of pages and feeds.")
    ],
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    database: DatabaseOption = None,
    store: Annotated[
        str | None, typer.Option(help="A Chroma server for the vectors: http://HOST:PORT.")
    ] = None,
    ray: Annotated[
        str, typer.Option(help='A Ray cluster to read and embed: its address, or "local".')
    ] = "",
) -> None:
    """Put articles into the archive, from files, the web and feeds.

    Files: .txt .md .html .json .jsonl .csv .tsv .pdf .docx .eml .mbox .warc, any of them in .zip,
    .gz or .zst, and .opml for a list of feeds. Of a feed, only what is new or changed is read.
    Running it again continues where it stopped; unchanged articles cost nothing.
    """
    from rag.archive import Archive
    from rag.progress import ingest_with_progress
    from rag.settings import load_settings

    settings = load_settings(None, database=database, store=store)
    with Archive.open(archive, settings) as opened:
        report, interrupted = ingest_with_progress(opened, paths, errors(), ray)
    for failure in report.failures:
        errors().print(plain(str(failure)), style="yellow")
    console().print(plain(summary(report)))
    if interrupted:
        errors().print("Interrupted. The same command continues from here.")
        raise typer.Exit(130)
    if report.failures:
        raise typer.Exit(1)


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
