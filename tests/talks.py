"""What the tests of saved conversations share: two articles, and answers that cite them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from rag import Answer, Article, Asked, Citation, Exchange, RankedPassage, Sentence, Short, Trace

PIER = Article(
    "a1",
    "Title 1",
    "The fire began at 3 a.m. Nobody was hurt on Pier 4.",
    "Test Gazette",
    "https://gazette.example/1",
    date(2024, 3, 1),
)
WIND = Article(
    "a2", "Title 2", "Wind of 90 km/h hit Ärmel Bay.", "Test Gazette", None, date(2024, 1, 1)
)
NOON = datetime(2026, 5, 4, 12, 0, 0, 125, tzinfo=UTC)
HOSTILE = [
    "'; DROP TABLE conversations; --",
    '"); DELETE FROM exchanges; --',
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "![x](https://evil.example/?q) [y](javascript:alert(3))",
    "100 % _ \\ * ? [a-z] {{ 7 * 7 }}",
    "\u202etxt.exe\u202c \u2066mixed\u2069",
    "zero\0byte and \x1b[31mcolour",
    "👩\u200d🚒 e\u0301 ﬁ",
]


def find(article_id: str, revision: int) -> Article:
    return {PIER.id: PIER, WIND.id: WIND}[article_id]


def answered(question: str = "When did the fire begin?", cited: Article = PIER) -> Answer:
    citation = Citation(cited, 0, 24)
    return Answer(
        question,
        "answered",
        (Sentence("It began before dawn.", (citation,), 0.9),),
        (RankedPassage(4, cited, 0, len(cited.text), 1.5),),
        Trace(query=question),
        short=Short("3 a.m.", Citation(cited, 18, 24)),
        probability=0.75,
    )


def asked(name: str, question: str = "When did the fire begin?", **fields: Any) -> Exchange:
    return Exchange(name, question, Asked(), NOON, **fields)
