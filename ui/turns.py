"""The conversation as safe HTML: pure functions, no Gradio.

Every text passes through `text`; a value that comes back from the browser through `exact`. Buttons
carry `data-event`, which talk.js sends to the server with the other `data-` attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from rag import (
    Answer,
    ArchiveStatus,
    Asked,
    Citation,
    ConversationSummary,
    Exchange,
    Feedback,
    Sentence,
    Short,
    Trace,
)
from ui.answering import Progress
from ui.render import day, error_html, exact, number, text
from ui.sources import (
    is_quote,
    looked_html,
    marker_html,
    no_sources_html,
    sentence_html,
    sources_html,
)

MAX_NOTE = 2000
"""Characters of a note on an answer."""

_KINDS = (("text", "Text"), ("markdown", "Markdown"), ("html", "HTML"))


def turns_html(exchanges: Iterable[Exchange]) -> str:
    """The exchanges before the latest, oldest first."""
    return "".join(turn_html(Progress(one, ended=True)) for one in exchanges)


def turn_html(progress: Progress, *, latest: bool = False) -> str:
    """One question with its answer, or with as much of it as there is.

    All stages share one frame, so that what comes next never moves what is there. Only the latest
    can be asked again: it has no later ones that would go with it.
    """
    exchange = progress.exchange
    return (
        f'<section class="nr-turn{"" if progress.ended else " nr-running"}" '
        f'data-exchange="{exact(exchange.id)}" aria-label="Question and answer" '
        f'aria-busy="{"false" if progress.ended else "true"}">'
        f'<h2 class="nr-question" dir="auto">{text(exchange.question)}</h2>'
        f"{_understood(exchange)}{asked_html(exchange.asked)}"
        f'<div class="nr-body">{_body(progress)}</div>'
        f"{_actions(exchange, latest) if progress.ended else ''}</section>"
    )


def sources_of(progress: Progress) -> str:
    """The right pane for this answer: its sources, or what there is of them so far."""
    exchange = progress.exchange
    today = exchange.asked.as_of
    if exchange.answer:
        return sources_html(exchange.answer, number(exchange.answer.citations), today)
    passages = progress.evidence.passages if progress.evidence else ()
    if exchange.sentences:
        so_far = Answer(exchange.question, "answered", exchange.sentences, passages, Trace())
        return sources_html(so_far, number(so_far.citations), today)
    if progress.evidence:
        return sources_html(progress.evidence, number(citations_of(progress)), today)
    return no_sources_html()


def citations_of(progress: Progress) -> tuple[Citation, ...]:
    """What is cited by what is shown, in the order of its numbers."""
    if progress.exchange.answer:
        return progress.exchange.answer.citations
    quotes = progress.evidence.quotes if progress.evidence else ()
    shown = progress.exchange.sentences or quotes
    return tuple(dict.fromkeys(c for sentence in shown for c in sentence.citations))


def asked_html(asked: Asked) -> str:
    """The filters that a question was asked with; nothing where there were none."""
    days = (("As of", asked.as_of), ("Since", asked.since), ("Until", asked.until))
    parts = [f"{name} {day(value)}" for name, value in days if value]
    parts += [f"Only {source}" for source in asked.sources]
    items = "".join(f'<li dir="auto">{text(part)}</li>' for part in parts)
    listed = f'<ul class="nr-asked" role="list" aria-label="Asked with these filters">{items}</ul>'
    return listed if parts else ""


def welcome_html(status: ArchiveStatus, examples: Iterable[str]) -> str:
    """The page before the first question: what the archive holds, and questions to start with."""
    if not status.articles:
        return (
            '<div class="nr-welcome"><h2>The archive is empty</h2>'
            '<p>Add articles on the page <a href="/archive">Archive</a>, '
            "or put them in with <code>newsrag ingest FOLDER</code>.</p>"
            f'<p class="nr-hint">Archive: {text(status.path)}</p></div>'
        )
    buttons = "".join(
        '<li><button type="button" class="nr-example" dir="auto" data-event="example" '
        f'data-question="{exact(question)}">{text(question)}</button></li>'
        for question in examples
    )
    return (
        '<div class="nr-welcome"><h2>Ask the archive</h2>'
        f"<p>{_holdings(status)} Every sentence of an answer carries a number: "
        "open it to read the passage in its article.</p>"
        + (f'<ul class="nr-examples" role="list">{buttons}</ul>' if buttons else "")
        + "</div>"
    )


def list_html(kept: Sequence[ConversationSummary], present: str, search: str, now: datetime) -> str:
    """The saved conversations, latest first; `present` is the one on the page."""
    if not kept:
        none = "No conversation has these words." if search.strip() else "Nothing saved yet."
        return f'<p class="nr-hint">{none}</p>'
    items = "".join(_kept(one, one.id == present, now) for one in kept)
    return f'<ul class="nr-kept" role="list" aria-label="Saved conversations">{items}</ul>'


def editing_html(reword: bool) -> str:
    """What stands over the box while the question of an answer is changed."""
    what = "the question as understood" if reword else "the question"
    return (
        f'<div class="nr-editing" role="status"><p>Change {what} and ask again. '
        "This answer and all after it will be replaced.</p>"
        '<button type="button" data-event="cancel">Cancel</button></div>'
    )


def bar_html(title: str) -> str:
    """What stands over a conversation: its title, and how to take it along."""
    kinds = "".join(
        f'<button type="button" data-event="export" data-kind="{kind}">{name}</button>'
        for kind, name in _KINDS
    )
    return (
        f'<div class="nr-heading"><h2 dir="auto">{text(title)}</h2>'
        f'<details class="nr-menu"><summary>Export</summary><div>{kinds}</div></details></div>'
    )


def dialogs_html() -> str:
    """The two dialogs of the saved conversations; talk.js fills them in and opens them."""
    return (
        '<dialog id="nr-rename" aria-labelledby="nr-rename-title"><form method="dialog">'
        '<h2 id="nr-rename-title">Rename the conversation</h2>'
        '<label>Title<input name="title" maxlength="200" autocomplete="off" required></label>'
        '<p><button class="nr-primary" value="rename">Rename</button>'  # Enter takes the first
        '<button value="">Cancel</button></p></form></dialog>'
        '<dialog id="nr-erase" aria-labelledby="nr-erase-title"><form method="dialog">'
        '<h2 id="nr-erase-title">Delete this conversation?</h2>'
        '<p class="nr-erased" dir="auto"></p><p>It cannot be brought back.</p>'
        '<p><button value="">Keep it</button>'
        '<button class="nr-danger" value="erase">Delete</button></p></form></dialog>'
    )


def user_html(user: str) -> str:
    """Who is logged in, and the way out; nothing where nobody needs to be."""
    if not user:
        return ""
    return f'<p class="nr-user"><bdi>{text(user)}</bdi> <a href="/logout">Log out</a></p>'


def close_html() -> str:
    """The way from the sources back to the conversation, where they cover it."""
    return '<button type="button" class="nr-close">Back to the conversation</button>'


def _body(progress: Progress) -> str:
    """A line on top, the words over the quotes that they stand for, and how it ended."""
    exchange = progress.exchange
    answer = exchange.answer
    if answer and answer.status == "abstained":
        return (
            '<div class="nr-top"><p class="nr-abstained">The archive does not say.</p></div>'
            f"{looked_html(answer)}{_closest(answer)}{_foot(answer, bool(answer.probability))}"
        )
    sentences = answer.sentences if answer else exchange.sentences
    quotes = progress.evidence.quotes if progress.evidence and not progress.ended else ()
    numbers = number(citations_of(progress))
    return (
        f'<div class="nr-top">{_top(progress, numbers)}</div>'
        f'<div class="nr-stage">{_quotes(quotes, bool(sentences))}'
        f"{_words(sentences, numbers)}</div>"
        f"{_foot(answer, bool(answer.short)) if answer else ''}{_ending(exchange)}"
    )


def _top(progress: Progress, numbers: Mapping[Citation, int]) -> str:
    """What is going on; in the end the phrase that was asked for, or else how probable it is."""
    answer = progress.exchange.answer
    if answer:
        if answer.short:
            return _short(answer.short, numbers)
        return _probability(answer.probability) or _status("Answered.", busy=False)
    if progress.ended:
        cut_short = "Answered up to here." if progress.exchange.sentences else "No answer."
        return _status(cut_short, busy=False)
    return _status(_stage(progress))


def _stage(progress: Progress) -> str:
    """What is going on, in a few words."""
    checked = len(progress.exchange.sentences)
    if checked:
        return f"Wording the rest… {checked} sentence{'' if checked == 1 else 's'} checked"
    if progress.place:
        count = f"{progress.place} question{'' if progress.place == 1 else 's'}"
        return f"{count} before yours at the language model"
    if progress.evidence and progress.evidence.quotes:
        return "Evidence found – wording it…"
    return "Reading what was found…" if progress.evidence else "Searching the archive…"


def _quotes(quotes: Sequence[Sentence], covered: bool) -> str:
    """The evidence, before any wording. What is worded by and by covers it: then it is still."""
    if not quotes:
        return ""
    numbers = number(c for quote in quotes for c in quote.citations)
    told = "".join(_quote(quote, numbers) for quote in quotes)
    state = ' nr-covered" inert aria-hidden="true' if covered else ""
    return f'<div class="nr-quotes{state}">{told}</div>'


def _words(sentences: Sequence[Sentence], numbers: Mapping[Citation, int]) -> str:
    """The sentences: running text, but a block for each that quotes its source word for word."""
    blocks = []
    for quoted, group in groupby(sentences, is_quote):
        if quoted:
            blocks += [_quote(sentence, numbers) for sentence in group]
        else:
            told = " ".join(sentence_html(sentence, numbers) for sentence in group)
            blocks.append(f'<p dir="auto">{told}</p>')
    return f'<div class="nr-answer">{"".join(blocks)}</div>' if blocks else ""


def _quote(sentence: Sentence, numbers: Mapping[Citation, int]) -> str:
    return f'<blockquote dir="auto">{sentence_html(sentence, numbers)}</blockquote>'


def _short(short: Short, numbers: Mapping[Citation, int]) -> str:
    mark = marker_html(short.citation, numbers[short.citation])
    return f'<p class="nr-short" dir="auto"><span>{text(short.text)}</span>{mark}</p>'


def _foot(answer: Answer, probable: bool) -> str:
    """What is missing, which days are meant, what went wrong, and how probable the answer is."""
    missing = f"Not in the archive: {text(answer.missing)}"
    differ = (dispute.text for dispute in answer.disputes)
    told = (*differ, *answer.remarks, *answer.trace.notes)
    notes = "".join(f'<p class="nr-hint nr-note">{text(note)}</p>' for note in told)
    return (
        (f'<p class="nr-missing" role="note" dir="auto">{missing}</p>' if answer.missing else "")
        + notes
        + (_probability(answer.probability) if probable else "")
    )


def _closest(answer: Answer) -> str:
    """The way to the closest passages, which stand in the other pane."""
    if not answer.closest:
        return ""
    count = sum(len(group) for group in answer.closest)
    label = f"{count} passage{' comes' if count == 1 else 's come'} closest"
    return f'<button type="button" class="nr-to-sources" data-event="show_sources">{label}</button>'


def _ending(exchange: Exchange) -> str:
    """How the answer ended, when it did not end well."""
    if exchange.error:
        return error_html(exchange.error)
    return _status("Stopped.", busy=False) if exchange.stopped else ""


def _status(words: str, *, busy: bool = True) -> str:
    return f'<p class="nr-status{" nr-busy" if busy else ""}" role="status">{words}</p>'


def _understood(exchange: Exchange) -> str:
    """The question that was searched for, where it is not the one that was asked."""
    if not exchange.query or exchange.query.split() == exchange.question.split():
        return ""
    return (
        f'<p class="nr-understood">Understood as: <q dir="auto">{text(exchange.query)}</q> '
        '<button type="button" data-event="reword" aria-label="Edit the question as understood">'
        "Edit</button></p>"
    )


def _probability(probability: float | None) -> str:
    if probability is None:
        return ""
    chance = f"Probability that the archive answers this: {100 * probability:.0f} %"
    return f'<p class="nr-probability">{chance}</p>'


def _actions(exchange: Exchange, latest: bool) -> str:
    """What can be done with an answer that has ended."""
    answer = exchange.answer
    cited = len(answer.citations) if answer else 0
    sources = f"{cited} source{'' if cited == 1 else 's'}"
    copies = "".join(
        f'<button type="button" data-event="copy_answer" data-kind="{kind}">{name}</button>'
        for kind, name in _KINDS
    )
    parts = [
        f'<button type="button" class="nr-to-sources" data-event="show_sources">{sources}</button>'
        if cited
        else "",
        f'<details class="nr-menu"><summary>Copy</summary><div>{copies}</div></details>'
        if answer
        else "",
        '<button type="button" data-event="alter" aria-label="Edit the question">Edit</button>',
        '<button type="button" data-event="retry" aria-label="Ask this again">Retry</button>'
        if latest
        else "",
        _feedback(exchange.feedback) if answer else "",
    ]
    return f'<div class="nr-actions">{"".join(parts)}</div>'


def _feedback(feedback: Feedback) -> str:
    """Two thumbs and a note."""
    thumbs = "".join(
        f'<button type="button" class="nr-thumb" data-thumb="{thumb}" aria-label="{label}" '
        f'title="{label}" aria-pressed="{str(feedback.thumb == thumb).lower()}">{sign}</button>'
        for thumb, label, sign in (("up", "Good answer", _UP), ("down", "Bad answer", _DOWN))
    )
    return (
        f'<span class="nr-rating" role="group" aria-label="Your opinion">{thumbs}</span>'
        f'<details class="nr-menu nr-noting"><summary>{"Note ✓" if feedback.note else "Note"}'
        '</summary><div><label>Note on this answer<textarea rows="3" '
        f'maxlength="{MAX_NOTE}">{text(feedback.note)}</textarea></label>'
        '<button type="button" class="nr-save-note">Save note</button></div></details>'
    )


def _kept(one: ConversationSummary, present: bool, now: datetime) -> str:
    """One saved conversation: open, rename, delete."""
    title = text(one.title)
    here = ' aria-current="page"' if present else ""
    data = f'data-conversation="{exact(one.id)}" data-title="{exact(one.title)}"'
    return (
        f'<li class="nr-one"><button type="button" class="nr-open-kept" dir="auto" {data} '
        f'data-event="select"{here}>{title}<small>{_when(one.changed, now)}</small></button>'
        f'<button type="button" class="nr-tool" data-dialog="rename" {data} '
        f'aria-label="Rename {title}" title="Rename">{_PENCIL}</button>'
        f'<button type="button" class="nr-tool" data-dialog="erase" {data} '
        f'aria-label="Delete {title}" title="Delete">{_BIN}</button></li>'
    )


def _when(moment: datetime, now: datetime) -> str:
    """A moment as briefly as it is still clear; times are the server's."""
    local, today = moment.astimezone(), now.astimezone().date()
    return f"{local:%H:%M}" if local.date() == today else day(local.date())


def _holdings(status: ArchiveStatus) -> str:
    """How many articles, of how many sources, from when to when."""
    words = f"{status.articles:,} article{'' if status.articles == 1 else 's'}"
    if len(status.sources) > 1:
        words += f" from {len(status.sources):,} sources"
    if status.first and status.last:
        words += f", {day(status.first)} to {day(status.last)}"
    return words + "."


def _icon(path: str) -> str:
    return (
        '<svg viewBox="0 0 24 24" width="16" height="16" fill="none" stroke="currentColor" '
        'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">'
        f'<path d="{path}"/></svg>'
    )


_UP = _icon("M7 11v9H4v-9zM7 11l4-8a2 2 0 0 1 2 2v4h5.5a2 2 0 0 1 2 2.3l-1.2 6.9a2 2 0 0 1-2 1.8H7")
_DOWN = _icon(
    "M17 13V4h3v9zM17 13l-4 8a2 2 0 0 1-2-2v-4H5.5a2 2 0 0 1-2-2.3l1.2-6.9a2 2 0 0 1 2-1.8H17"
)
_PENCIL = _icon("M4 20h4L19 9l-4-4L4 16zM13 7l4 4")
_BIN = _icon("M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v6M14 11v6")
