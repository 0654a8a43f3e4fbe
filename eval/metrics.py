"""The figures, as pure functions. A score that cannot be computed is None, never zero."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from rag import NewsragError, RankedPassage

Span = tuple[str, int, int]
"""Article id, start and end: a half-open range of characters."""

Scores = dict[str, float | None]
"""A value in 0..1 for each named figure, or None where it could not be computed."""

CUTOFFS = (1, 5, 10)
RETRIEVAL = (
    *(f"article hit@{k}" for k in CUTOFFS),
    "article MRR",
    "article nDCG@10",
    *(f"passage hit@{k}" for k in CUTOFFS),
)
ANSWERS = (
    "EM",
    "F1",
    "answer contained",
    "EM, all questions",
    "F1, all questions",
    "EM, all with answers",
    "F1, all with answers",
)
CITATIONS = ("citation precision", "citation recall")

_TYPOGRAPHIC = str.maketrans("‘’‚“”„–—", "'''\"\"\"--")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over `n` questions; `missing` more had no score. `value` is None when `n` is 0."""

    value: float | None
    n: int
    missing: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds at the 50th and the 95th percentile of `n` questions."""

    p50: float
    p95: float
    n: int


@dataclass(frozen=True, slots=True)
class Abstentions:
    """How many questions ended how; the four counts add up to the questions that were asked."""

    answered_answerable: int
    abstained_answerable: int
    answered_unanswerable: int
    abstained_unanswerable: int


def require_extra() -> None:
    """Raise a `NewsragError` that names the install command when the extra is missing."""
    if not all(find_spec(name) for name in ("ir_measures", "matplotlib")):
        command = "pip install -c constraints.txt -e '.[eval]'"
        raise NewsragError(f"evaluation needs: {command}")


# Answers, as in SQuAD.


def normalise(text: str) -> str:
    """Lower case, no punctuation, no English articles, single spaces.

    This is SQuAD v1.1's `normalize_answer` (Rajpurkar et al., 2016), but that typographic quotes
    and dashes count as the ASCII ones, which it removes.
    """
    text = text.translate(_TYPOGRAPHIC).lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact_match(text: str, answers: Iterable[str]) -> float:
    """1 when the text equals one of the answers after normalisation, else 0."""
    return float(any(normalise(text) == normalise(answer) for answer in answers))


def f1(text: str, answers: Iterable[str]) -> float:
    """Return the best F1 of the words shared with one of the answers, in 0..1, as in SQuAD v1.1."""
    return max((_f1(normalise(text).split(), normalise(a).split()) for a in answers), default=0.0)


def _f1(words: Sequence[str], gold: Sequence[str]) -> float:
    shared = (Counter(words) & Counter(gold)).total()
    return 2 * shared / (len(words) + len(gold)) if shared else 0.0


def contains(text: str, answers: Iterable[str]) -> bool:
    """Whether one of the answers stands in the text, in whole words, after normalisation.

    An answer of which normalisation leaves nothing is contained nowhere.
    """
    padded = f" {normalise(text)} "
    return any(f" {gold} " in padded for gold in map(normalise, answers) if gold)


def answer_scores(text: str | None, answers: Sequence[str], answerable: bool) -> Scores:
    """Return the scores `ANSWERS` of one question; `text` is None for an abstention.

    The plain ones are over answerable questions, where an abstention scores 0. Over all questions
    an unanswerable one scores 1 for an abstention and 0 for an answer, as in SQuAD 2.0. "All with
    answers" compares with the given answers whether or not the archive holds them, as the published
    figures for RealTimeQA do.
    """
    exact = 0.0 if text is None else exact_match(text, answers)
    overlap = 0.0 if text is None else f1(text, answers)
    contained = 0.0 if text is None else float(contains(text, answers))
    refused = float(text is None)
    plain = (exact, overlap, contained) if answerable and answers else (None, None, None)
    overall = plain[:2] if answerable else (refused, refused)
    given = (exact, overlap) if answers else (None, None)
    return dict(zip(ANSWERS, (*plain, *overall, *given), strict=True))


# Spans.


def overlaps(one: Span, other: Span) -> bool:
    """Whether the two spans share a character of the same article."""
    return one[0] == other[0] and one[1] < other[2] and other[1] < one[2]


def citation_scores(citations: Collection[Span], gold: Collection[Span]) -> Scores:
    """Precision: share of citations that overlap a gold span. Recall: share of gold spans cited.

    Both are None without gold spans; precision is None without citations.
    """
    if not gold:
        return dict.fromkeys(CITATIONS)
    right = sum(any(overlaps(citation, span) for span in gold) for citation in citations)
    cited = sum(any(overlaps(citation, span) for citation in citations) for span in gold)
    precision = right / len(citations) if citations else None
    return dict(zip(CITATIONS, (precision, cited / len(gold)), strict=True))


# Retrieval.


def rank_articles(passages: Iterable[RankedPassage]) -> list[str]:
    """Return the article ids, best first: each at its best passage, copies right after it."""
    ids = (a.id for passage in passages for a in (passage.article, *passage.copies))
    return list(dict.fromkeys(ids))


def article_scores(ranked: Sequence[str], gold: Collection[str]) -> Scores:
    """Return the article scores of `RETRIEVAL` by ir-measures; all None without gold articles.

    Hit@k is its Success@k, MRR its RR over the whole ranking; gold is binary.
    """
    names = RETRIEVAL[: len(CUTOFFS) + 2]
    if not gold:
        return dict.fromkeys(names)
    require_extra()
    import ir_measures

    measures = [ir_measures.Success @ k for k in CUTOFFS]
    measures += [ir_measures.RR, ir_measures.nDCG @ 10]
    run = {"question": {name: -float(rank) for rank, name in enumerate(ranked, 1)}}
    qrels = {"question": dict.fromkeys(gold, 1)}
    values = {m.measure: float(m.value) for m in ir_measures.iter_calc(measures, qrels, run)}
    return {name: values[measure] for name, measure in zip(names, measures, strict=True)}


def passage_rank(
    passages: Iterable[RankedPassage], answers: Sequence[str], gold: Sequence[Span]
) -> int | None:
    """Return the rank, from 1, of the first passage that holds an answer or part of a gold span."""
    for rank, passage in enumerate(passages, 1):
        span = (passage.article.id, passage.start, passage.end)
        if any(overlaps(span, other) for other in gold) or contains(passage.text, answers):
            return rank
    return None


def passage_scores(rank: int | None) -> Scores:
    """Return the passage scores of `RETRIEVAL`; `rank` is that of the first right passage."""
    names = RETRIEVAL[-len(CUTOFFS) :]
    hits = [float(rank is not None and rank <= k) for k in CUTOFFS]
    return dict(zip(names, hits, strict=True))


# Over questions.


def mean(values: Iterable[float | None]) -> Figure:
    """Average the values that are there and count those that are not."""
    every = list(values)
    known = [value for value in every if value is not None]
    value = sum(known) / len(known) if known else None
    return Figure(value, len(known), len(every) - len(known))


def abstention_scores(counts: Abstentions) -> dict[str, Figure]:
    """Precision, recall and F1 of abstaining, which is right on an unanswerable question.

    `n` counts what each is a share of. All are None when no question is unanswerable.
    """
    right = counts.abstained_unanswerable
    abstained = right + counts.abstained_answerable
    unanswerable = right + counts.answered_unanswerable

    def share(part: int, whole: int) -> Figure:
        value = part / whole if whole and unanswerable else None
        return Figure(value, whole, 0)

    both = abstained + unanswerable
    return {
        "abstention precision": share(right, abstained),
        "abstention recall": share(right, unanswerable),
        "abstention F1": Figure(share(2 * right, both).value, both - right, 0),
    }


def percentile(values: Collection[float], percent: float) -> float:
    """Return the percentile by linear interpolation between the closest ranks, as NumPy's default.

    Raises `ValueError` without values.
    """
    if not values:
        raise ValueError("a percentile needs at least one value")
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def latency(values: Collection[float]) -> Latency:
    """Summarise milliseconds; raises `ValueError` without values."""
    return Latency(percentile(values, 50), percentile(values, 95), len(values))
