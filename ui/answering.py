"""Answers under way: each in a thread of its own, so that it outlives the browser that asked.

A reader follows an answer from what is known now to its end; any number of readers may, from any
event loop, at any time. An answer is kept in its conversation from its first evidence on, so that
a server that is killed leaves it as one that was stopped.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from rag import (
    Answer,
    Archive,
    Asked,
    ConversationNotFoundError,
    Event,
    Evidence,
    Exchange,
    NewsragError,
    Sentence,
    Waiting,
)
from ui.limits import Limits

CLOSING_SECONDS = 0.5
"""How long an answer may take to see that the server is about to close."""

BUSY = "An answer is under way in this conversation; wait for it, or stop it."
_UNFINISHED = "The answer broke off with an unexpected error; the terminal shows the details."


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and where it belongs.

    `query` is the question as the user wants it understood, empty to leave that to the archive.
    `instead` is the exchange that this one takes the place of, with all that follow it.
    """

    text: str
    asked: Asked
    query: str = ""
    instead: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """An answer as far as it is known. `place` counts the questions before it at the model."""

    exchange: Exchange
    evidence: Evidence | None = None
    place: int = 0
    ended: bool = False


class Running:
    """One answer under way. It ends as if stopped once `closing` says so."""

    def __init__(
        self,
        exchange: Exchange,
        save: Callable[[Exchange], None],
        closing: Callable[[], bool] = lambda: False,
    ) -> None:
        self._progress = Progress(exchange)
        self._save = save
        self._closing = closing
        self._lock = threading.Lock()
        self._readers: set[Callable[[], object]] = set()

    @property
    def progress(self) -> Progress:
        """What is known now."""
        return self._progress

    async def follow(self) -> AsyncIterator[Progress]:
        """What is known now, and again after each change, until the end.

        A reader that is slower than the answer misses what was overtaken, never the end.
        """
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop is gone, and its reader with it
                loop.call_soon_threadsafe(changed.set)

        with self._lock:
            self._readers.add(wake)
        try:
            shown = None
            while True:
                changed.clear()
                if (now := self._progress) is not shown:
                    yield (shown := now)
                if now.ended:
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), CLOSING_SECONDS)
                if self._closing():  # the model may be silent for long
                    await asyncio.to_thread(self.end, stopped=True)
        finally:
            with self._lock:
                self._readers.discard(wake)

    def take(self, events: Iterator[Event]) -> None:
        """Read the events to their end, an error, or until the answer was stopped."""
        try:
            for event in events:
                if self._closing():
                    self.end(stopped=True)
                if self._progress.ended:
                    return
                self._tell(event)
        except NewsragError as error:
            self.end(error=str(error))
        finally:
            self.end(error=_UNFINISHED)  # nothing, where it has ended by now

    def end(self, answer: Answer | None = None, error: str = "", stopped: bool = False) -> None:
        """Keep the answer and let its readers go. Does nothing once it has ended."""
        with self._lock:
            if self._progress.ended:
                return
            exchange = _so_far(self._progress, answer, error, stopped)
            try:
                self._save(exchange)
            except ConversationNotFoundError:
                pass  # it was deleted meanwhile, and this answer with it
            except NewsragError as failure:
                exchange = replace(exchange, error=f"The answer was not saved: {failure}")
            self._progress = replace(self._progress, exchange=exchange, ended=True)
        self._wake()

    def _tell(self, event: Event) -> None:
        if isinstance(event, Answer):
            self.end(event)
            return
        with self._lock:
            now = self._progress
            if now.ended:
                return
            if isinstance(event, Evidence):
                known = replace(now.exchange, query=event.query)
                now = replace(now, exchange=known, evidence=event)
            elif isinstance(event, Sentence):
                known = replace(now.exchange, sentences=(*now.exchange.sentences, event))
                now = replace(now, exchange=known, place=0)
            elif isinstance(event, Waiting):
                if now.place == event.place:  # it only says that it still waits
                    return
                now = replace(now, place=event.place)
            self._progress = now
        self._wake()
        if isinstance(event, Evidence):  # after it is on its way: saving takes a moment
            with suppress(NewsragError), self._lock:
                if not self._progress.ended:
                    self._save(_so_far(self._progress, stopped=True))

    def _wake(self) -> None:
        with self._lock:
            readers = tuple(self._readers)
        for wake in readers:
            wake()


class Answering:
    """The answers under way of one page, by user and conversation; at most one for each."""

    def __init__(self, archive: Archive, wording: bool, limits: Limits | None = None) -> None:
        self._archive = archive
        self._wording = wording
        self._limits = limits or Limits()
        self._running: dict[tuple[str, str], Running] = {}
        self._lock = threading.Lock()

    def of(self, user: str, conversation: str) -> Running | None:
        """The answer under way in a conversation."""
        running = self._running.get((user, conversation))
        return running if running and not running.progress.ended else None

    def begin(self, user: str, conversation: str, question: Question) -> Running:
        """Start to answer in a conversation of this user.

        What is to be replaced is dropped only when the new question is under way. Raises
        `ConversationNotFoundError`, `TooManyQuestions`, and `NewsragError` when an answer is under
        way in this conversation.
        """
        kept = self._archive.conversations(user)
        before = _before(kept.get(conversation).exchanges, question.instead)
        held = ExitStack()
        exchange = Exchange(
            secrets.token_urlsafe(9), question.text, question.asked, datetime.now(UTC)
        )
        running = Running(
            exchange, lambda told: kept.save(conversation, told), lambda: self._limits.closing
        )
        with held:
            held.enter_context(self._limits.enter(user))
            with self._lock:
                if self.of(user, conversation):
                    raise NewsragError(BUSY)
                self._running[user, conversation] = running
            held.callback(self._forget, (user, conversation), running)
            if question.instead:
                kept.drop_from(conversation, question.instead)
            held = held.pop_all()
        threading.Thread(
            target=self._run, args=(held, running, question, before), daemon=True
        ).start()
        return running

    def stop(self, user: str, conversation: str) -> None:
        """End the answer under way in a conversation at what is shown."""
        if running := self.of(user, conversation):
            running.end(stopped=True)
            self._forget((user, conversation), running)

    def _forget(self, place: tuple[str, str], running: Running) -> None:
        with self._lock:
            if self._running.get(place) is running:  # not one that began after a stop
                del self._running[place]

    def _run(
        self, held: ExitStack, running: Running, question: Question, before: tuple[Exchange, ...]
    ) -> None:
        with held, closing(self._events(question, before)) as events:
            running.take(events)

    def _events(self, question: Question, before: tuple[Exchange, ...]) -> Generator[Event]:
        asked = question.asked
        yield from self._archive.stream(
            question.text,
            history=history(before),
            as_of=asked.as_of,
            since=asked.since,
            until=asked.until,
            source=asked.sources or None,
            wording=self._wording,
            query=question.query or None,
        )


def history(exchanges: tuple[Exchange, ...]) -> list[tuple[str, str]]:
    """What a follow-up leans on: the last question as it was understood, and its answer.

    As understood it stands alone, so nothing before it is needed.
    """
    return [(last.query or last.question, last.text) for last in exchanges[-1:]]


def _so_far(
    progress: Progress, answer: Answer | None = None, error: str = "", stopped: bool = False
) -> Exchange:
    """The exchange with its answer, or with what was shown of one: sentences, or else quotes."""
    exchange = progress.exchange
    if answer:
        return replace(exchange, answer=answer, query=answer.trace.query, sentences=())
    quotes = progress.evidence.quotes if progress.evidence else ()
    return replace(exchange, error=error, stopped=stopped, sentences=exchange.sentences or quotes)


def _before(exchanges: tuple[Exchange, ...], instead: str) -> tuple[Exchange, ...]:
    """The exchanges before the one that is to be replaced; all where none is."""
    ids = [exchange.id for exchange in exchanges]
    return exchanges[: ids.index(instead)] if instead in ids else exchanges
