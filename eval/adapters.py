"""Sets that bring their passages along and want whole sentences: CLAPnq and MT-RAG.

CLAPnq: Rosenthal et al. (2024). MT-RAG: Katsis et al. (2025), and its second part MTRAG-UN.
"""

from __future__ import annotations

from collections.abc import Iterator

from eval.formats import Resolved
from eval.gold import Index, Question, Reference, find_quote, merge, passage_article
from eval.records import Record, list_of, records_of, text_of
from rag import Article, SourceError

_CLASSES = ("ANSWERABLE", "PARTIAL", "UNDERSPECIFIED", "UNANSWERABLE")


def clapnq_question(record: Record, place: str, index: Index) -> Resolved:
    """Read a line of CLAPnq: its gold spans are the sentences that the annotators selected.

    A question without an answer is unanswerable, from the passage that stands with it.
    """
    outputs = records_of(record, "output", place)
    answers = tuple(dict.fromkeys(a for output in outputs if (a := _text(output, "answer", place))))
    selected = dict.fromkeys(
        text_of({"selected_sentences": sentence}, "selected_sentences", place)
        for output in outputs
        for sentence in list_of(output, "selected_sentences", place)
    )
    texts = [text_of(item, "text", place) for item in records_of(record, "passages", place)]
    held = [tuple(index.text(text)) for text in texts]
    articles = [article for part in held for article in part]
    spans = [find_quote(articles, sentence) for sentence in selected]
    complete = all(held) and all(spans)
    reference = merge(Reference((), part, complete=bool(part)) for part in spans)
    question = Question(
        id=text_of(record, "id", place),
        question=text_of(record, "input", place),
        answers=answers,
        gold_articles=tuple(dict.fromkeys(a.id for a in articles)) if answers else (),
        gold_spans=reference.spans if answers else (),
        as_of=None,
        history=(),
        kind="long" if answers else "unanswerable",
        answerable=bool(answers),
        phrases=False,
    )
    return question, complete or not answers


def clapnq_articles(record: Record, place: str) -> Iterator[Article]:
    """Yield the passages of a line, those of an unanswerable question too."""
    for passage in records_of(record, "passages", place):
        yield passage_article(_text(passage, "title", place), text_of(passage, "text", place))


def mtrag_question(record: Record, place: str, index: Index) -> Resolved:
    """Read a line of MT-RAG: the last turn of a conversation, with the turns before as history.

    Its contexts are what is relevant; it has no gold spans. What an unanswerable or underspecified
    question is told is no answer. An underspecified one is answerable where it has contexts.
    """
    turns = [_turn(item, place) for item in records_of(record, "input", place)]
    if not turns or turns[-1][0] != "user":
        raise SourceError(place, '"input" must end with what the user asks')
    kind = _class(record, place)
    contexts = records_of(record, "contexts", place)
    held = [tuple(index.text(text_of(item, "text", place))) for item in contexts]
    reference = merge(Reference(part, (), complete=bool(part)) for part in held)
    told = tuple(text_of(item, "text", place) for item in records_of(record, "targets", place))
    question = Question(
        id=text_of(record, "task_id", place),
        question=turns[-1][1],
        answers=told if kind in {"ANSWERABLE", "PARTIAL"} else (),
        gold_articles=reference.ids,
        gold_spans=(),
        as_of=None,
        history=_pairs(turns[:-1], place),
        kind=kind.lower(),
        answerable=kind != "UNANSWERABLE" and bool(contexts),
        phrases=False,
    )
    return question, reference.complete


def mtrag_articles(record: Record, place: str) -> Iterator[Article]:
    """Yield the contexts of a line."""
    for context in records_of(record, "contexts", place):
        yield passage_article(_text(context, "title", place), text_of(context, "text", place))


def _class(record: Record, place: str) -> str:
    match record.get("answerability"):
        case [str(kind)] if kind in _CLASSES:
            return kind
    raise SourceError(place, f'"answerability" must be a list of one of {", ".join(_CLASSES)}')


def _turn(item: Record, place: str) -> tuple[str, str]:
    return text_of(item, "speaker", place), text_of(item, "text", place)


def _pairs(turns: list[tuple[str, str]], place: str) -> tuple[tuple[str, str], ...]:
    """Return the earlier turns as pairs of what the user asked and what was answered."""
    speakers = [speaker for speaker, _ in turns]
    if speakers != ["user", "agent"] * (len(turns) // 2):
        raise SourceError(place, '"input" must alternate between "user" and "agent"')
    texts = [text for _, text in turns]
    return tuple(zip(texts[::2], texts[1::2], strict=True))


def _text(record: Record, name: str, place: str) -> str:
    """Return a text that may be missing, null or empty."""
    return text_of(record, name, place) if str(record.get(name) or "").strip() else ""
