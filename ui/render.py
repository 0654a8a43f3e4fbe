"""From rag's types to safe HTML: pure functions, no Gradio.

Every text that comes from an article, a question or a model passes through `_text`, and there is
no other way into the page: what looks like markup, Markdown or a script is shown as it was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from itertools import groupby
from urllib.parse import urlsplit

from rag import (
    Answer,
    ArchiveStatus,
    Article,
    Citation,
    Evidence,
    RankedPassage,
    Sentence,
    Short,
)

Numbers = dict[Citation, int]


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and what is known of its answer so far."""

    question: str
    evidence: Evidence | None = None
    sentences: tuple[Sentence, ...] = ()
    answer: Answer | None = None
    error: str = ""
    stopped: bool = False

    @property
    def text(self) -> str:
        """The answer in plain text, as far as it was shown."""
        return " ".join(sentence.text for sentence in self.shown)

    @property
    def shown(self) -> tuple[Sentence, ...]:
        """The sentences on the page: the answer's, or the checked ones, or the quotes."""
        if self.answer:
            return self.answer.sentences
        return self.sentences or (self.evidence.quotes if self.evidence else ())


def conversation_html(turns: Iterable[Turn]) -> str:
    """The whole conversation, oldest question first."""
    return f'<div class="nr-talk" role="log">{"".join(map(turn_html, turns))}</div>'


def turn_html(turn: Turn) -> str:
    """One question with its answer, or with as much of it as there is."""
    return (
        '<section class="nr-turn">'
        f'<h2 class="nr-question" dir="auto">{_text(turn.question)}</h2>'
        f"{_understood(turn)}{_body(turn)}{_ending(turn)}"
        "</section>"
    )


def evidence_html(evidence: Evidence) -> str:
    """The quotes, before any wording; nothing when the evidence is too weak to answer with."""
    numbers = number(c for quote in evidence.quotes for c in quote.citations)
    quotes = "".join(
        f'<li><blockquote dir="auto">{_sentence(quote, numbers)}</blockquote></li>'
        for quote in evidence.quotes
    )
    return f'<ul class="nr-quotes">{quotes}</ul>' if quotes else ""


def answer_html(answer: Answer) -> str:
    """The phrase, the sentences, what is missing and the numbered cards; or the abstention.

    The probability stands where the stages before had their status line, so that nothing jumps.
    """
    notes = "".join(f'<p class="nr-hint nr-note">{_text(note)}</p>' for note in answer.trace.notes)
    if answer.status == "abstained":
        return _probability(answer.probability) + _abstention(answer) + notes
    numbers = number(answer.citations)
    return (
        f"{_probability(answer.probability)}{_short(answer.short, numbers)}"
        f"{_words(answer.sentences, numbers)}{_missing(answer.missing)}{_cards(numbers)}{notes}"
    )


def sentences_html(sentences: Sequence[Sentence]) -> str:
    """Sentences with numbered citations, and a card for every citation."""
    numbers = number(c for sentence in sentences for c in sentence.citations)
    return _words(sentences, numbers) + _cards(numbers)


def article_html(article: Article, start: int, end: int, opened: int = 0) -> str:
    """The article with `start`..`end` highlighted.

    `opened` tells one opening from the next, so that the browser scrolls there again.
    """
    before, quote, after = article.text[:start], article.text[start:end], article.text[end:]
    mark = f'<mark id="nr-mark" tabindex="-1" data-opened="{opened}">{_text(quote)}</mark>'
    return (
        '<article class="nr-article" aria-label="Article">'
        '<button type="button" class="nr-back" data-event="back">Back to the answer</button>'
        f'<h2 dir="auto">{_text(article.title)}</h2>'
        f'<p class="nr-byline">{_byline(article)}</p>{_link(article.url)}'
        f'<div class="nr-text" dir="auto">{_text(before)}{mark}{_text(after)}</div>'
        "</article>"
    )


def no_article_html() -> str:
    """The article pane before anything was opened."""
    return '<p class="nr-hint nr-no-article">A passage you open is shown here, in its article.</p>'


def welcome_html(status: ArchiveStatus, examples: Iterable[str]) -> str:
    """The page before the first question: what the archive holds, and questions to start with."""
    if not status.articles:
        return (
            '<div class="nr-welcome"><h2>The archive is empty</h2>'
            "<p>Put articles into it with <code>newsrag ingest FOLDER</code>, "
            "then reload this page.</p>"
            f'<p class="nr-hint">Archive: {_text(status.path)}</p></div>'
        )
    buttons = "".join(
        f'<li><button type="button" class="nr-example" dir="auto" data-event="ask" '
        f'data-question="{_text(question)}">{_text(question)}</button></li>'
        for question in examples
    )
    return (
        '<div class="nr-welcome"><h2>Ask the archive</h2>'
        f"<p>{_holdings(status)} Every sentence of an answer carries a number: "
        "open it to read the passage in its article.</p>"
        + (f'<ul class="nr-examples" role="list">{buttons}</ul>' if buttons else "")
        + "</div>"
    )


def error_html(message: str) -> str:
    """One sentence about what went wrong; the errors' own texts begin small and have no stop."""
    message = f"{message[:1].upper()}{message[1:].removesuffix('.')}."
    return f'<p class="nr-error" role="alert">{_text(message)}</p>'


def number(citations: Iterable[Citation]) -> Numbers:
    """Citations in the order of their first use, from 1."""
    return {citation: n for n, citation in enumerate(dict.fromkeys(citations), 1)}


def safe_url(url: str | None) -> str | None:
    """The URL if it may be linked: http or https, a host, no blank or control character."""
    if not url or any(char <= " " or char == "\x7f" for char in url):
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    return url if parts.scheme in {"http", "https"} and host else None


def _text(text: str) -> str:
    """Text as it stands: escaped, and with the two characters that an HTML parser would change."""
    return escape(text, quote=True).replace("\r", "&#13;").replace("\0", "\ufffd")


def _body(turn: Turn) -> str:
    """The answer at its present stage: the quotes, then the checked sentences, then all of it."""
    if turn.answer:
        return answer_html(turn.answer)
    over = turn.stopped or bool(turn.error)
    if turn.sentences:
        return ("" if over else _status("Wording the rest…")) + sentences_html(turn.sentences)
    if turn.evidence and turn.evidence.quotes:
        label = "Evidence found" if over else "Evidence found – wording it…"
        return _status(label, busy=not over) + evidence_html(turn.evidence)
    return "" if over else _status("Searching the archive…")


def _ending(turn: Turn) -> str:
    """How the answer ended, when it did not end well."""
    if turn.error:
        return error_html(turn.error)
    return _status("Stopped.", busy=False) if turn.stopped else ""


def _status(words: str, *, busy: bool = True) -> str:
    return f'<p class="nr-status{" nr-busy" if busy else ""}">{words}</p>'


def _understood(turn: Turn) -> str:
    """The question that was searched for, where it is not the one that was asked.

    An abstention that tells what it looked for has said so already.
    """
    if turn.answer and turn.answer.status == "abstained" and turn.answer.looked:
        return ""
    query = turn.answer.trace.query if turn.answer else turn.evidence.query if turn.evidence else ""
    if not query or query.split() == turn.question.split():
        return ""
    return f'<p class="nr-hint" dir="auto">Understood as: {_text(query)}</p>'


def _probability(probability: float | None) -> str:
    if probability is None:
        return ""
    chance = f"Probability that the archive answers this: {100 * probability:.0f} %"
    return f'<p class="nr-probability">{chance}</p>'


def _short(short: Short | None, numbers: Numbers) -> str:
    if not short:
        return ""
    mark = _number_button(short.citation, numbers[short.citation])
    return f'<p class="nr-short" dir="auto"><span>{_text(short.text)}</span>{mark}</p>'


def _words(sentences: Sequence[Sentence], numbers: Numbers) -> str:
    """The sentences: running text, but a block for each that quotes its source word for word."""
    blocks = []
    for quoted, group in groupby(sentences, _is_quote):
        told = [_sentence(sentence, numbers) for sentence in group]
        if quoted:
            blocks += [f'<blockquote dir="auto">{quote}</blockquote>' for quote in told]
        else:
            blocks.append(f'<p dir="auto">{" ".join(told)}</p>')
    return f'<div class="nr-answer">{"".join(blocks)}</div>'


def _is_quote(sentence: Sentence) -> bool:
    """Whether a sentence is its source: one that replaced a draft, or was never worded."""
    return [sentence.text.split()] == [c.quote.split() for c in sentence.citations]


def _sentence(sentence: Sentence, numbers: Numbers) -> str:
    """A sentence with its numbers; the support is a tooltip, and each number's description."""
    support = f"Support {sentence.support:.2f}"
    marks = "".join(_number_button(c, numbers[c], support) for c in sentence.citations)
    return f'<span title="{support}">{_text(sentence.text)}</span>{marks}'


def _number_button(citation: Citation, n: int, title: str = "") -> str:
    label = f"Citation {n}: {citation.article.title}"
    about = f'title="{title}" ' if title else ""
    return (
        f'<button type="button" class="nr-cite" aria-label="{_text(label)}" {about}'
        f"{_place(citation)}>{n}</button>"
    )


def _missing(missing: str) -> str:
    note = f"Not in the archive: {_text(missing)}"
    return f'<p class="nr-missing" role="note" dir="auto">{note}</p>' if missing else ""


def _cards(numbers: Numbers) -> str:
    cards = "".join(
        _card(c, head=f'<span class="nr-number">{n}</span>') for c, n in numbers.items()
    )
    sources = f'<ol class="nr-cards" role="list" aria-label="Cited passages">{cards}</ol>'
    return sources if cards else ""


def _place(span: Citation | RankedPassage) -> str:
    """The attributes that make a button open the article at this span."""
    return (
        f'data-event="open" data-article="{_text(span.article.id)}" '
        f'data-revision="{span.article.revision}" data-start="{span.start}" data-end="{span.end}"'
    )


def _card(first: Citation | RankedPassage, *others: RankedPassage, head: str = "") -> str:
    """Passages of one article; the title opens the first, and a button each of the others."""
    more = "".join(
        f'{_passage(p)}<button type="button" class="nr-open" {_place(p)}>Open this passage</button>'
        for p in others
    )
    return (
        f'<li class="nr-card">{head}<div>'
        f'<button type="button" class="nr-title" dir="auto" {_place(first)}>'
        f"{_text(first.article.title)}</button>"
        f'<p class="nr-byline">{_byline(first.article)}</p>{_passage(first)}{more}</div></li>'
    )


def _passage(passage: Citation | RankedPassage) -> str:
    text = passage.article.text[passage.start : passage.end]
    return f'<blockquote dir="auto">{_text(text)}</blockquote>'


def _abstention(answer: Answer) -> str:
    """What was looked for and where, then the closest passages by article, without numbers."""
    lines = answer.looked.lines if answer.looked else ()
    looked = "".join(f'<li dir="auto">{_text(line)}</li>' for line in lines)
    cards = "".join(_card(*passages) for passages in answer.closest)
    listed = (
        '<p class="nr-label">Closest passages. They do not answer the question.</p>'
        f'<ul class="nr-cards nr-closest" role="list" aria-label="Closest passages">{cards}</ul>'
    )
    return (
        '<p class="nr-abstained">The archive does not say.</p>'
        + (f'<ul class="nr-looked" role="list">{looked}</ul>' if looked else "")
        + (listed if cards else "")
    )


def _byline(article: Article) -> str:
    """Source and date, leaving out what is unknown."""
    source = f'<span dir="auto">{_text(article.source)}</span>' if article.source else ""
    day = article.published
    when = f'<time datetime="{day.isoformat()}">{_day(day)}</time>' if day else ""
    return " · ".join(part for part in (source, when) if part)


def _link(url: str | None) -> str:
    """The article's address: a link where that is safe, else plain text."""
    if not url:
        return ""
    if not (safe := safe_url(url)):
        return f'<p class="nr-url">{_text(url)}</p>'
    return (
        f'<p class="nr-url"><a href="{_text(safe)}" title="{_text(safe)}" target="_blank" '
        f'rel="noopener noreferrer nofollow">{_text(urlsplit(safe).hostname or safe)}</a></p>'
    )


def _holdings(status: ArchiveStatus) -> str:
    """How many articles, of how many sources, from when to when."""
    words = f"{status.articles:,} article{'' if status.articles == 1 else 's'}"
    if len(status.sources) > 1:
        words += f" from {len(status.sources):,} sources"
    if status.first and status.last:
        words += f", {_day(status.first)} to {_day(status.last)}"
    return words + "."


def _day(day: date) -> str:
    """A date as a newspaper prints it."""
    return f"{day.day} {day:%B %Y}"
