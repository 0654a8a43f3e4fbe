"""A queue before what can serve only so many questions at once: a language model, the cores."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Self

from rag.types import Waiting

HEARTBEAT_SECONDS = 0.5
"""How often a question that waits speaks up, so that a reader who has left is noticed."""


def usable_cores() -> int:
    """How many cores this process may use: fewer than the machine has, in a container."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Turnstile:
    """Lets `at_once` questions through at a time, in the order in which they came.

    Safe from several threads. With None it is always open: a remote endpoint has a queue of its
    own.
    """

    def __init__(self, at_once: int | None = 1) -> None:
        self._at_once = at_once
        self._line: list[Place] = []
        self._moved = threading.Condition()

    def place(self) -> Place:
        """A place for one question; nothing waits for it before it is used."""
        return Place(self)

    def ahead(self, place: Place, last: int, seconds: float) -> int:
        """How many are before this place: as soon as they are not `last`, or after `seconds`.

        A place that is not in the line yet is put at its end.
        """
        with self._moved:
            if self._at_once is not None and place not in self._line:
                self._line.append(place)
            self._moved.wait_for(lambda: self._before(place) != last, seconds)
            return self._before(place)

    def leave(self, place: Place) -> None:
        """Give the place up, whether or not its turn has come."""
        with self._moved:
            if place in self._line:
                self._line.remove(place)
                self._moved.notify_all()

    def _before(self, place: Place) -> int:
        if self._at_once is None or place not in self._line:
            return 0
        through = self._line[: self._at_once]
        if any(place.thread == other.thread for other in through):
            # Who asks a second question while reading the first answer would wait for himself.
            return 0
        return self._line.index(place) - self._at_once + 1


class Place:
    """One question's place in the line, as a context manager; leaving it lets the next one on."""

    def __init__(self, turnstile: Turnstile) -> None:
        self._turnstile = turnstile
        self.thread = threading.get_ident()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._turnstile.leave(self)

    def stand(self) -> None:
        """`wait` without a word."""
        for _ in self.wait():
            pass

    def wait(self) -> Iterator[Waiting]:
        """Stand in line until it is this question's turn; ends at once when it is already.

        Says how many are before it, first at once, then whenever that changes and at least every
        `HEARTBEAT_SECONDS`.
        """
        ahead = -1
        while ahead := self._turnstile.ahead(self, ahead, HEARTBEAT_SECONDS):
            yield Waiting(ahead)
