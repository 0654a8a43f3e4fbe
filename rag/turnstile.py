"""A queue before a language model that answers one question at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Self

from rag.types import Waiting

HEARTBEAT_SECONDS = 0.5
"""How often a question that waits speaks up, so that a reader who has left is noticed."""


class Turnstile:
    """Lets the questions through one by one, in the order in which they came.

    Safe from several threads. With `one_by_one` false it is always open: a remote endpoint has a
    queue of its own.
    """

    def __init__(self, *, one_by_one: bool = True) -> None:
        self._one_by_one = one_by_one
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
            if self._one_by_one and place not in self._line:
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
        if place not in self._line or place.thread == self._line[0].thread:
            # Who asks a second question while reading the first answer would wait for himself.
            return 0
        return self._line.index(place)


class Place:
    """One question's place in the line, as a context manager; leaving it lets the next one on."""

    def __init__(self, turnstile: Turnstile) -> None:
        self._turnstile = turnstile
        self.thread = threading.get_ident()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._turnstile.leave(self)

    def wait(self) -> Iterator[Waiting]:
        """Stand in line until it is this question's turn; ends at once when it is already.

        Says how many are before it, first at once, then whenever that changes and at least every
        `HEARTBEAT_SECONDS`.
        """
        ahead = -1
        while ahead := self._turnstile.ahead(self, ahead, HEARTBEAT_SECONDS):
            yield Waiting(ahead)
