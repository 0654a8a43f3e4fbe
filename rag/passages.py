"""Articles into sentences and passages, as exact character spans."""

from __future__ import annotations

import re
from collections.abc import Iterator

import sentencex

from rag.types import Span

MAX_SENTENCE_CHARACTERS = 600
"""A longer "sentence" is a list or a run-on; it is cut at white space, to keep quotes short."""

_LINE = re.compile(r"[^\n]+")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")


def split_sentences(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """Sentences of `text[start:end]`, in order, without surrounding white space.

    Spans count characters of the whole `text`, never overlap, are never empty, and cover every
    character that is not white space. Where a text marks paragraphs with blank lines, a single
    line break is a wrapped line; elsewhere it ends a sentence.
    """
    part = text[start:end]
    wrapped = _BLANK_LINE.search(part) is not None
    spans: list[Span] = []
    for boundary in sentencex.get_sentence_boundaries("en", part):
        first, last = boundary["start_index"], boundary["end_index"]
        lines = [(first, last)] if wrapped else _lines(part, first, last)
        for line_first, line_last in lines:
            spans.extend(_pieces(text, start + line_first, start + line_last))
    return spans


def split_passages(text: str, max_characters: int) -> list[Span]:
    """Passages of whole sentences, at most `max_characters` long and about equal in length.

    A sentence longer than that is cut at white space. The spans are in order, never overlap, and
    cover every character that is not white space.
    """
    sentences = [
        piece
        for sentence in split_sentences(text)
        for piece in _pieces(text, sentence.start, sentence.end, max_characters)
    ]
    if not sentences:
        return []
    length = sentences[-1].end - sentences[0].start
    target = length / -(-length // max_characters)
    passages: list[Span] = []
    first = last = sentences[0]
    for sentence in sentences[1:]:
        full = last.end - first.start >= target
        if full or sentence.end - first.start > max_characters:
            passages.append(Span(first.start, last.end))
            first = sentence
        last = sentence
    passages.append(Span(first.start, last.end))
    return passages


def _lines(text: str, start: int, end: int) -> list[tuple[int, int]]:
    return [match.span() for match in _LINE.finditer(text, start, end)]


def _pieces(
    text: str, start: int, end: int, limit: int = MAX_SENTENCE_CHARACTERS
) -> Iterator[Span]:
    """`text[start:end]` without outer white space, cut into pieces of at most `limit`."""
    while True:
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        if start == end:
            return
        if end - start <= limit:
            yield Span(start, end)
            return
        cut = max(text.rfind(" ", start, start + limit), text.rfind("\n", start, start + limit))
        cut = cut if cut > start else start + limit
        yield Span(start, len(text[:cut].rstrip()) if text[cut - 1].isspace() else cut)
        start = cut
