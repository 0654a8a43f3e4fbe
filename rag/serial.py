"""Answers from their JSON values: the inverse of `to_dict`, but for the rounding of scores.

The values hold no article, only its id and revision, so each article is asked for again. A citation
whose article is gone, or no longer holds the quote, raises: nothing is cited but what can be shown.
Passages and copies are no citations; those whose article is gone are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from rag.errors import ArticleNotFoundError
from rag.looked import Looked, Meant
from rag.types import (
    Answer,
    Article,
    Check,
    Citation,
    Dispute,
    RankedPassage,
    Sentence,
    Short,
    Trace,
)

Values = Mapping[str, Any]
"""JSON values as `to_dict` made them, by this version or an earlier one."""

FindArticle = Callable[[str, int], Article]
"""An article by its id and revision; raises `ArticleNotFoundError` when it is gone."""


def answer_from_dict(values: Values, article: FindArticle) -> Answer:
    """The answer that `Answer.to_dict` was called on.

    Raises `ArticleNotFoundError` when a cited article is gone, and `KeyError`, `TypeError` or
    `ValueError` for values that no `to_dict` made.
    """
    short = values["short"]
    looked = values["looked"]
    return Answer(
        question=values["question"],
        status=values["status"],
        sentences=tuple(sentence_from_dict(item, article) for item in values["sentences"]),
        passages=tuple(_passages(values["passages"], article)),
        trace=trace_from_dict(values["trace"]),
        short=short and Short(short["text"], citation_from_dict(short["citation"], article)),
        probability=values["probability"],
        missing=values["missing"],
        looked=looked and _looked(looked),
        remarks=tuple(values.get("remarks", ())),
        disputes=tuple(_dispute(item, article) for item in values.get("disputes", ())),
    )


def sentence_from_dict(values: Values, article: FindArticle) -> Sentence:
    """The sentence that `Sentence.to_dict` was called on; raises as `answer_from_dict` does."""
    citations = tuple(citation_from_dict(item, article) for item in values["citations"])
    return Sentence(values["text"], citations, values["support"])


def citation_from_dict(values: Values, article: FindArticle) -> Citation:
    """The citation that `Citation.to_dict` was called on; raises as `answer_from_dict` does.

    An article that was deleted and stored again counts its revisions anew: the quote decides.
    """
    found = article(values["article_id"], values["revision"])
    start, end = values["start"], values["end"]
    if found.text[start:end] != values["quote"]:
        raise ArticleNotFoundError(f"the archive has no article {found.id} with the cited text")
    return Citation(found, start, end)


def trace_from_dict(values: Values) -> Trace:
    """The trace that `Trace.to_dict` was called on; raises `KeyError` or `TypeError`."""
    checks = tuple(Check(**check) for check in values["checks"])
    return Trace(**{**values, "notes": tuple(values["notes"]), "checks": checks})


def _passages(items: Iterable[Values], article: FindArticle) -> Iterable[RankedPassage]:
    for item in items:
        found = _still_there(item, article)
        start, end = item["start"], item["end"]
        if found is not None and found.text[start:end] == item["text"]:
            copies = (_still_there(copy, article) for copy in item["copies"])
            known = tuple(copy for copy in copies if copy is not None)
            yield RankedPassage(item["id"], found, start, end, item["score"], known)


def _still_there(values: Values, article: FindArticle) -> Article | None:
    try:
        return article(values["article_id"], values["revision"])
    except ArticleNotFoundError:
        return None


def _dispute(values: Values, article: FindArticle) -> Dispute:
    later, earlier = (citation_from_dict(values[name], article) for name in ("later", "earlier"))
    figures = str(values["figures"][0]), str(values["figures"][1])
    return Dispute(later, earlier, figures, bool(values["corrects"]))


def _looked(values: Values) -> Looked:
    first, last = (
        date.fromisoformat(values[name]) if values[name] else None for name in ("first", "last")
    )
    meant = tuple(
        Meant(one["text"], date.fromisoformat(one["first"]), date.fromisoformat(one["last"]))
        for one in values.get("meant", ())
    )
    missing = tuple(values["missing"])
    return Looked(values["query"], missing, values["articles"], first, last, meant)
