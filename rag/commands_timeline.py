"""The command that tells a topic day by day: thin, over `Archive.timeline`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from rag.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, day
from rag.printing import console, plain

app = typer.Typer()


@app.command()
def timeline(
    topic: Annotated[str, typer.Argument(help="What it is about, in a few words.")],
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    since: Annotated[str | None, typer.Option(help="Only articles from this day on.")] = None,
    until: Annotated[str | None, typer.Option(help="Only articles up to this day.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Only articles of this outlet; may be repeated.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell a topic day by day, each with the sentence that says most and its source."""
    from rag.archive import Archive
    from rag.settings import load_settings

    first, last = day("--since", since), day("--until", until)
    with Archive.open(archive, load_settings(None), create=False) as opened:
        told = opened.timeline(topic, since=first, until=last, source=source)
    if as_json:
        typer.echo(json.dumps(told.to_dict(), ensure_ascii=False))
        return
    console().print(plain(str(told)))
    if told.days > len(told.entries):
        rest = f"{told.days:,} days speak of it; --since and --until show others."
        console().print(rest, style="dim")
