"""Ask one question, and score what comes back."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from eval import metrics
from eval.gold import Question
from eval.rows import Row, unasked
from rag import Answer, Article, RankedPassage, Sentence

PASSAGES = 50
"""How many passages are retrieved: enough for ten different articles."""

_TOTAL = "total"


class Supports(Protocol):
    """The support check of an archive."""

    def supports(self, claim: str, evidence: str) -> float:
        """Return the probability, in 0..1, that the evidence supports the claim."""


class Asked(Supports, Protocol):
    """What the evaluation needs of an archive."""

    @property
    def digest(self) -> str:
        """A short hash of what answers depend on beside the articles: settings, calibration."""

    def ask(
        self,
        question: str,
        history: Sequence[tuple[str, str]] = (),
        as_of: date | None = None,
        *,
        wording: bool = True,
    ) -> Answer:
        """Answer or abstain."""

    def search(
        self, question: str, k: int = 10, as_of: date | None = None
    ) -> Sequence[RankedPassage]:
        """Return the best `k` passages, best first."""

    def articles(self) -> Sequence[Article]:
        """Return all current articles."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to ask and how; see `evaluate`."""

    limit: int | None = None
    seed: int = 0
    wording: bool = True
    dates: bool = True
    retrieval_only: bool = False


def ask(archive: Asked, question: Question, options: Options) -> Row:
    """Search, then answer unless only retrieval is wanted. Raises what the archive raises."""
    as_of = question.as_of if options.dates else None
    query = standalone(archive, question, as_of)
    start = time.perf_counter()
    passages = archive.search(query, k=PASSAGES, as_of=as_of)
    row = _with_retrieval(unasked(question), question, passages, milliseconds(start))
    if options.retrieval_only:
        return row
    start = time.perf_counter()
    answer = archive.ask(
        question.question, history=question.history, as_of=as_of, wording=options.wording
    )
    return with_answer(row, question, answer, milliseconds(start), archive)


def standalone(archive: Asked, question: Question, as_of: date | None) -> str:
    """Return what the archive itself searches for: a follow-up does not stand alone."""
    if not question.history:
        return question.question
    quoted = archive.ask(question.question, question.history, as_of, wording=False)
    return quoted.trace.query or question.question


def milliseconds(start: float) -> float:
    """Return the milliseconds since `start`, a value of `time.perf_counter`."""
    return (time.perf_counter() - start) * 1000


def _with_retrieval(
    row: Row, question: Question, passages: Sequence[RankedPassage], total: float
) -> Row:
    ranked = metrics.rank_articles(passages)
    gold = set(question.gold_articles)
    # Without its article in the archive, a passage that holds the answer would be chance; and
    # a whole sentence as an answer stands in none.
    answers = question.answers if gold and question.phrases else ()
    rank = metrics.passage_rank(passages, answers, question.gold_spans)
    hits = metrics.passage_scores(rank)
    known = bool(answers or question.gold_spans)
    return dataclasses.replace(
        row,
        article_rank=next((n for n, name in enumerate(ranked, 1) if name in gold), None),
        passage_rank=rank,
        scores=metrics.article_scores(ranked, gold) | (hits if known else dict.fromkeys(hits)),
        timings={_TOTAL: total},
    )


def with_answer(
    row: Row, question: Question, answer: Answer, total: float, archive: Supports
) -> Row:
    """Return the row with what was answered, its scores, and `total` milliseconds.

    Each citation is checked against its sentence by the archive's support check.
    """
    cited = question.answerable and answer.status == "answered"
    gold = question.gold_spans if cited else ()
    scores = metrics.answer_scores(question, answer)
    scores |= metrics.citation_scores(metrics.spans_of(answer), gold)
    return dataclasses.replace(
        row,
        status=answer.status,
        answer=answer.text,
        short=answer.short.text if answer.short else None,
        probability=answer.probability,
        right=metrics.is_right(question, answer),
        sentences=tuple(_checked(sentence, archive) for sentence in answer.sentences),
        checks=tuple(check.to_dict() for check in answer.trace.checks),
        signals=dict(answer.trace.signals),
        scores=row.scores | scores,
        timings=dict(answer.trace.timings) | {_TOTAL: total},
        models=dict(answer.trace.models),
        notes=answer.trace.notes,
    )


def _checked(sentence: Sentence, archive: Supports) -> dict[str, Any]:
    """Return a sentence as JSON values, each citation with our check of it."""
    citations = [
        citation.to_dict() | {"supports": archive.supports(sentence.text, citation.quote)}
        for citation in sentence.citations
    ]
    return {
        "text": sentence.text,
        "support": sentence.support,
        "unresolved": 0,
        "citations": citations,
    }
