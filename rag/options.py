"""What several commands take: their options, and the values of these, checked."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from rag.errors import SettingsError

ArchiveOption = Annotated[Path, typer.Option("--archive", help="The archive's folder.")]
DEFAULT_ARCHIVE = Path("archive")
DatabaseOption = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help="The archive's PostgreSQL database."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def day(option: str, value: str | None) -> date | None:
    """The full date that an option states; None where it is not given. Raises `SettingsError`."""
    if value is None:
        return None
    from rag.dates import parse_date

    found = parse_date(value)
    if found is None:
        raise SettingsError(f"{option} {value} is not a full date; write it as YYYY-MM-DD")
    return found
