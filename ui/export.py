"""Answers and conversations to take along: plain text, Markdown or HTML, with numbered sources.

Each format writes the same blocks, and each escapes every text: what stands in an article is never
a link, an image or markup of the copy. Only the safe address of an article is a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, Protocol
from urllib.parse import quote

from rag import Answer, Article, Asked, Citation, Conversation, Exchange, Sentence
from ui.render import cut, day, headline, number, safe_url, visible
from ui.sources import PARTLY

Kind = Literal["text", "markdown", "html"]


def answer_as(answer: Answer, kind: Kind) -> str:
    """A question, its answer and the numbered sources; as HTML, a piece to paste, not a page."""
    write = _WRITERS[kind]
    return write.join(_written(write, [_Heading(2, answer.question), *_answer(answer)]))


def conversation_as(conversation: Conversation, kind: Kind) -> str:
    """A conversation from its first question to its last; as HTML, a whole page."""
    write = _WRITERS[kind]
    blocks = [b for exchange in conversation.exchanges for b in _exchange(exchange)]
    parts = _written(write, [_Heading(1, conversation.title), *blocks])
    return write.document(conversation.title, write.join(parts))


@dataclass(frozen=True, slots=True)
class _Heading:
    level: int
    words: str


@dataclass(frozen=True, slots=True)
class _Paragraph:
    """Running text in pieces, each with the numbers that follow it."""

    pieces: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class _Source:
    """An article and the words in question; `number` is None for what is not cited."""

    number: int | None
    article: Article
    words: str


_Block = _Heading | _Paragraph | tuple[_Source, ...]


def _exchange(exchange: Exchange) -> Iterator[_Block]:
    yield _Heading(2, exchange.question)
    yield _told(f"Asked on {day(exchange.at.date())}{_filters(exchange.asked)}.")
    if exchange.query and exchange.query.split() != exchange.question.split():
        yield _told(f"Understood as: {exchange.query}")
    if exchange.answer:
        yield from _answer(exchange.answer)
    elif exchange.sentences:
        yield from _sentences(exchange.sentences, ())
    if exchange.error:
        yield _told(exchange.error)
    elif exchange.stopped:
        yield _told("Stopped.")


def _filters(asked: Asked) -> str:
    days = (("as of", asked.as_of), ("since", asked.since), ("until", asked.until))
    parts = [f"{name} {day(value)}" for name, value in days if value]
    return "".join(f", {part}" for part in [*parts, *(f"only {s}" for s in asked.sources)])


def _answer(answer: Answer) -> Iterator[_Block]:
    if answer.status == "abstained":
        yield from _abstention(answer)
        return
    numbers = number(answer.citations)
    if answer.short:
        yield _Paragraph(((answer.short.text, (numbers[answer.short.citation],)),))
    yield from _sentences(answer.sentences, answer.citations)
    if answer.missing:
        yield _told(f"Not in the archive: {answer.missing}")


def _sentences(sentences: Sequence[Sentence], citations: Sequence[Citation]) -> Iterator[_Block]:
    """The sentences, then their sources and those of the other `citations`."""
    numbers = number([*citations, *(c for s in sentences for c in s.citations)])
    yield _Paragraph(tuple((_honest(s), tuple(numbers[c] for c in s.citations)) for s in sentences))
    yield _Heading(3, "Sources")
    yield tuple(_Source(n, c.article, c.quote) for c, n in numbers.items())


def _abstention(answer: Answer) -> Iterator[_Block]:
    yield _told("The archive does not say.")
    yield from (_told(line) for line in (answer.looked.lines if answer.looked else ()))
    if answer.closest:
        yield _Heading(3, "Closest passages, none of which answers")
        yield tuple(_Source(None, p.article, p.text) for group in answer.closest for p in group)


def _told(words: str) -> _Paragraph:
    return _Paragraph(((words, ()),))


def _honest(sentence: Sentence) -> str:
    """A sentence; one that holds only in part says so wherever it goes."""
    partly = f" (only partly supported, {100 * sentence.support:.0f} %)"
    return sentence.text + (partly if sentence.support < PARTLY else "")


class _Writer(Protocol):
    """How a format writes the blocks."""

    def heading(self, level: int, words: str) -> str: ...
    def paragraph(self, pieces: Iterable[tuple[str, tuple[int, ...]]]) -> str: ...
    def sources(self, sources: Iterable[_Source]) -> str: ...
    def join(self, parts: Iterable[str]) -> str: ...
    def document(self, title: str, body: str) -> str: ...


def _written(write: _Writer, blocks: Iterable[_Block]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, _Heading):
            yield write.heading(block.level, block.words)
        elif isinstance(block, _Paragraph):
            yield write.paragraph(block.pieces)
        else:
            yield write.sources(block)


def _line(words: str) -> str:
    """Words on one line, controls visible: a terminal or an editor has nothing to obey."""
    return " ".join(visible(words).split()) or "…"


def _about(article: Article) -> str:
    """Title, outlet and day, leaving out what is unknown."""
    dated = day(article.published) if article.published else ""
    outlet = cut(article.source or "")
    return ", ".join(part for part in (headline(article), outlet, dated) if part)


class _Text:
    def heading(self, level: int, words: str) -> str:
        line = _line(words)
        return line if level > 1 else f"{line}\n{'=' * min(len(line), 72)}"

    def paragraph(self, pieces: Iterable[tuple[str, tuple[int, ...]]]) -> str:
        return " ".join(_line(words) + _marks(numbers) for words, numbers in pieces)

    def sources(self, sources: Iterable[_Source]) -> str:
        return "\n".join(map(self._source, sources))

    def join(self, parts: Iterable[str]) -> str:
        return "\n\n".join(parts) + "\n"

    def document(self, title: str, body: str) -> str:
        return body

    def _source(self, source: _Source) -> str:
        sign = "-" if source.number is None else f"[{source.number}]"
        lines = [f"{sign} {_about(source.article)}"]
        if source.article.url:
            lines.append(_line(safe_url(source.article.url) or source.article.url))
        return "\n    ".join([*lines, f"“{_line(source.words)}”"])


class _Markdown(_Text):
    def heading(self, level: int, words: str) -> str:
        return f"{'#' * level} {_unmarked(words)}"

    def paragraph(self, pieces: Iterable[tuple[str, tuple[int, ...]]]) -> str:
        return " ".join(_unmarked(words) + _marks(numbers) for words, numbers in pieces)

    def sources(self, sources: Iterable[_Source]) -> str:
        return "\n\n".join(map(self._source, sources))

    def _source(self, source: _Source) -> str:
        sign = "-" if source.number is None else f"{source.number}."
        indent = " " * (len(sign) + 1)
        address = _bracketed(source.article.url)
        about = ", ".join(part for part in (_unmarked(_about(source.article)), address) if part)
        return f"{sign} {about}\n\n{indent}> {_unmarked(source.words)}"


class _Html:
    def heading(self, level: int, words: str) -> str:
        return f'<h{level} dir="auto">{_escaped(words)}</h{level}>'

    def paragraph(self, pieces: Iterable[tuple[str, tuple[int, ...]]]) -> str:
        told = (
            _escaped(words) + (f"<sup>{_marks(numbers).strip()}</sup>" if numbers else "")
            for words, numbers in pieces
        )
        return f'<p dir="auto">{" ".join(told)}</p>'

    def sources(self, sources: Iterable[_Source]) -> str:
        listed = list(sources)
        kind = "ul" if any(source.number is None for source in listed) else "ol"
        return f"<{kind}>{''.join(map(self._source, listed))}</{kind}>"

    def join(self, parts: Iterable[str]) -> str:
        return "\n".join(parts)

    def document(self, title: str, body: str) -> str:
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_NOTHING_FETCHED}">\n'
            '<meta name="viewport" content="width=device-width">\n'
            f"<title>{_escaped(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
            f"<body>\n{body}\n</body>\n</html>\n"
        )

    def _source(self, source: _Source) -> str:
        address = _linked(source.article.url)
        about = ", ".join(part for part in (_escaped(_about(source.article)), address) if part)
        return f'<li dir="auto">{about}<blockquote>{_escaped(source.words)}</blockquote></li>'


def _marks(numbers: Iterable[int]) -> str:
    return "".join(f" [{n}]" for n in numbers)


def _escaped(words: str) -> str:
    return escape(_line(words))


def _linked(url: str | None) -> str:
    safe = safe_url(url)
    return f'<a href="{escape(safe)}">{escape(safe)}</a>' if safe else _escaped(url) if url else ""


def _unmarked(words: str) -> str:
    """Words that Markdown leaves alone: no markup, no HTML, no address that becomes a link."""
    return _AT_START.sub(r"\1\\\2", _MARKUP.sub(r"\\\g<0>", _line(words)))


def _bracketed(url: str | None) -> str:
    safe = safe_url(url)
    return f"<{quote(safe, safe=_IN_URLS)}>" if safe else _unmarked(url) if url else ""


_MARKUP = re.compile(r"[\\`*_\[\]<>&~|$#]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_AT_START = re.compile(r"^(\d*)([-+=.)])")
_IN_URLS = "!#%&'()*+,-./:;=?@[]_~"
_NOTHING_FETCHED = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = (
    "body{max-width:44rem;margin:2rem auto;padding:0 1rem;font:1.05rem/1.6 Georgia,serif;"
    "overflow-wrap:anywhere}blockquote{margin:.4rem 0 1rem;padding-left:1rem;"
    "border-left:3px solid #999}"
)
_WRITERS: dict[Kind, _Writer] = {"text": _Text(), "markdown": _Markdown(), "html": _Html()}
