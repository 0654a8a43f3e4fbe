"""All articles as JSON lines, in the format that `newsrag ingest` reads."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import IO

from rag.errors import ArchiveError
from rag.ledger import Ledger
from rag.types import Article


def export(ledger: Ledger, file: Path) -> int:
    """Write every current article, of one moment, to a .jsonl or .jsonl.gz; returns how many.

    The file is written whole or not at all; an existing one is replaced. Raises `ArchiveError`.
    """
    if not file.name.lower().endswith((".jsonl", ".jsonl.gz")):
        raise ArchiveError(f"{file} must end in .jsonl or .jsonl.gz: that is what is exported")
    partial = file.with_name(f"{file.name}.partial")
    written = 0
    try:
        with _open(partial, compressed=file.suffix.lower() == ".gz") as target:
            for article in ledger.every_article():
                target.write(f"{json.dumps(_values(article), ensure_ascii=False)}\n")
                written += 1
        partial.replace(file)
    except OSError as error:
        raise ArchiveError(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return written


def _open(file: Path, *, compressed: bool) -> IO[str]:
    return (
        gzip.open(file, "wt", encoding="utf-8") if compressed else file.open("w", encoding="utf-8")
    )


def _values(article: Article) -> dict[str, object]:
    """What is known of an article. Its id is kept as it is: citations name it."""
    values = {name: value for name, value in article.to_dict().items() if value is not None}
    for name in ("revision", "ingested"):  # what another archive decides for itself
        values.pop(name, None)
    return {"newsrag_id": values.pop("id"), **values}
