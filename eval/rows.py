"""One asked question as a line of a file, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

from eval.gold import Question
from eval.metrics import Scores
from rag import NewsragError, SourceError

ROW_FORMAT = 2
"""The version of `Row`; rows of another one are never read."""

_TUPLES = ("answers", "sentences", "checks", "notes")


@dataclass(frozen=True, slots=True)
class Row:
    """One asked question. `timings` are milliseconds per stage; "total" is wall time.

    `status` is "found" when only retrieval was asked for. `right` is that of `metrics.is_right`.
    `sentences` hold "text", "support", "unresolved" (how many of its citations lead nowhere) and
    "citations", each with "supports", the probability by our check that it supports its sentence.
    `checks` and `signals` are those of the trace. A rank is counted from 1, and None where nothing
    right was found or no gold is known. `error` is set when the question failed.
    """

    id: str
    question: str
    kind: str
    answerable: bool
    answers: tuple[str, ...]
    status: Literal["answered", "abstained", "found", "failed"]
    answer: str = ""
    short: str | None = None
    probability: float | None = None
    right: bool | None = None
    sentences: tuple[Mapping[str, Any], ...] = ()
    checks: tuple[Mapping[str, Any], ...] = ()
    signals: Mapping[str, float] = field(default_factory=dict)
    article_rank: int | None = None
    passage_rank: int | None = None
    scores: Scores = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str | None = None

    @property
    def citations(self) -> list[Mapping[str, Any]]:
        """The citations of all sentences; one that two sentences have stands here twice."""
        return [citation for sentence in self.sentences for citation in sentence["citations"]]

    @property
    def asked(self) -> bool:
        """Whether the question was answered or abstained from."""
        return self.status in {"answered", "abstained"}


def unasked(question: Question) -> Row:
    """Return the row of a question, with nothing found yet."""
    return Row(
        id=question.id,
        question=question.question,
        kind=question.kind,
        answerable=question.answerable,
        answers=question.answers,
        status="found",
    )


def failed(question: Question, error: NewsragError) -> Row:
    """Return the row of a question that ended in an error."""
    return dataclasses.replace(unasked(question), status="failed", error=str(error))


def reopen(file: Path, wanted: set[str]) -> tuple[dict[str, Row], TextIO]:
    """Return the rows of an earlier run by id, and the file, open for more of them.

    Failed and torn rows are left out, so that they are asked again. Raises `NewsragError` when the
    file cannot be written, `SourceError` when a line of it is no row.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = _resume(file, wanted) if file.exists() else {}
        return rows, file.open("a", encoding="utf-8")
    except OSError as error:
        raise NewsragError(f"{file} cannot be used for the rows: {error}") from error


def write(stream: TextIO, row: Row) -> None:
    """Append a row and flush it."""
    stream.write(json.dumps(dataclasses.asdict(row), ensure_ascii=True) + "\n")
    stream.flush()


def _resume(file: Path, wanted: set[str]) -> dict[str, Row]:
    """Take the rows of an earlier run, and rewrite the file without failed and torn ones."""
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    torn = lines.pop()  # Nothing, where the last line is whole.
    rows = [_parse(line, f"{file}:{number}") for number, line in enumerate(lines, 1)]
    kept = {row.id: row for row in rows if row.error is None and row.id in wanted}
    if torn or len(kept) < len(rows):
        fresh = file.with_suffix(".tmp")
        with fresh.open("w", encoding="utf-8") as stream:
            for row in kept.values():
                write(stream, row)
        fresh.replace(file)
    return kept


def _parse(line: str, place: str) -> Row:
    try:
        values = json.loads(line)
        return Row(**values | {name: tuple(values[name]) for name in _TUPLES})
    except (ValueError, TypeError, KeyError) as error:
        raise SourceError(place, "is not a row of an evaluation; delete the file") from error
