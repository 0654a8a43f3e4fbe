"""Rated answers as lines of an evaluation set, in newsrag's own format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from typing import Any

from rag.conversationfile import ConversationFile
from rag.conversations import Exchange, exchange_from_row
from rag.serial import FindArticle, Values

_RATED = """
SELECT conversation, thumb, note, data FROM exchanges WHERE conversation IN (
    SELECT conversation FROM exchanges WHERE thumb <> '' OR note <> ''
) ORDER BY conversation, number
"""


def feedback_rows(file: ConversationFile, article: FindArticle) -> list[dict[str, Any]]:
    """Every rated or annotated exchange of all users, without their names, oldest first.

    An approved answer's citations are the gold and its short answer, if any, the answer; an
    approved refusal is a question that the archive does not answer. Of the others no gold is known:
    `answers` is None, and a person has to fill it in; until then the evaluation leaves them out.
    Gold of an article that has been deleted since is named, not quoted.

    Beside the names of the format (see `eval/sets`) a row has `thumb`, `note`, `at` (UTC), `query`
    (the question as understood), `status`, `response` (what was answered), and the filters `since`,
    `until` and `sources`. `kind` is the thumb, or "note".
    """
    rows: list[dict[str, Any]] = []
    article = cache(article)
    for _, group in groupby(file.rows(_RATED), key=lambda row: row[0]):
        history: list[list[str]] = []
        for _, *row in group:
            exchange = exchange_from_row(row, article)
            if exchange.feedback.thumb or exchange.feedback.note:
                rows.append(_row(exchange, json.loads(row[2]), history))
            history.append([exchange.question, exchange.text])
    return sorted(rows, key=lambda row: str(row["at"]))


def _row(exchange: Exchange, saved: Values, history: list[list[str]]) -> dict[str, Any]:
    asked, answer, thumb = exchange.asked, exchange.answer, exchange.feedback.thumb
    approved = thumb == "up"
    known = answer is not None or bool(exchange.sentences)
    gold = [_gold(item, known) for item in _citations(saved) if approved and _has_name(item)]
    short = [answer.short.text] if approved and answer and answer.short else []
    return {
        "id": exchange.id,
        "question": exchange.question,
        "answers": short if approved else None,
        "gold": list({json.dumps(item): item for item in gold}.values()),
        "as_of": (asked.as_of or exchange.at.date()).isoformat(),
        "history": list(history),
        "kind": thumb or "note",
        "thumb": thumb,
        "note": exchange.feedback.note,
        "at": exchange.at.isoformat(),
        "query": exchange.query,
        "status": (saved["answer"] or {}).get("status", ""),
        "response": exchange.text,
        "since": asked.since.isoformat() if asked.since else None,
        "until": asked.until.isoformat() if asked.until else None,
        "sources": list(asked.sources),
    }


def _citations(saved: Values) -> Iterator[Values]:
    said = saved["answer"] or saved
    for sentence in said["sentences"]:
        yield from sentence["citations"]
    if said.get("short"):
        yield said["short"]["citation"]


def _has_name(citation: Values) -> bool:
    """Whether the article has a URL or a title, by which an evaluation set names it."""
    return bool((citation["url"] or citation["title"]).strip())


def _gold(citation: Values, known: bool) -> dict[str, Any]:
    quote = {"quote": citation["quote"]} if known and citation["quote"].strip() else {}
    return {"url": citation["url"] or None, "title": citation["title"], **quote}
