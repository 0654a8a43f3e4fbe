"""The data that travels through the pipeline: frozen, and without logic beyond properties.

Every offset counts Python characters of `Article.text`, the text as it was stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from textwrap import shorten
from typing import Any, Literal

from rag.looked import Looked, written

Status = Literal["answered", "abstained"]

Outcome = Literal["kept", "rewritten", "quoted", "dropped"]
"""What became of a draft sentence after its check."""


@dataclass(frozen=True, slots=True)
class Article:
    """One revision of one article. `text` never changes under an (`id`, `revision`).

    `language` is a tag such as "en" or "pt-BR". `modified` is a datetime where the time of the last
    change is known, and a date where only its day is. `ingested` is when the archive took this
    revision in: None where it did not, or where an earlier version did not keep it.
    """

    id: str
    title: str
    text: str
    source: str | None = None
    url: str | None = None
    published: date | None = None
    revision: int = 1
    author: str | None = None
    language: str | None = None
    section: str | None = None
    modified: date | None = None
    ingested: datetime | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The article as JSON values; its times in ISO 8601, or null."""
        return {
            "id": self.id,
            "revision": self.revision,
            "title": self.title,
            "source": self.source,
            "url": self.url,
            "published": self.published.isoformat() if self.published else None,
            "author": self.author,
            "language": self.language,
            "section": self.section,
            "modified": self.modified.isoformat() if self.modified else None,
            "ingested": self.ingested.isoformat() if self.ingested else None,
            "text": self.text,
        }


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of characters, never empty."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a span needs 0 <= start < end, not {self.start}..{self.end}")


@dataclass(frozen=True, slots=True)
class RankedPassage:
    """A passage of an article with its retrieval score (higher is better).

    `copies` are other articles that hold a near-identical passage (the same wire story).
    """

    id: int
    article: Article
    start: int
    end: int
    score: float
    copies: tuple[Article, ...] = ()

    @property
    def text(self) -> str:
        """The passage, exactly as it stands in the article."""
        return self.article.text[self.start : self.end]

    def to_dict(self) -> dict[str, Any]:
        """The passage as JSON values."""
        return {
            "id": self.id,
            "article_id": self.article.id,
            "revision": self.article.revision,
            "title": self.article.title,
            "source": self.article.source,
            "url": self.article.url,
            "published": self.article.published.isoformat() if self.article.published else None,
            "start": self.start,
            "end": self.end,
            "text": self.text,
            "score": round(self.score, 4),
            "copies": [{"article_id": a.id, "revision": a.revision} for a in self.copies],
        }


@dataclass(frozen=True, slots=True)
class Citation:
    """An exact span of a stored article. The quote is read from the text, so it cannot differ."""

    article: Article
    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end <= len(self.article.text):
            raise ValueError(
                f"span {self.start}..{self.end} is outside article {self.article.id}, "
                f"which has {len(self.article.text)} characters"
            )

    @property
    def quote(self) -> str:
        """`article.text[start:end]`."""
        return self.article.text[self.start : self.end]

    def to_dict(self) -> dict[str, Any]:
        """The citation as JSON values."""
        return {
            "article_id": self.article.id,
            "revision": self.article.revision,
            "title": self.article.title,
            "source": self.article.source,
            "url": self.article.url,
            "published": self.article.published.isoformat() if self.article.published else None,
            "start": self.start,
            "end": self.end,
            "quote": self.quote,
        }


@dataclass(frozen=True, slots=True)
class Sentence:
    """One checked sentence of an answer. `support` is in 0..1; a literal quote has 1."""

    text: str
    citations: tuple[Citation, ...]
    support: float

    def to_dict(self) -> dict[str, Any]:
        """The sentence as JSON values."""
        return {
            "text": self.text,
            "support": round(self.support, 4),
            "citations": [citation.to_dict() for citation in self.citations],
        }


@dataclass(frozen=True, slots=True)
class Check:
    """One draft sentence of the language model, and what its check made of it.

    `support` is the probability that the cited text supports the sentence; `reason` says why a
    sentence was not kept, and is empty for one that was.
    """

    text: str
    outcome: Outcome
    support: float
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The check as JSON values."""
        return {
            "text": self.text,
            "outcome": self.outcome,
            "support": round(self.support, 4),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Trace:
    """How an answer came about, so that it can be explained and repeated.

    `timings` are milliseconds per stage. `notes` are sentences for the user (a model that did not
    answer). `checks` has every draft sentence. `signals` are what the probability of an answer was
    computed from, by name.
    """

    query: str = ""
    settings: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    signals: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The trace as JSON values."""
        return {
            "query": self.query,
            "settings": self.settings,
            "prompts": dict(self.prompts),
            "models": dict(self.models),
            "timings": {stage: round(ms, 2) for stage, ms in self.timings.items()},
            "notes": list(self.notes),
            "checks": [check.to_dict() for check in self.checks],
            "signals": {name: round(value, 4) for name, value in self.signals.items()},
        }


@dataclass(frozen=True, slots=True)
class Evidence:
    """What retrieval found, before any wording: the passages, and the best sentences as quotes.

    `quotes` is empty when the evidence is too weak to answer with.
    """

    query: str
    passages: tuple[RankedPassage, ...]
    quotes: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Short:
    """The answer as a phrase: a name, number, place or date as it stands in `citation`.

    "yes" and "no" are the two that stand nowhere; their citation is the sentence that decides.
    """

    text: str
    citation: Citation

    def to_dict(self) -> dict[str, Any]:
        """The phrase as JSON values."""
        return {"text": self.text, "citation": self.citation.to_dict()}


@dataclass(frozen=True, slots=True)
class Dispute:
    """Two sentences that answer with different figures, those of the later and the earlier article.

    `corrects` is whether the later one says that the earlier one was wrong.
    """

    later: Citation
    earlier: Citation
    figures: tuple[str, str]
    corrects: bool = False

    @property
    def text(self) -> str:
        """For the reader: both figures with their outlets and dates, the later first."""
        both = zip(self.figures, (self.later.article, self.earlier.article), strict=True)
        later, earlier = (f"“{figure}” ({_signed(article)})" for figure, article in both)
        if self.corrects:
            return f"A later article corrects an earlier one: {later}, before that {earlier}."
        return f"Articles differ: {later}, {earlier}."

    def to_dict(self) -> dict[str, Any]:
        """The dispute as JSON values."""
        return {
            "text": self.text,
            "corrects": self.corrects,
            "figures": list(self.figures),
            "later": self.later.to_dict(),
            "earlier": self.earlier.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """Checked sentences with their citations, or an abstention with the closest passages.

    `short` is the phrase that was asked for, where one was. `probability` is the calibrated
    probability that the archive answers the question. `missing` says in one sentence which part of
    the question the answer leaves open, and is empty where none is known. `remarks` are sentences
    for the reader: which days the question and the quotes mean. `disputes` are other articles that
    answer with other figures.
    """

    question: str
    status: Status
    sentences: tuple[Sentence, ...]
    passages: tuple[RankedPassage, ...]
    trace: Trace
    short: Short | None = None
    probability: float | None = None
    missing: str = ""
    looked: Looked | None = None
    remarks: tuple[str, ...] = ()
    disputes: tuple[Dispute, ...] = ()

    @property
    def text(self) -> str:
        """The sentences, joined; empty for an abstention."""
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Every citation once, of sentences, phrase, disputes: number n is `citations[n - 1]`."""
        phrase = [self.short.citation] if self.short else []
        disputed = [c for dispute in self.disputes for c in (dispute.later, dispute.earlier)]
        said = (c for s in self.sentences for c in s.citations)
        return tuple(dict.fromkeys([*said, *phrase, *disputed]))

    @property
    def closest(self) -> tuple[tuple[RankedPassage, ...], ...]:
        """The best two passages of each of the three best articles: what an abstention shows."""
        groups: dict[Article, list[RankedPassage]] = {}
        for passage in self.passages:
            groups.setdefault(passage.article, []).append(passage)
        return tuple(tuple(group[:2]) for group in list(groups.values())[:3])

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON values: what `newsrag ask --json` prints."""
        return {
            "question": self.question,
            "status": self.status,
            "probability": None if self.probability is None else round(self.probability, 4),
            "short": self.short.to_dict() if self.short else None,
            "missing": self.missing,
            "looked": self.looked.to_dict() if self.looked else None,
            "remarks": list(self.remarks),
            "disputes": [dispute.to_dict() for dispute in self.disputes],
            "sentences": [sentence.to_dict() for sentence in self.sentences],
            "passages": [passage.to_dict() for passage in self.passages],
            "trace": self.trace.to_dict(),
        }

    def __str__(self) -> str:
        """Plain text: phrase, sentences and what is missing, then the sources; or the refusal."""
        if self.status == "abstained":
            return "\n".join(self._refusal())
        numbers = {citation: n for n, citation in enumerate(self.citations, 1)}
        short = [f"{self.short.text} [{numbers[self.short.citation]}]"] if self.short else []
        body = " ".join(
            sentence.text + "".join(f" [{numbers[c]}]" for c in sentence.citations)
            for sentence in self.sentences
        )
        missing = [f"Not in the archive: {self.missing}"] if self.missing else []
        sources = [f"[{n}] {byline(c.article)}\n    {c.quote}" for c, n in numbers.items()]
        disputes = [f"{d.text} [{numbers[d.later]}] [{numbers[d.earlier]}]" for d in self.disputes]
        return "\n".join([*short, body, *disputes, *missing, *self.remarks, "", *sources])

    def _refusal(self) -> Iterator[str]:
        yield "The archive does not say."
        yield from self.looked.lines if self.looked else ()
        if self.passages:
            yield "The closest passages, none of which answers:"
        for group in self.closest:
            yield f"  - {byline(group[0].article)}"
            yield from (f"    {shorten(p.text, 160, placeholder=' …')}" for p in group)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The language model answers other questions first: `place` of them, at least one."""

    place: int


Event = Evidence | Waiting | Sentence | Answer
"""What `Archive.stream` yields: the evidence, each sentence once it is checked, then the answer.

`Waiting` comes before the first sentence, where the language model is busy with other questions.
"""

Turn = tuple[str, str]
"""One earlier exchange of a conversation: the question and the text of its answer."""

History = Sequence[Turn]


def _signed(article: Article) -> str:
    """Outlet and date of an article, or its title where the outlet is unknown."""
    day = written(article.published) if article.published else "undated"
    return f"{article.source or article.title}, {day}"


def byline(article: Article) -> str:
    """Title, source and date of an article on one line, leaving out what is unknown."""
    date_text = article.published.isoformat() if article.published else None
    return ", ".join(part for part in (article.title, article.source, date_text) if part)
