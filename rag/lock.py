"""Who writes to an archive: one at a time. The system frees the lock when its holder dies."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from rag.database import Database
from rag.errors import ArchiveLockedError

Waiting = Callable[[str], None]
"""Is told, once and in one sentence, who holds the lock that is waited for."""

_POLL_SECONDS = 0.1


class WriteLock:
    """The lock of an archive's folder; a thread that holds it may take it again.

    With a database, whose lock holds across machines, both are held.
    """

    def __init__(self, folder: Path, database: Database | None = None) -> None:
        from filelock import FileLock

        self._database = database
        self._folder = folder
        self._lock = FileLock(folder / "write.lock")
        self._holder = folder / "write.holder"

    @contextmanager
    def held(self, waiting: Waiting | None = None) -> Iterator[bool]:
        """Hold the lock; yields whether this is the outermost time.

        Without `waiting`, raises `ArchiveLockedError` when another process or thread has it.
        """
        from filelock import Timeout

        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            self._tell(self._who(), waiting)
            self._lock.acquire(poll_interval=_POLL_SECONDS)
        try:
            if self._lock.lock_counter > 1:
                yield False
                return
            with self._everywhere(waiting):
                self._sign()
                yield True
        finally:
            if self._lock.lock_counter == 1:
                with suppress(OSError):
                    self._holder.unlink(missing_ok=True)
            self._lock.release()

    @contextmanager
    def _everywhere(self, waiting: Waiting | None) -> Iterator[None]:
        """Hold the database's lock, too."""
        database = self._database
        if database is None:
            yield
            return
        if not database.lock():
            self._tell(database.holder(), waiting)
            while not database.lock():
                time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            database.unlock()

    def _tell(self, who: str, waiting: Waiting | None) -> None:
        sentence = f"the archive in {self._folder} is being written by {who}"
        if waiting is None:
            raise ArchiveLockedError(f"{sentence}; try again later") from None
        waiting(f"Waiting: {sentence}.")

    def _sign(self) -> None:
        since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        values = {"pid": os.getpid(), "host": platform.node(), "since": since}
        with suppress(OSError):  # It only informs; a full disk must not stop a deletion.
            self._holder.write_text(json.dumps(values), encoding="utf-8")

    def _who(self) -> str:
        """Who holds the lock, as far as they have said."""
        try:
            values = json.loads(self._holder.read_text(encoding="utf-8"))
            pid, host, since = values["pid"], values["host"], values["since"]
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"
        return f"another process (pid {pid} on {host}, since {since})"
