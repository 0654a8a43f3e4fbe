"""What is known about a question, and gold resolved against the articles of an archive."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlsplit

from rag import Article

GoldSpan = tuple[str, int, int]
"""Article id, start and end: a half-open range of characters of the stored text."""

_LONGEST_TITLE = 80


@dataclass(frozen=True, slots=True)
class Question:
    """One question. Gold that the archive does not hold is left out of the two gold fields.

    `answerable` says whether the archive should know; RealTimeQA derives it from a weak label.
    An unanswerable question may have `answers` all the same: true ones that the archive lacks.
    `phrases` is false where the answers are whole sentences, which exact match does not fit.
    """

    id: str
    question: str
    answers: tuple[str, ...]
    gold_articles: tuple[str, ...]
    gold_spans: tuple[GoldSpan, ...]
    as_of: date | None
    history: tuple[tuple[str, str], ...]
    kind: str
    answerable: bool
    phrases: bool = True


@dataclass(frozen=True, slots=True)
class Reference:
    """Gold as a file states it: the articles that match, and the quotes or offsets, if any.

    `complete` says whether the archive holds all of it.
    """

    articles: tuple[Article, ...]
    spans: tuple[GoldSpan, ...]
    complete: bool

    @property
    def ids(self) -> tuple[str, ...]:
        """The id of each article, once."""
        return tuple(dict.fromkeys(article.id for article in self.articles))


class Index:
    """The articles of the archive by what a question set may know: URL, title or bare text."""

    def __init__(self, articles: Iterable[Article]) -> None:
        self._by_url: dict[str, Article] = {}
        self._by_title: defaultdict[str, list[Article]] = defaultdict(list)
        self._by_text: defaultdict[str, list[Article]] = defaultdict(list)
        for article in articles:
            if article.url:
                self._by_url[article.url] = article
                self._by_url.setdefault(_canonical(article.url), article)
            self._by_title[article.title].append(article)
            self._by_text[article.text.strip()].append(article)

    def url(self, url: str) -> list[Article]:
        """Find the article with this address, as written or in its canonical form."""
        article = self._by_url.get(url) or self._by_url.get(_canonical(url))
        return [article] if article else []

    def title(self, title: str) -> list[Article]:
        """Find the articles with exactly this title."""
        return self._by_title.get(title, [])

    def text(self, text: str) -> list[Article]:
        """Find the articles with this text, but for white space around it."""
        return self._by_text.get(text.strip(), [])


def _canonical(url: str) -> str:
    """Return the form that the archive derives article ids from."""
    from courlan import clean_url

    # courlan drops query parts without "=", which in "story.php?20230814" name the article.
    if all("=" in part for part in urlsplit(url).query.split("&") if part):
        return clean_url(url) or url
    return url


def find_quote(articles: Iterable[Article], quote: str) -> tuple[GoldSpan, ...]:
    """Find the first place of the quote in each article; white space may differ."""
    pattern = re.compile(r"\s+".join(map(re.escape, quote.split())))
    matches = ((article.id, pattern.search(article.text)) for article in articles)
    return tuple((name, *match.span()) for name, match in matches if match)


def merge(references: Iterable[Reference]) -> Reference:
    """Put references together; the whole is complete when all of them are."""
    parts = list(references)
    return Reference(
        articles=tuple(article for part in parts for article in part.articles),
        spans=tuple(dict.fromkeys(span for part in parts for span in part.spans)),
        complete=all(part.complete for part in parts),
    )


def passage_article(title: str, text: str) -> Article:
    """Return a text that a set brings along as an article: no URL, no date, text unchanged.

    The id is a hash of the text, the title where there is none the beginning of the text.
    """
    key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    heading = " ".join((title.replace("_", " ") or text[:_LONGEST_TITLE]).split())
    return Article(id=key, title=heading, text=text)
