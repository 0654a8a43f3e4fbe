"""From rag's types to safe HTML: what all pages share. Pure functions, no Gradio.

Every text that comes from an article, a question or a model passes through `text`, and there is
no other way into the page: what looks like markup, Markdown or a script is shown as it was written,
and a character that would act unseen (an override of the reading direction, an escape) is shown as
a sign in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from html import escape
from urllib.parse import urlsplit

from rag import Article, Citation, RankedPassage

Numbers = dict[Citation, int]
"""Citations and the numbers that they have on the page, in this order."""

MAX_TITLE = 300
"""Characters of a title, an outlet or an address that are shown."""

MAX_MESSAGE = 600
"""Characters of an error's sentence that are shown."""

_MAX_URL = 2000
_MAX_MARKS = 8  # no script puts more on one letter; a flood of them covers the lines around it

_CONTROLS = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # terminals obey these
    "\u202a-\u202e\u2066-\u206f"  # these turn or freeze the reading direction
    "\ufff9-\ufffb\ufdd0-\ufdef\ufffe\uffff"  # annotations, and what is no character
    "\ud800-\udfff"  # halves of a character, which cannot be sent
    "\U000e0000-\U000e007f"  # an invisible alphabet
)
_MARKS = (
    "\u00ad\u0300-\u036f\u0483-\u0489\u180e\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f"
    "\u2060-\u2064\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\ufeff\U000e0100-\U000e01ef"
)
_FLAG = "\U0001f3f4[\U000e0061-\U000e007a]{3,6}\U000e007f"  # of England, Scotland, Wales
_UNSENDABLE = re.compile("[\0\ud800-\udfff]")
_SUSPECT = re.compile(f"[{_CONTROLS}]|[{_MARKS}]{{{_MAX_MARKS + 1}}}")
_HOST = re.compile(r"[a-z0-9._-]*[a-z0-9_-]\.?$|[0-9a-f:.]+$")
_UNSHOWN = re.compile(f"{_FLAG}|(?P<kept>[{_MARKS}]{{{_MAX_MARKS}}})[{_MARKS}]+|[{_CONTROLS}]")


def error_html(message: str) -> str:
    """One sentence about what went wrong; the errors' own texts begin small and have no stop."""
    line = cut(message, MAX_MESSAGE).removesuffix(".")
    return f'<p class="nr-error" role="alert">{text(line[:1].upper() + line[1:])}.</p>'


def number(citations: Iterable[Citation]) -> Numbers:
    """Citations in the order of their first use, from 1."""
    return {citation: n for n, citation in enumerate(dict.fromkeys(citations), 1)}


def safe_url(url: str | None) -> str | None:
    """The URL if it may be linked, with its host as the network spells it (`xn--...`), else None.

    That is: http or https, a host and no user name, nothing invisible, and nothing that Python and
    browsers read differently. A host that only looks like another is told apart by its spelling.
    """
    if not url or len(url) > _MAX_URL or " " in url or "\\" in url or not url.isprintable():
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        spelled = host if ":" in host else host.encode("idna").decode()
    except ValueError:  # UnicodeError is one
        return None
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc or not _HOST.match(spelled):
        return None
    if host.isascii():
        return url
    return parts._replace(netloc=f"{spelled}:{port}" if port else spelled).geturl()


def text(value: str) -> str:
    """Text for an element or a quoted attribute: escaped, controls visible, nothing else changed.

    Each character of `value` is one character of the page, so that offsets stay true.
    """
    return escape(visible(value), quote=True).replace("\r", "&#13;")


def exact(value: str) -> str:
    """A value for a `data-` attribute that the server gets back unchanged, controls and all.

    Only what no page can carry, NUL and halves of characters, is replaced.
    """
    return escape(_UNSENDABLE.sub("\ufffd", value), quote=True).replace("\r", "&#13;")


def visible(value: str) -> str:
    """Each control character as a sign in its place (␛, �), and floods of marks cut off by them."""
    return _UNSHOWN.sub(_sign, value) if _SUSPECT.search(value) else value


def cut(value: str, limit: int = MAX_TITLE) -> str:
    """One line of at most `limit` characters, with an ellipsis where something was left out."""
    line = " ".join(visible(value[: 4 * limit]).split())
    whole = len(value) <= 4 * limit and len(line) <= limit
    return line if whole else f"{line[: limit - 1].rstrip()}…"


def headline(article: Article) -> str:
    """An article's title as one line, never blank."""
    return cut(article.title) or "Untitled"


def day(value: date) -> str:
    """A date as a newspaper prints it."""
    return f"{value.day} {value:%B %Y}"


def age(value: date, today: date) -> str:
    """How long ago a day was, in the coarsest unit that says enough; empty for a later day."""
    days = (today - value).days
    if days < 2:
        return {0: "today", 1: "yesterday"}.get(days, "")
    for unit, length in (("year", 365.25), ("month", 30.44), ("week", 7)):
        if days >= 2 * length:
            return f"{int(days / length)} {unit}s ago"
    return f"{days} days ago"


def byline(article: Article, today: date | None = None) -> str:
    """Outlet, date and, where `today` is given, age of an article, leaving out what is unknown."""
    outlet = article.source and f'<bdi class="nr-outlet">{text(cut(article.source))}</bdi>'
    when = article.published
    dated = when and f'<time datetime="{when.isoformat()}">{day(when)}</time>'
    ago = when and today and age(when, today)
    return " · ".join(part for part in (outlet, dated, ago) if part)


def link(url: str | None) -> str:
    """An article's address: a link that shows its host where that is safe, else plain text."""
    if not url:
        return ""
    if not (safe := safe_url(url)):
        return f'<p class="nr-url"><bdi>{text(cut(url))}</bdi></p>'
    return (
        f'<p class="nr-url"><a href="{text(safe)}" title="{text(cut(safe))}" target="_blank" '
        f'rel="noopener noreferrer nofollow">{text(urlsplit(safe).hostname or safe)}</a></p>'
    )


def place(span: Citation | RankedPassage) -> str:
    """The attributes that make a button open the article at this span."""
    return place_of(span.article, span.start, span.end)


def place_of(article: Article, start: int, end: int) -> str:
    """The attributes that make a button open `article` at `start`..`end`."""
    return (
        f'data-event="open" data-article="{exact(article.id)}" '
        f'data-revision="{article.revision}" data-start="{start}" data-end="{end}"'
    )


def _sign(found: re.Match[str]) -> str:
    if kept := found["kept"]:
        return kept + "\ufffd" * (len(found[0]) - len(kept))
    if len(found[0]) > 1:  # a flag
        return found[0]
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"
