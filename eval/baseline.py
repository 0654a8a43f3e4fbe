"""The answers of a plain citation engine in our terms, so that the same figures fit them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from eval.asking import Supports
from rag import Answer, Article, Citation, Sentence, Trace

_NUMBERS = r"(?:sources?\s*)?\d+(?:\s*(?:[,;]|and)\s*(?:source\s*)?\d+)*"
_MARKER = re.compile(rf"\[{_NUMBERS}\]|\((?=source){_NUMBERS}\)", re.IGNORECASE)
_AFTER_STOP = re.compile(rf"([.!?][”\"’']?)((?:\s*(?:{_MARKER.pattern}))+)", re.IGNORECASE)
_LOOSE_SPACE = re.compile(r"\s+(?=[.,;:!?])")
_EDGES = " .;,-*:\n"

_EMPTY = "Empty Response"
_SPEAKER = r"\b(?:sources?|context|passages?|documents?|articles?|texts?|information|i|we)\b"
_DENIES = (
    r"\b(?:cannot|can not|could not|unable|do not|does not|did not|is not|are not|none|no|sorry"
    r"|(?:ca|could|do|does|did|is|are)n[’']?t)\b"
)
_TELLS = (
    r"\b(?:answer|contain|determine|discuss|explicitly|find|give|have|helpful|include|indicate|know"
    r"|mention|provide|relevant|say|specify|state|tell)(?:s|d|ed|ing)?\b"
)
_FEW = r"(?:\W+\w+){0,4}?\W+"
_REFUSES = re.compile(
    rf"{_SPEAKER}{_FEW}{_DENIES}{_FEW}{_TELLS}|{_DENIES}{_FEW}{_SPEAKER}{_FEW}{_TELLS}"
    r"|\b(?:no|not enough|insufficient)\W+(?:\w+\W+){0,2}?(?:information|mention|evidence)\b",
    re.IGNORECASE,
)


class SourceNode(Protocol):
    """A source that a response lists; its metadata has "article_id", "start" and "end"."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The metadata."""


class Response(Protocol):
    """What a citation engine returns: text with markers like [2], and the sources from 1."""

    @property
    def response(self) -> str | None:
        """The text."""

    @property
    def source_nodes(self) -> Sequence[SourceNode]:
        """The sources, in the order of their numbers."""


class Engine(Protocol):
    """A llama-index query engine, seen from here."""

    def query(self, question: str, /) -> Response:
        """Answer a question that stands alone. Raises `NewsragError` when its model fails."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """An answer in our terms; `unresolved` counts, per sentence, the markers of no source."""

    answer: Answer
    unresolved: tuple[int, ...]


def declines(text: str) -> bool:
    """Whether a text says that it has no answer.

    The rule: it is empty, or llama-index's own "Empty Response", or its first sentence says that
    the sources or the speaker do not tell ("The sources do not mention ...", "I cannot answer
    ...", "There is no information ...").
    """
    stripped = text.strip(_EDGES)
    return stripped in {"", _EMPTY} or _REFUSES.search(_split(stripped)[0]) is not None


def parse(
    question: str, response: Response, articles: Mapping[str, Article], archive: Supports
) -> Parsed:
    """Read a response: a sentence cites the spans of the sources that its markers name.

    A sentence's `support` is the probability, by the archive's check, that all its citations
    together support it, and 0 without any. `articles` are by id.
    """
    text = response.response or ""
    if declines(text):
        return Parsed(Answer(question, "abstained", (), (), Trace()), ())
    sentences, unresolved = [], []
    for part in _split(text):
        numbers = _numbers(part)
        found = [_citation(number, response.source_nodes, articles) for number in numbers]
        citations = tuple(dict.fromkeys(c for c in found if c is not None))
        plain = _LOOSE_SPACE.sub("", " ".join(_MARKER.sub("", part).split()))
        if not plain.strip(_EDGES):
            continue
        evidence = " ".join(citation.quote for citation in citations)
        support = archive.supports(plain, evidence) if evidence else 0.0
        sentences.append(Sentence(plain, citations, support))
        unresolved.append(found.count(None))
    if not sentences:
        return Parsed(Answer(question, "abstained", (), (), Trace()), ())
    return Parsed(Answer(question, "answered", tuple(sentences), (), Trace()), tuple(unresolved))


def _split(text: str) -> list[str]:
    """Cut a text into sentences, each with its markers, which may stand before or after its end."""
    from sentencex import segment

    moved = _AFTER_STOP.sub(r"\2\1", text)
    return [part for part in segment("en", moved) if part.strip()] or [""]


def _numbers(part: str) -> list[int]:
    markers = " ".join(_MARKER.findall(part))
    return list(dict.fromkeys(int(number) for number in re.findall(r"\d+", markers)))


def _citation(
    number: int, nodes: Sequence[SourceNode], articles: Mapping[str, Article]
) -> Citation | None:
    """Return the span of a source, or None when there is no source with this number."""
    if not 1 <= number <= len(nodes):
        return None
    held = nodes[number - 1].metadata
    return Citation(articles[held["article_id"]], held["start"], held["end"])
