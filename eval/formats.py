"""Formats of question sets: our own, RealTimeQA and SQuAD (SQuAD 2.0, and NewsQA as in MRQA)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eval.gold import GoldSpan, Index, Question, Reference, find_quote, merge, passage_article
from eval.records import Record, as_record, date_of, list_of, records_of, text_of, texts_of
from rag import Article, SourceError

Resolved = tuple[Question, bool]
"""A question, and whether the archive holds all of its gold."""

_BETWEEN_PARAGRAPHS = "\n\n"


def own_question(record: Record, place: str, index: Index) -> Resolved:
    """Read a line of our own format, which the README describes."""
    answers = texts_of(record, "answers", place)
    gold = records_of(record, "gold", place)
    reference = merge(_own_reference(item, place, index) for item in gold)
    question = Question(
        id=text_of(record, "id", place),
        question=text_of(record, "question", place),
        answers=answers,
        gold_articles=reference.ids,
        gold_spans=reference.spans,
        as_of=None if record.get("as_of") is None else date_of(record, "as_of", place),
        history=_history(record, place),
        kind=text_of(record, "kind", place),
        answerable=bool(answers or gold),
    )
    return question, reference.complete


def _own_reference(gold: Record, place: str, index: Index) -> Reference:
    if gold.get("url") is not None:
        articles = index.url(text_of(gold, "url", place))
    else:
        articles = index.title(text_of(gold, "title", place))
    if gold.get("quote") is None:
        return Reference(tuple(articles), (), complete=bool(articles))
    spans = find_quote(articles, text_of(gold, "quote", place))
    return Reference(tuple(articles), spans, complete=bool(spans))


def _history(record: Record, place: str) -> tuple[tuple[str, str], ...]:
    turns = []
    for turn in list_of(record, "history", place) if record.get("history") else []:
        match turn:
            case [str(question), str(answer)]:
                turns.append((question, answer))
            case _:
                raise SourceError(place, '"history" must be a list of [question, answer] pairs')
    return tuple(turns)


def realtimeqa_question(record: Record, place: str, index: Index) -> Resolved:
    """Read a line of RealTimeQA; without positives the archive should not know."""
    positives = texts_of(record, "positives", place)
    found = [index.url(url) for url in positives]
    reference = merge(Reference(tuple(part), (), complete=bool(part)) for part in found)
    question = Question(
        id=text_of(record, "id", place),
        question=text_of(record, "question", place),
        answers=texts_of(record, "answer", place),
        gold_articles=reference.ids,
        gold_spans=(),
        as_of=date_of(record, "asked", place),
        history=(),
        kind="quiz",
        answerable=bool(positives),
    )
    return question, reference.complete


# SQuAD.


@dataclass(frozen=True, slots=True)
class _Paragraph:
    """A paragraph of an article of the file, with its first character's place in the whole."""

    place: str
    record: Record
    context: str
    start: int


def squad_questions(root: Record, file: str, index: Index) -> list[Resolved]:
    """Read SQuAD JSON. The paragraphs of an article are one article, as `squad_articles` says."""
    pairs = []
    for _, whole, paragraphs in _squad_articles(root, file):
        articles = index.text(whole)
        for paragraph in paragraphs:
            items = records_of(paragraph.record, "qas", paragraph.place)
            for number, record in enumerate(items, 1):
                place = f"{paragraph.place}, question {number}"
                pairs.append(_squad_question(record, place, whole, paragraph, articles))
    return pairs


def squad_articles(root: Record, file: str) -> Iterator[Article]:
    """Yield each article of the file: its paragraphs, with an empty line between them."""
    for title, whole, _ in _squad_articles(root, file):
        yield passage_article(title, whole)


def _squad_articles(root: Record, file: str) -> Iterator[tuple[str, str, list[_Paragraph]]]:
    """Yield title, whole text and paragraphs."""
    for number, article in enumerate(list_of(root, "data", file), 1):
        place = f"{file}: article {number}"
        record = as_record(article, place)
        title = text_of(record, "title", place) if record.get("title") else ""
        paragraphs: list[_Paragraph] = []
        start = 0
        for part, item in enumerate(records_of(record, "paragraphs", place), 1):
            context = text_of(item, "context", f"{place}, paragraph {part}")
            paragraphs.append(_Paragraph(f"{place}, paragraph {part}", item, context, start))
            start += len(context) + len(_BETWEEN_PARAGRAPHS)
        if paragraphs:
            yield title, _BETWEEN_PARAGRAPHS.join(p.context for p in paragraphs), paragraphs


def _squad_question(
    record: Record, place: str, whole: str, paragraph: _Paragraph, articles: Sequence[Article]
) -> Resolved:
    given = records_of(record, "answers", place)
    answers = tuple(dict.fromkeys(text_of(item, "text", place) for item in given))
    spans: dict[GoldSpan, None] = {}
    for item in given:
        start, text = item.get("answer_start"), text_of(item, "text", place)
        if not isinstance(start, int) or paragraph.context[start : start + len(text)] != text:
            raise SourceError(place, '"answer_start" does not point at the answer in the context')
        for article in articles:
            # The stored text may lack the white space around the whole.
            first = paragraph.start + start + _indent(article.text) - _indent(whole)
            spans[article.id, first, first + len(text)] = None
    answerable = bool(answers) and not record.get("is_impossible")
    question = Question(
        id=text_of(record, "id", place),
        question=text_of(record, "question", place),
        answers=answers if answerable else (),
        gold_articles=tuple(article.id for article in articles) if answerable else (),
        gold_spans=tuple(spans) if answerable else (),
        as_of=None,
        history=(),
        kind="span",
        answerable=answerable,
    )
    return question, bool(articles) or not answerable


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())
