"""How many questions may be under way, and whether the server is about to close."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rag import NewsragError

PER_USER = 2
"""Questions that one user may have under way."""


class TooManyQuestions(NewsragError):  # noqa: N818
    """The user has as many questions under way as one may have."""


class Closing(NewsragError):  # noqa: N818
    """The server is about to close and begins no more answers."""


class Limits:
    """Counts the questions under way by user, from any thread.

    Where there are no users (the user is ""), only the reader at this machine asks, in as many tabs
    as they like: nothing is limited then.
    """

    def __init__(self, per_user: int = PER_USER) -> None:
        self._per_user = per_user
        self._under_way: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._closing = threading.Event()

    @contextmanager
    def enter(self, user: str) -> Iterator[None]:
        """Hold a place while a question is answered. Raises `TooManyQuestions` and `Closing`."""
        with self._lock:
            if self._closing.is_set():
                raise Closing("The chat is closing; ask again when it is back.")
            if user and self._under_way[user] >= self._per_user:
                raise TooManyQuestions(
                    f"You have {self._per_user} questions under way; "
                    "wait for one to be answered, or stop it."
                )
            self._under_way[user] += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[user] -= 1
                if not self._under_way[user]:
                    del self._under_way[user]

    @property
    def under_way(self) -> int:
        """Questions being answered now, of all users."""
        with self._lock:
            return self._under_way.total()

    @property
    def closing(self) -> bool:
        """Whether answers under way should end at once, as if stopped."""
        return self._closing.is_set()

    def close(self) -> None:
        """Ask every answer under way to end, and let none begin."""
        with self._lock:
            self._closing.set()
