"""What is done with answers that are there: open the sources, edit, rate, copy, export, rename."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, cast

import gradio as gr

from rag import Archive, Asked, Citation, Feedback, NewsragError
from ui import turns
from ui.answering import Answering, Progress
from ui.chat_layout import Parts, View
from ui.export import Kind, answer_as, conversation_as
from ui.render import error_html
from ui.sources import article_html

Updates = dict[Any, Any]
"""New values by component, as Gradio takes them."""

_ENDINGS = {"text": "txt", "markdown": "md", "html": "html"}
_GONE = "This answer is not there any more; reload the page."
_TAKE = "(given) => window.newsrag.take(given)"


@dataclass(frozen=True, slots=True)
class Keeping:
    """Handlers around the components of the chat page. Errors are shown as one sentence."""

    parts: Parts
    view: gr.State
    archive: Archive
    answering: Answering

    def wire(self, quiet: dict[str, Any]) -> None:
        """Connect the events; `quiet` are options of each."""
        parts = self.parts
        here = [parts.conversation, self.view]
        sidebar, composer = parts.sidebar, parts.composer
        panes = [parts.sources, parts.article]
        edited = [composer.question, composer.editing, parts.notice, *composer.filters.all]
        handed = [parts.handover, parts.notice]
        for talk in (parts.talk, parts.latest):
            talk.alter(self.edit, here, edited, **quiet)
            talk.reword(self.edit, here, edited, **quiet)
            talk.show_sources(self.show_sources, here, panes, **quiet)
            talk.rate(self.rate, [parts.conversation], [parts.notice], **quiet)
            copied = talk.copy_answer(self.copy, here, handed, **quiet)
            copied.then(None, [parts.handover], None, js=_TAKE, **quiet)
        for pane in (parts.talk, parts.latest, *panes):
            pane.open(self.open, here, panes, **quiet)
        parts.article.back(lambda: "", None, [parts.article], **quiet)
        composer.editing.cancel(
            self.cancel, [self.view], [composer.question, composer.editing], **quiet
        )
        exported = parts.bar.export(self.export, [parts.conversation], handed, **quiet)
        exported.then(None, [parts.handover], None, js=_TAKE, **quiet)
        searched = [sidebar.search, parts.conversation]
        sidebar.search.change(  # Gradio's `input` misses what is pasted
            self.search, searched, [sidebar.kept], trigger_mode="always_last", **quiet
        )
        renamed = [sidebar.kept, parts.bar, parts.notice]
        sidebar.dialogs.rename(self.rename, searched, renamed, **quiet)

    # -- reading ------------------------------------------------------------------------------

    def open(
        self, conversation: str, view: View, event: gr.EventData, request: gr.Request
    ) -> Updates:
        """The article of a citation or a passage, with what the answer cites of it marked."""
        data, parts = data_of(event), self.parts
        updates: Updates = {}
        try:
            if data.get("exchange") or view.focus is None:
                view.focus = found(self.archive, user_of(request), conversation, view, data)
                updates[parts.sources] = turns.sources_of(view.focus)
        except NewsragError:
            pass  # the article can still be read, without the answer's other citations
        cited = turns.citations_of(view.focus) if view.focus else ()
        today = view.focus.exchange.asked.as_of if view.focus else None
        try:
            place = _place(self.archive, data)
            shown = article_html(place.article, cited, place, time.monotonic_ns(), today)
        except NewsragError as error:
            shown = error_html(str(error))
        return {**updates, parts.article: shown}

    def show_sources(
        self, conversation: str, view: View, event: gr.EventData, request: gr.Request
    ) -> Updates:
        """The sources of another answer."""
        try:
            view.focus = found(self.archive, user_of(request), conversation, view, data_of(event))
            shown = turns.sources_of(view.focus)
        except NewsragError as error:
            shown = error_html(str(error))
        return {self.parts.sources: shown, self.parts.article: ""}

    # -- asking again -------------------------------------------------------------------------

    def edit(
        self, conversation: str, view: View, event: gr.EventData, request: gr.Request
    ) -> Updates:
        """Put a question, or what was understood by it, into the box, with its filters."""
        composer = self.parts.composer
        data = data_of(event)
        try:
            old = found(self.archive, user_of(request), conversation, view, data).exchange
        except NewsragError as error:
            return {self.parts.notice: error_html(str(error))}
        reword = bool(data.get("reword"))
        view.editing, view.asked = old.id, old.question if reword else ""
        values = [iso(day) for day in (old.asked.as_of, old.asked.since, old.asked.until)]
        return {
            composer.question: old.query if reword else old.question,
            composer.editing: turns.editing_html(reword),
            **dict(zip(composer.filters.all, [*values, list(old.asked.sources)], strict=True)),
        }

    def cancel(self, view: View) -> tuple[str, str]:
        """Leave the question that was edited as it was."""
        view.editing = view.asked = ""
        return "", ""

    # -- keeping ------------------------------------------------------------------------------

    def rate(self, conversation: str, event: gr.EventData, request: gr.Request) -> str:
        """Keep what the reader thinks of an answer."""
        data = data_of(event)
        thumb = data.get("thumb") if data.get("thumb") in {"up", "down"} else ""
        feedback = Feedback(cast(Any, thumb), str(data.get("note", ""))[: turns.MAX_NOTE])
        try:
            kept = self.archive.conversations(user_of(request))
            kept.rate(conversation, str(data.get("exchange", "")), feedback)
        except NewsragError as error:
            return error_html(str(error))
        return ""

    def copy(
        self, conversation: str, view: View, event: gr.EventData, request: gr.Request
    ) -> tuple[str, str]:
        """An answer with its citations, for the clipboard."""
        data = data_of(event)
        try:
            answer = found(self.archive, user_of(request), conversation, view, data).exchange.answer
            if answer is None:
                raise NewsragError(_GONE)
        except NewsragError as error:
            return "", error_html(str(error))
        kind = _kind(data)
        plain = answer_as(answer, "text" if kind == "html" else kind)
        given = {"kind": kind, "words": answer_as(answer, kind), "plain": plain}
        return json.dumps(given), ""

    def export(
        self, conversation: str, event: gr.EventData, request: gr.Request
    ) -> tuple[str, str]:
        """A conversation, for a file."""
        kind = _kind(data_of(event))
        try:
            shown = self.archive.conversations(user_of(request)).get(conversation)
        except NewsragError as error:
            return "", error_html(str(error))
        name = "".join(char if char.isalnum() else "-" for char in shown.title[:60]).strip("-")
        file = f"{name or 'conversation'}.{_ENDINGS[kind]}"
        words = conversation_as(shown, kind)
        return json.dumps({"kind": kind, "words": words, "file": file}), ""

    def search(self, search: str, conversation: str, request: gr.Request) -> str:
        """The saved conversations that have these words."""
        return listed(self.archive, user_of(request), conversation, search)

    def rename(
        self, search: str, conversation: str, event: gr.EventData, request: gr.Request
    ) -> Updates:
        """Give a conversation another title."""
        data, user = data_of(event), user_of(request)
        chosen, title = str(data.get("conversation", "")), str(data.get("title", ""))
        try:
            self.archive.conversations(user).rename(chosen, title)
        except NewsragError as error:
            return {self.parts.notice: error_html(str(error))}
        updates = {
            self.parts.sidebar.kept: listed(self.archive, user, conversation, search),
            self.parts.notice: "",
        }
        if chosen == conversation:
            updates[self.parts.bar] = turns.bar_html(title)
        return updates


def found(
    archive: Archive, user: str, conversation: str, view: View, data: dict[str, Any]
) -> Progress:
    """The exchange that the browser named: the one in focus, or a saved one."""
    name = str(data.get("exchange", ""))
    if view.focus and view.focus.exchange.id == name:
        return view.focus
    for exchange in archive.conversations(user).get(conversation).exchanges:
        if exchange.id == name:
            return Progress(exchange, ended=True)
    raise NewsragError(_GONE)


def listed(archive: Archive, user: str, present: str, search: str = "") -> str:
    """The list of saved conversations, or one sentence about what is wrong with it."""
    try:
        kept = archive.conversations(user).list(search)
    except NewsragError as error:
        return error_html(str(error))
    return turns.list_html(kept, present, search, datetime.now(UTC))


def asked_of(
    as_of: str | None, since: str | None, until: str | None, outlets: Sequence[str] | None
) -> Asked:
    """The filters as they stand on the page. Raises `NewsragError` for what is no date."""
    return Asked(
        day_of("as of", as_of or ""),
        day_of("since", since or ""),
        day_of("until", until or ""),
        tuple(outlets or ()),
    )


def day_of(name: str, value: str) -> date | None:
    """A date as it is written in a filter; None where there is none. Raises `NewsragError`."""
    try:
        return date.fromisoformat(value) if value else None
    except ValueError as error:
        named = name.replace("_", " ")
        raise NewsragError(
            f"“{value[:40]}” ({named}) is no date; write it as 2024-05-31"
        ) from error


def iso(day: date | None) -> str | None:
    """A date as its filter takes it."""
    return day.isoformat() if day else None


def user_of(request: gr.Request) -> str:
    """Who is logged in; empty where nobody needs to be."""
    return request.username or ""


def data_of(event: gr.EventData) -> dict[str, Any]:
    """What the browser sent along with an event: anything at all, so only a dict is taken."""
    data = event._data
    return data if isinstance(data, dict) else {}


def _place(archive: Archive, data: dict[str, Any]) -> Citation:
    """The span that the browser named, of an article that has it. Raises `NewsragError`."""
    try:
        revision, start, end = (int(data[key]) for key in ("revision", "start", "end"))
        name = str(data["article"])
    except (KeyError, TypeError, ValueError) as error:
        raise NewsragError("this passage cannot be opened: its address is not valid") from error
    article = archive.article(name, revision)
    if not 0 <= start < end <= len(article.text):
        raise NewsragError("this passage cannot be opened: it is outside its article")
    return Citation(article, start, end)


def _kind(data: dict[str, Any]) -> Kind:
    kind = data.get("kind")
    return cast(Kind, kind) if kind in _ENDINGS else "text"
