"""The address of a PostgreSQL database, which never shows a password."""

from __future__ import annotations

import os
import re
from urllib.parse import parse_qsl, urlencode, urlsplit

from rag.errors import SettingsError

VARIABLE = "NEWSRAG_DATABASE"
"""The environment variable that may hold a whole URL, its password included."""

_SCHEMES = ("postgresql", "postgres")
_HOST = r"(\[[\da-fA-F:.%]+\]|[\w.%-]*)(:\d*)?"
_HOSTS = re.compile(f"{_HOST}(,{_HOST})*")
_SECRET = ("password", "sslpassword")
_FORM = "postgresql://USER@HOST:PORT/NAME"


def without_password(url: str) -> str:
    """The URL as it may be shown and kept.

    Raises `SettingsError`, which does not repeat the URL, as that may hold a password.
    """
    try:
        parts = urlsplit(url)
        user, at, hosts = parts.netloc.rpartition("@")
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        sound = parts.scheme in _SCHEMES and _HOSTS.fullmatch(hosts) and not parts.fragment
    except ValueError:
        sound = None
    if not sound or "@" in user or re.search(r"[@:/]", parts.path[1:]):
        raise SettingsError(
            f"setting database is no URL of a PostgreSQL database; write {_FORM}, "
            "and special characters in it as %XX"
        )
    kept = urlencode([(name, value) for name, value in query if name not in _SECRET])
    place = f"postgresql://{user.partition(':')[0]}{at}{hosts}{parts.path}"
    return f"{place}?{kept}" if kept else place


def has_password(url: str) -> bool:
    """Whether a URL that is sound holds a secret."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return ":" in parts.netloc.rpartition("@")[0] or any(name in query for name in _SECRET)


def check(url: str) -> None:
    """Raise `SettingsError` unless this may stand in a file or a command: a URL, no password."""
    without_password(url)
    if has_password(url):
        raise SettingsError(
            "setting database holds a password, which others can read; "
            f"put it into PGPASSWORD, or the whole URL into {VARIABLE}, in the environment"
        )


def from_environment() -> str:
    """The URL that the environment gives, or nothing."""
    return os.environ.get(VARIABLE, "")
