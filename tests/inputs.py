"""Inputs that tests make, and what reading them gives."""

from __future__ import annotations

import json
import os
from pathlib import Path

from rag.reports import Failure
from rag.sources import Record, load
from rag.types import Article

PIER = (
    "The harbour board voted on Tuesday to close the north pier for repairs, after divers "
    "found cracks in eleven of its forty piles."
)
FERRY = "Ferries will use the south pier until spring, and the fish market moves to the old depot."


def read(*paths: Path) -> tuple[list[Record], list[Failure]]:
    results = list(load(paths))
    records = [result for result in results if isinstance(result, Record)]
    return records, [result for result in results if isinstance(result, Failure)]


def article_of(path: Path) -> Article:
    records, failures = read(path)
    assert failures == []
    (record,) = records
    assert record.origin == os.path.realpath(path)
    return record.article


def failure_of(path: Path) -> Failure:
    records, failures = read(path)
    assert records == []
    (failure,) = failures
    return failure


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def lines_of(*values: object) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


SCRAPED = f"""\
Harbour board closes north pier

17

{PIER}

Advertisement

{FERRY}

Original Story at www.harbourpost.example – 2023-08-14 03:02:30

Comments are closed.

×
"""
