"""What happens on the chat page: questions, saved conversations, and the pane of the sources.

The browser is trusted with nothing. What it sends back, to open a passage, is looked up in the
archive and checked against the article before it is shown; a conversation is looked up among those
of the user who is logged in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Any

import gradio as gr

from rag import Archive, Exchange, NewsragError
from ui import turns
from ui.answering import Answering, Progress, Question, Running
from ui.chat_layout import MAX_QUESTION, View, lay_out
from ui.keeping import (
    Keeping,
    Updates,
    asked_of,
    data_of,
    day_of,
    found,
    iso,
    listed,
    user_of,
)
from ui.render import error_html
from ui.sources import no_sources_html


class ChatPage:
    """The components of the chat with their events; made inside the page's Blocks."""

    def __init__(self, page: gr.Blocks, archive: Archive, answering: Answering) -> None:
        self._archive = archive
        self._answering = answering
        self._view = gr.State(View())
        self._parts = lay_out()
        self._wire(page)

    def _wire(self, page: gr.Blocks) -> None:
        """Connect the events; none of them is offered as a public API."""
        parts, view = self._parts, self._view
        sidebar, composer = parts.sidebar, parts.composer
        quiet: dict[str, Any] = {
            "show_progress": "hidden",
            "api_visibility": "private",
            "concurrency_limit": None,
        }
        here = [parts.conversation, view]
        filters = composer.filters.all
        # Gradio makes every output anew each time: an event has no more of them than it needs.
        shown = [
            parts.bar, parts.talk, parts.latest, parts.notice, parts.sources, parts.article,
            parts.conversation, sidebar.kept, composer.question, composer.editing,
            sidebar.search,
        ]  # fmt: skip

        page.load(self.load, [view], [*shown, sidebar.user, *filters], **quiet)
        asks = [composer.question.submit, composer.ask.click]
        gr.on(asks, self.ask, [composer.question, *here, *filters], shown, **quiet)
        composer.stop.click(self.stop, [parts.conversation], None, **quiet)
        parts.latest.example(self.example, [*here, *filters], shown, **quiet)
        parts.latest.retry(self.retry, here, shown, **quiet)
        sidebar.kept.select(self.select, [sidebar.search, view], shown, **quiet)
        sidebar.new.click(self.new, [view], shown, **quiet)
        sidebar.dialogs.erase(self.delete, [sidebar.search, *here], shown, **quiet)
        gr.on(
            [parts.conversation.change, *(one.change for one in filters)],
            None, [parts.conversation, *filters], [composer.box],
            js="(...shown) => window.newsrag.address(shown)",
        )  # fmt: skip
        Keeping(parts, view, self._archive, self._answering).wire(quiet)

    # -- asking -------------------------------------------------------------------------------

    async def load(self, view: View, request: gr.Request) -> AsyncIterator[Updates]:
        """A page just opened, as its address says: filters and conversation."""
        query = request.query_params
        filters = self._parts.composer.filters
        wrong = ""
        known: list[str] = []
        days: dict[str, date | None] = {}
        try:
            known = self._archive.sources()
            for name in ("as_of", "since", "until"):
                days[name] = day_of(name, query.get(name, ""))
        except NewsragError as error:
            wrong = error_html(str(error))
        outlets = [one for one in query.getlist("source") if one in known]
        yield {
            filters.as_of: iso(days.get("as_of")),
            filters.since: iso(days.get("since")),
            filters.until: iso(days.get("until")),
            filters.outlets: gr.update(choices=known, value=outlets),
            self._parts.sidebar.user: turns.user_html(user_of(request)),
        }
        async for updates in self._show(user_of(request), query.get("c", ""), view):
            yield {**updates, self._parts.notice: wrong} if wrong else updates

    async def ask(
        self,
        text: str,
        conversation: str,
        view: View,
        as_of: str | None,
        since: str | None,
        until: str | None,
        outlets: Sequence[str] | None,
        request: gr.Request,
    ) -> AsyncIterator[Updates]:
        """Ask what is in the box, in the place of what is edited, and show what comes."""
        if not (text := text.strip()[:MAX_QUESTION]):
            yield {}
            return
        try:
            asked = asked_of(as_of, since, until, outlets)
        except NewsragError as error:
            yield {self._parts.notice: error_html(str(error))}
            return
        if view.asked:
            question = Question(view.asked, asked, text, view.editing)
        else:
            question = Question(text, asked, instead=view.editing)
        async for updates in self._begin(question, conversation, view, user_of(request)):
            yield updates

    async def example(
        self,
        conversation: str,
        view: View,
        as_of: str | None,
        since: str | None,
        until: str | None,
        outlets: Sequence[str] | None,
        event: gr.EventData,
        request: gr.Request,
    ) -> AsyncIterator[Updates]:
        """Ask an example question."""
        text = str(data_of(event).get("question", ""))
        async for updates in self.ask(
            text, conversation, view, as_of, since, until, outlets, request
        ):
            yield updates

    async def retry(
        self, conversation: str, view: View, event: gr.EventData, request: gr.Request
    ) -> AsyncIterator[Updates]:
        """Ask the latest question again, as it was asked."""
        user = user_of(request)
        try:
            old = found(self._archive, user, conversation, view, data_of(event)).exchange
        except NewsragError as error:
            yield {self._parts.notice: error_html(str(error))}
            return
        question = Question(old.question, old.asked, instead=old.id)
        async for updates in self._begin(question, conversation, view, user):
            yield updates

    async def _begin(
        self, question: Question, conversation: str, view: View, user: str
    ) -> AsyncIterator[Updates]:
        parts = self._parts
        try:
            begun = await asyncio.to_thread(self._start, question, conversation, user)
        except NewsragError as error:
            yield {parts.notice: error_html(str(error))}
            return
        view.shows += 1
        view.editing = view.asked = ""
        cleared = {
            parts.composer.question: "",
            parts.composer.editing: "",
            parts.sidebar.kept: listed(self._archive, user, begun[0]),
            parts.sidebar.search: "",
        }
        async for updates in self._follow(*begun, view):
            yield {**updates, **cleared}
            cleared = {}

    def _start(
        self, question: Question, conversation: str, user: str
    ) -> tuple[str, str, Sequence[Exchange], Running]:
        kept = self._archive.conversations(user)
        made = "" if conversation else kept.new(question.text).id
        try:
            running = self._answering.begin(user, conversation or made, question)
        except NewsragError:
            if made:
                kept.delete(made)
            raise
        shown = kept.get(conversation or made)
        earlier = [one for one in shown.exchanges if one.id != running.progress.exchange.id]
        return shown.id, shown.title, earlier, running

    def stop(self, conversation: str, request: gr.Request) -> None:
        """Leave the answer under way at what is shown."""
        self._answering.stop(user_of(request), conversation)

    async def select(
        self, search: str, view: View, event: gr.EventData, request: gr.Request
    ) -> AsyncIterator[Updates]:
        """Show a saved conversation."""
        chosen = str(data_of(event).get("conversation", ""))
        async for updates in self._show(user_of(request), chosen, view, search):
            yield updates

    async def new(self, view: View, request: gr.Request) -> AsyncIterator[Updates]:
        """Start anew; an answer under way goes on, and is saved."""
        async for updates in self._show(user_of(request), "", view):
            yield {
                **updates,
                self._parts.composer.question: "",
                self._parts.sidebar.search: "",
            }

    async def delete(
        self,
        search: str,
        conversation: str,
        view: View,
        event: gr.EventData,
        request: gr.Request,
    ) -> AsyncIterator[Updates]:
        """Delete a conversation; the page is empty after it was the one on it."""
        user, chosen = user_of(request), str(data_of(event).get("conversation", ""))
        parts = self._parts
        try:
            self._archive.conversations(user).delete(chosen)
        except NewsragError as error:
            yield {parts.notice: error_html(str(error))}
            return
        self._answering.stop(user, chosen)
        if chosen == conversation:
            async for updates in self._show(user, "", view):
                yield updates
        yield {parts.sidebar.kept: listed(self._archive, user, conversation, search)}

    # -- showing ------------------------------------------------------------------------------

    async def _show(
        self, user: str, conversation: str, view: View, search: str = ""
    ) -> AsyncIterator[Updates]:
        """A saved conversation, and the answer that is under way in it; or the empty page."""
        view.shows += 1
        view.focus, view.editing, view.asked = None, "", ""
        parts = self._parts
        try:
            if not conversation:
                yield {**self._empty(), parts.sidebar.kept: listed(self._archive, user, "", search)}
                return
            running = self._answering.of(user, conversation)  # first: it may end meanwhile
            shown = await asyncio.to_thread(self._archive.conversations(user).get, conversation)
        except NewsragError as error:
            yield {
                **self._empty(),
                parts.notice: error_html(str(error)),
                parts.sidebar.kept: listed(self._archive, user, "", search),
            }
            return
        exchanges: Sequence[Exchange] = shown.exchanges
        if running:
            exchanges = [one for one in exchanges if one.id != running.progress.exchange.id]
            began = self._follow(shown.id, shown.title, exchanges, running, view)
        else:
            began = self._rest(shown.id, shown.title, exchanges, view)
        rest = {
            parts.sidebar.kept: listed(self._archive, user, shown.id, search),
            parts.composer.editing: "",
        }
        async for updates in began:
            yield {**updates, **rest}
            rest = {}

    async def _rest(
        self, conversation: str, title: str, exchanges: Sequence[Exchange], view: View
    ) -> AsyncIterator[Updates]:
        """A conversation in which nothing is under way."""
        parts = self._parts
        view.focus = Progress(exchanges[-1], ended=True) if exchanges else None
        yield {
            **self._empty(),
            parts.conversation: conversation,
            parts.bar: turns.bar_html(title),
            parts.talk: turns.turns_html(exchanges[:-1]),
            parts.latest: turns.turn_html(view.focus, latest=True) if view.focus else "",
            parts.sources: turns.sources_of(view.focus) if view.focus else no_sources_html(),
        }

    async def _follow(
        self,
        conversation: str,
        title: str,
        earlier: Sequence[Exchange],
        running: Running,
        view: View,
    ) -> AsyncIterator[Updates]:
        """An answer under way, to its end or until the tab shows something else."""
        parts = self._parts
        mine = view.shows
        once: Updates = {
            parts.conversation: conversation,
            parts.bar: turns.bar_html(title),
            parts.talk: turns.turns_html(earlier),
            parts.notice: "",
            parts.article: "",
        }
        view.focus = running.progress
        async for progress in running.follow():
            if view.shows != mine:
                return
            updates = {**once, parts.latest: turns.turn_html(progress, latest=True)}
            once = {}
            if view.focus and view.focus.exchange.id == progress.exchange.id:
                view.focus = progress
                updates[parts.sources] = turns.sources_of(progress)
            yield updates

    def _empty(self) -> Updates:
        """The page before the first question."""
        parts = self._parts
        try:
            status = self._archive.status()
            examples = self._archive.example_questions() if status.articles else []
            welcome = turns.welcome_html(status, examples)
        except NewsragError as error:
            welcome = error_html(str(error))
        return {
            parts.conversation: "",
            parts.bar: "",
            parts.talk: "",
            parts.latest: welcome,
            parts.notice: "",
            parts.sources: no_sources_html(),
            parts.article: "",
            parts.composer.editing: "",
        }
