"""Named users: a file of bcrypt hashes (htpasswd), checked when someone logs in.

Whoever guesses passwords is slowed down twice: by bcrypt itself, of which only a few run at once,
and by a wait after each wrong password, per address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt

from rag import NewsragError

SHORTEST = 8
"""Characters of a password, at least."""

LONGEST = 72
"""Bytes of a password, at most: bcrypt reads no further."""

_COST = 12
_NAME = re.compile(r"[\w.@+-]{1,64}")
_HASH = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_NOBODY = b"." * 53
_AT_ONCE = 2
_LONGEST_WAIT = 30.0
_WAITING = 20
_REMEMBERED = 10_000

_log = logging.getLogger(__name__)


class AuthError(NewsragError):
    """A file of users, or a new user, cannot be used."""


class TooManyLoginsError(NewsragError):
    """Too many people, or programs, are logging in from one address."""


def read_users(file: Path) -> dict[str, bytes]:
    """The bcrypt hash of each user; the file's lines are `name:hash`, empty ones and # apart.

    Raises `AuthError`, which names file and line.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise AuthError(f"{file}: cannot be read as users ({reason}); {_advice(file)}") from error
    users: dict[str, bytes] = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        name, _, hashed = line.partition(":")
        if not _NAME.fullmatch(name) or not _is_hash(hashed):
            raise AuthError(f"{file}, line {number}: must be a name, a colon and a bcrypt hash")
        if name in users:
            raise AuthError(f"{file}, line {number}: {name} stands there twice")
        users[name] = hashed.encode()
    if not users:
        raise AuthError(f"{file}: there are no users in it; {_advice(file)}")
    return users


def write_user(file: Path, name: str, password: str) -> bool:
    """Set a user's password; the file is made when missing, and only its owner can read it.

    Returns whether the user is new. Other lines stay as they are. Raises `AuthError`.
    """
    if not _NAME.fullmatch(name):
        raise AuthError(
            f"{name!r} cannot be a user's name: up to 64 letters, digits and . _ @ + - can"
        )
    _check_new(password)
    file = file.resolve()
    users = read_users(file) if file.exists() and file.stat().st_size else {}
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(_COST)).decode()
    # Apache's tools know bcrypt by this name; the two are the same.
    line = f"{name}:{hashed.replace('$2b$', '$2y$', 1)}"
    lines = file.read_text(encoding="utf-8").splitlines() if users else []
    kept = [old for old in lines if old.strip().partition(":")[0] != name]
    _replace(file, "\n".join([*kept, line]) + "\n")
    return name not in users


class Users:
    """The users of a file. A changed file counts at once; a broken change leaves the old users."""

    def __init__(self, file: Path) -> None:
        """Raises `AuthError`."""
        self._file = file
        self._users = read_users(file)
        self._changed = _changed(file)
        self._hashing = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="newsrag-login")

    async def check(self, name: str, password: str) -> bool:
        """Whether the password is the user's. It takes as long for a name that nobody has."""
        stored = self.stored(name)
        given = password.encode()
        usable = len(given) <= LONGEST
        against = stored or self._nobody()
        loop = asyncio.get_running_loop()
        equal = await loop.run_in_executor(
            self._hashing, bcrypt.checkpw, given if usable else b"", against
        )
        return equal and usable and stored is not None

    def stored(self, name: str) -> bytes | None:
        """The user's hash as the file has it now, or nothing."""
        changed = _changed(self._file)
        if changed != self._changed:
            self._changed = changed
            try:
                self._users = read_users(self._file)
            except AuthError as error:
                _log.warning("%s; until that is mended, the users before count", error)
        return self._users.get(name)

    def close(self) -> None:
        """End the threads."""
        self._hashing.shutdown(wait=False, cancel_futures=True)

    def _nobody(self) -> bytes:
        """A hash that no password has, as costly as the costliest of the file."""
        cost = max(hashed[4:6] for hashed in self._users.values())
        return b"$2b$" + cost + b"$" + _NOBODY


@dataclass(slots=True)
class _Address:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    failures: int = 0
    free_at: float = 0.0
    waiting: int = 0


class Turn:
    """One attempt to log in. `failed` says how it went, once that is known."""

    failed = False


class Attempts:
    """Attempts to log in: one at a time from an address, and a wait after each wrong password.

    The wait is 1 s at first, doubles up to 30 s, and ends with a right password. It goes by address
    and not by name, so that nobody can lock out somebody else.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._addresses: dict[str, _Address] = {}

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[Turn]:
        """Wait for this address's turn. Raises `TooManyLoginsError` when many wait already."""
        one = self._addresses.setdefault(_network(address), _Address())
        if one.waiting >= _WAITING:
            raise TooManyLoginsError("Too many logins from this address; try again in a minute.")
        one.waiting += 1
        try:
            async with one.lock:
                await asyncio.sleep(max(0.0, one.free_at - self._clock()))
                turn = Turn()
                yield turn
                one.failures = one.failures + 1 if turn.failed else 0
                if turn.failed:
                    wait = min(2.0 ** (one.failures - 1), _LONGEST_WAIT)
                    one.free_at = self._clock() + wait
        finally:
            one.waiting -= 1
            self._forget()

    def _forget(self) -> None:
        """Keep the memory small: drop whom nothing is known against, and all that is long past."""
        full = len(self._addresses) > _REMEMBERED
        past = self._clock() - (0 if full else 30 * _LONGEST_WAIT)
        for key, one in list(self._addresses.items()):
            if not one.waiting and (not one.failures or one.free_at < past):
                del self._addresses[key]


def _network(address: str) -> str:
    """An address; of IPv6 the /64 network, since one machine has as many addresses as that."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def _is_hash(text: str) -> bool:
    match = _HASH.fullmatch(text)
    return bool(match) and 4 <= int(match[1]) <= 31 if match else False


def _check_new(password: str) -> None:
    if len(password) < SHORTEST:
        raise AuthError(f"the password is too short: it needs {SHORTEST} characters")
    if len(password.encode()) > LONGEST:
        raise AuthError(f"the password is too long: {LONGEST} bytes are read of it at most")


def _advice(file: Path) -> str:
    return f"add one with: newsrag user NAME --auth {file}"


def _changed(file: Path) -> tuple[int, int, int]:
    """What differs when the file has changed; zeros when it is gone."""
    try:
        status = file.stat()
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino


def _replace(file: Path, text: str) -> None:
    """Write the whole file at once; `mkstemp` lets only the owner read it."""
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as written:
            written.write(text)
        Path(name).replace(file)
    except OSError as error:
        raise AuthError(f"{file}: cannot be written ({error.strerror})") from error
