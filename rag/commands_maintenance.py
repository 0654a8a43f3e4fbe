"""The commands that keep an archive sound: thin, over `rag.maintenance`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rag.options import DEFAULT_ARCHIVE, ArchiveOption, DatabaseOption
from rag.printing import console, errors, plain

app = typer.Typer()


def _url(database: str | None) -> str:
    """The URL of the flag, else of the settings."""
    from rag.settings import load_settings

    return load_settings(None, database=database).database


def _wait(sentence: str) -> None:
    errors().print(plain(sentence))


@app.command()
def check(archive: ArchiveOption = DEFAULT_ARCHIVE) -> None:
    """Prove that the articles and their indexes agree; each disagreement is one line."""
    from rag import maintenance

    lines = maintenance.check(archive, _wait)
    for line in lines:
        console().print(plain(line))
    if lines:
        errors().print(plain(f"{len(lines):,} disagreements; mend them with: newsrag repair"))
        raise typer.Exit(1)
    console().print("Everything agrees.")


@app.command()
def repair(archive: ArchiveOption = DEFAULT_ARCHIVE, database: DatabaseOption = None) -> None:
    """Mend what check finds: put in what is missing, delete what is left over.

    With --database, the indexes of that database are made in this folder, and belong there then.
    """
    from rag import maintenance

    mended, left = maintenance.repair(archive, _wait, database=_url(database))
    for name in mended.rebuilt:
        console().print(plain(f"Made anew: {name}"))
    console().print(
        f"{mended.embedded:,} passages embedded, {mended.indexed:,} entries of words put in, "
        f"{mended.removed:,} left over removed, {mended.ledger:,} rows of the ledger mended."
    )
    for line in left:
        errors().print(plain(line), style="red")
    if left:
        errors().print("This cannot be mended: restore a backup with newsrag restore.")
        raise typer.Exit(1)


@app.command()
def move(database: DatabaseOption = None, archive: ArchiveOption = DEFAULT_ARCHIVE) -> None:
    """Bring the articles to a PostgreSQL database; the indexes stay in the folder.

    A backup of it, restored, is an archive of files again.
    """
    from rag import maintenance

    maintenance.move(archive, _url(database), _wait)
    console().print(plain(f"The articles of {archive} are in PostgreSQL now."))


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The .zip to write.")],
    archive: ArchiveOption = DEFAULT_ARCHIVE,
) -> None:
    """Write the whole archive, conversations included, into one file; others may go on."""
    from rag import maintenance

    made = maintenance.back_up(archive, file)
    console().print(
        plain(f"{made.articles:,} articles, {made.vectors:,} of {made.passages:,} vectors: {file}")
    )


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="The .zip that newsrag backup wrote.")],
    archive: ArchiveOption = DEFAULT_ARCHIVE,
) -> None:
    """Make an archive from a backup, in a new folder, and check it."""
    from rag import maintenance

    made = maintenance.restore(file, archive)
    console().print(
        plain(f"{made.articles:,} articles with {made.passages:,} passages are in {archive}.")
    )


@app.command()
def reindex(
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    embedding_model: Annotated[
        str | None, typer.Option(help="The new embedding model; default: that of the settings.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(help='Where the vectors are to be: a Chroma server\'s URL, or "local".'),
    ] = None,
) -> None:
    """Make the indexes anew, by the settings; the old ones serve until the new are complete.

    Run again, it continues where it stopped.
    """
    from rag import maintenance
    from rag.models import SentenceTransformerEmbedder
    from rag.reindex import ReindexReport
    from rag.settings import load_settings

    settings = load_settings(None, embedding_model=embedding_model, store=store)
    embedder = SentenceTransformerEmbedder(settings.embedding_model)

    def show(report: ReindexReport) -> None:
        errors().print(f"{report.done:,} of {report.total:,} articles")

    characters = settings.passage_characters
    maintenance.rebuild(archive, embedder, characters, show, _wait, settings.store)
    console().print(plain(f"{archive} now uses {embedder.name}."))
    if load_settings().embedding_model != embedder.name:
        console().print(plain(f'Put into newsrag.toml: embedding_model = "{embedder.name}"'))


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="The .jsonl or .jsonl.gz to write.")],
    archive: ArchiveOption = DEFAULT_ARCHIVE,
) -> None:
    """Write all articles as JSON lines, as newsrag ingest reads them."""
    from rag import maintenance

    written = maintenance.export(archive, file)
    console().print(plain(f"{written:,} articles: {file}"))
