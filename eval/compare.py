"""newsrag beside a plain citation engine: the same archive, questions, models and figures."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from eval import metrics
from eval.asking import Asked, Options, ask, milliseconds, standalone, with_answer
from eval.baseline import Engine, parse
from eval.datasets import Question
from eval.figures import Figure, difference, grouped, measured
from eval.rows import Row, unasked
from eval.run import Result, ask_all, figures_to_dict, plan
from rag import Article

SYSTEM = "CitationQueryEngine"


class Comparable(Asked, Protocol):
    """An archive that also offers a plain llama-index engine over its passages."""

    def as_citation_engine(self) -> Engine:
        """Return llama-index's `CitationQueryEngine` on the same vectors and language model."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two evaluations of the same questions.

    `differences` are ours minus theirs over the questions that both were asked, with intervals from
    resampling those questions for both at once.
    """

    ours: Result
    theirs: Result
    differences: Mapping[str, Mapping[str, Figure]]

    @property
    def system(self) -> str:
        """What ours is compared with."""
        return SYSTEM

    @property
    def pairs(self) -> list[tuple[Row, Row]]:
        """The rows of the questions that both were asked."""
        other = {row.id: row for row in self.theirs.rows}
        return [(row, other[row.id]) for row in self.ours.rows if row.id in other]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows, as JSON values."""
        return {
            "newsrag": self.ours.to_dict(),
            self.system: self.theirs.to_dict(),
            "differences": figures_to_dict(self.differences),
        }


def compare(
    archive: Comparable,
    set_path: Path | str,
    *,
    out: Path,
    limit: int | None = None,
    seed: int = 0,
    dates: bool = True,
    progress: bool = True,
) -> Comparison:
    """Ask newsrag, then the plain engine; the options are those of `run.evaluate`.

    The engine knows neither conversations nor dates: a follow-up reaches it in the form that stands
    alone, as newsrag searches for it, and it may cite articles later than the question. It gives no
    probability, no short answer and no ranking, so those figures are missing for it. After Ctrl-C
    while newsrag is asked, the engine is not asked.
    """
    planned = plan(archive, Path(set_path), Options(limit, seed, dates=dates))
    ours = ask_all(
        planned,
        planned.rows_file(Path(out)),
        lambda question: ask(archive, question, planned.options),
        progress,
    )
    questions = () if ours.interrupted else planned.questions
    engine = archive.as_citation_engine()
    articles = {article.id: article for article in archive.articles()}
    theirs = ask_all(
        dataclasses.replace(planned, questions=questions),
        planned.rows_file(Path(out), SYSTEM),
        lambda question: _ask(archive, engine, articles, question, planned.options),
        progress,
    )
    return Comparison(ours, theirs, differences(ours, theirs))


def differences(ours: Result, theirs: Result) -> Mapping[str, Mapping[str, Figure]]:
    """Return ours minus theirs for every figure that both have."""
    rows = ours.scored, theirs.scored
    return grouped(measured(ours.scored), lambda measure: difference(measure, *rows))


def _ask(
    archive: Asked,
    engine: Engine,
    articles: Mapping[str, Article],
    question: Question,
    options: Options,
) -> Row:
    query = standalone(archive, question, question.as_of if options.dates else None)
    start = time.perf_counter()
    response = engine.query(query)
    passed = milliseconds(start)
    parsed = parse(question.question, response, articles, archive)
    row = with_answer(unasked(question), question, parsed.answer, passed, archive)
    counted = zip(row.sentences, parsed.unresolved, strict=True)
    return dataclasses.replace(
        row,
        sentences=tuple({**sentence, "unresolved": count} for sentence, count in counted),
        # It was not asked for a phrase, so having none is no failure.
        scores=row.scores | dict.fromkeys(metrics.OF_SHORT),
    )
