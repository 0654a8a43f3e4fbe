"""The scores of one question, as pure functions. What cannot be computed is None, never zero."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from importlib.util import find_spec

from eval.gold import Question
from rag import Answer, NewsragError, RankedPassage

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
_OVER_ALL = ("EM short, all questions", "F1 short, all questions")
GIVEN = ("EM short, all with answers", "F1 short, all with answers")
OF_SHORT = ("EM short", "F1 short", "has a short answer", *_OVER_ALL, *GIVEN)
"""What is measured on the short answer."""
ANSWERS = (*OF_SHORT, "answer contained", "F1 whole answer")
CITATIONS = ("citation precision, gold", "citation recall, gold")

ENOUGH_F1 = 0.5
"""The least word overlap with a gold answer that makes a phrase right; see `is_right`."""

_VERDICTS = {"yes", "no"}
_TYPOGRAPHIC = str.maketrans("‘’‚“”„–—", "'''\"\"\"--")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


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

    An answer of which normalisation leaves nothing is contained nowhere, and so is a bare yes or
    no, which a text has by chance.
    """
    padded = f" {normalise(text)} "
    return any(f" {gold} " in padded for gold in _findable(answers))


def _findable(answers: Iterable[str]) -> list[str]:
    return [gold for gold in map(normalise, answers) if gold and gold not in _VERDICTS]


def answer_scores(question: Question, answer: Answer) -> Scores:
    """Return the scores `ANSWERS` of one question.

    EM and F1 are those of the short answer, and only where the gold answers are phrases; an answer
    without a short one, and an abstention, score 0 on an answerable question. Over all questions an
    unanswerable one scores 1 for an abstention and 0 for an answer, as in SQuAD 2.0. "All with
    answers" compares with the given answers whether or not the archive holds them, as the published
    figures for RealTimeQA do.
    """
    answers, refused = question.answers, answer.status == "abstained"
    text = "" if refused else answer.text
    short = "" if refused or answer.short is None else answer.short.text
    phrase = (exact_match(short, answers), f1(short, answers)) if short else (0.0, 0.0)
    has_short = float(bool(short)) if question.phrases and not refused else None
    nothing = (None, None)
    gold = question.answerable and bool(answers)
    plain = phrase if gold and question.phrases else nothing
    sought = question.answerable and question.phrases and _findable(answers)
    contained = float(contains(text, answers)) if sought else None
    whole = f1(text, answers) if gold else None
    overall = plain if question.answerable else (float(refused), float(refused))
    given = phrase if answers and question.phrases else nothing
    return dict(zip(ANSWERS, (*plain, has_short, *overall, *given, contained, whole), strict=True))


def is_right(question: Question, answer: Answer) -> bool | None:
    """Whether an answer is right; None for an abstention, and where no gold can tell.

    The one rule, behind "wrong among answered" and the risk-coverage curve:

    - an answer to an unanswerable question is wrong;
    - where the gold answers are phrases, an answer is right when one of them stands in it
      (`contains`), or when its short answer, else the whole of it, has an F1 of at least
      `ENOUGH_F1` with one of them;
    - where they are sentences, or none is given, it is right when it cites part of a gold span,
      or, in a set without gold spans, a gold article.
    """
    if answer.status == "abstained":
        return None
    if not question.answerable:
        return False
    if question.answers and question.phrases:
        phrase = answer.short.text if answer.short else answer.text
        enough = f1(phrase, question.answers) >= ENOUGH_F1
        return enough or contains(answer.text, question.answers)
    if question.gold_spans:
        spans = spans_of(answer)
        return any(overlaps(span, gold) for span in spans for gold in question.gold_spans)
    if question.gold_articles:
        return any(c.article.id in question.gold_articles for c in answer.citations)
    return None


# Spans.


def overlaps(one: Span, other: Span) -> bool:
    """Whether the two spans share a character of the same article."""
    return one[0] == other[0] and one[1] < other[2] and other[1] < one[2]


def spans_of(answer: Answer) -> set[Span]:
    """Return the spans that an answer cites."""
    return {(c.article.id, c.start, c.end) for c in answer.citations}


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
