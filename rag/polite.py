"""Reading other people's sites as they wish: slowly, and only what robots.txt allows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

from rag.errors import SourceError
from rag.fetch import AGENT, Page, StatusError, fetch

SECONDS_BETWEEN = 1.0
"""Between two requests to one site, unless its robots.txt asks for more."""

_LONGEST_DELAY = 30.0
_MAX_ROBOTS = 512 * 1024
"""Bytes of robots.txt that are read, as RFC 9309 has it."""


@dataclass(slots=True)
class _Site:
    """`rules` is None until robots.txt has been read, and where it cannot be."""

    free_at: float = 0.0
    delay: float = SECONDS_BETWEEN
    rules: RobotFileParser | None = None
    problem: str = ""


class PoliteReader:
    """Fetches pages, with a pause between two of one site. For one thread."""

    def __init__(self, *, allow_private: bool, wait: Callable[[float], None] = time.sleep) -> None:
        self._allow_private = allow_private
        self._wait = wait
        self._sites: dict[str, _Site] = {}

    def free_at(self, url: str) -> float:
        """When the site of an address may be asked next, on the monotonic clock."""
        return self._site(url).free_at

    def fetch(self, url: str) -> Page:
        """A page that robots.txt lets us read. Raises `SourceError`."""
        site = self._site(url)
        if site.rules is None and not site.problem:
            self._read_rules(site, url)
        if site.rules is None:
            raise SourceError(
                url, f"is not read, as its site's robots.txt cannot be: {site.problem}"
            )
        if not site.rules.can_fetch(AGENT, url):
            raise SourceError(url, "is not read: its site's robots.txt forbids it")
        return self._paced(site, url)

    def _site(self, url: str) -> _Site:
        return self._sites.setdefault(site_of(url), _Site())

    def _paced(self, site: _Site, url: str) -> Page:
        seconds = site.free_at - time.monotonic()
        if seconds > 0:
            self._wait(seconds)
        try:
            return fetch(url, allow_private=self._allow_private)
        finally:
            site.free_at = time.monotonic() + site.delay

    def _read_rules(self, site: _Site, url: str) -> None:
        rules = RobotFileParser()
        lines: list[str] = []
        try:
            page = self._paced(site, f"{site_of(url)}/robots.txt")
            if not page.is_html:  # It may be a page that says that there is none.
                lines = page.data[:_MAX_ROBOTS].decode("utf-8-sig", "replace").splitlines()
        except StatusError as error:
            if error.status >= 500:
                site.problem = error.reason
                return
        except SourceError as error:
            site.problem = error.reason
            return
        rules.parse(lines)
        site.rules = rules
        site.delay = min(max(float(rules.crawl_delay(AGENT) or 0), site.delay), _LONGEST_DELAY)
        site.free_at = max(site.free_at, time.monotonic() + site.delay)


def site_of(url: str) -> str:
    """The part of an address that one robots.txt is for."""
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}"
