"""Articles that are text with little structure: scraped pages and Markdown."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from rag import files
from rag.dates import parse_date
from rag.errors import SourceError
from rag.files import File, fields_of, text_of

if TYPE_CHECKING:
    from markdown_it.token import Token

_LONGEST_TITLE = 250
_FURNITURE = frozenset(
    {
        "advertisement",
        "advertisements",
        "comments are closed",
        "continue reading",
        "leave a comment",
        "read more",
        "related articles",
        "related stories",
        "share this",
        "share this article",
        "sign up",
        "sign up for our newsletter",
        "subscribe now",
    }
)
_HEADER = re.compile(
    r"(?P<name>title|headline|source|outlet|published|date|url|link|author|by)\s*:\s*(?P<value>.*)",
    re.IGNORECASE,
)
_HEADER_NAMES = {
    "title": "title",
    "headline": "title",
    "source": "source",
    "outlet": "source",
    "published": "published",
    "date": "published",
    "url": "url",
    "link": "url",
    "author": "author",
    "by": "author",
}
_BYLINE = re.compile(r"(?:By|BY)\s.{1,80}(?<![.!?:;\"”])")
_SMALL_WORDS = frozenset({"and", "at", "da", "de", "del", "der", "di", "for", "of", "van", "von"})
_ORIGIN = re.compile(
    r"(?:original (?:story|article)|(?:article |story )?originally (?:published|appeared))"
    r"\s+(?:at|by|in|on)\s+(?P<where>.+?)(?:\s+(?:[-–—|]|on)\s+(?P<when>.+))?",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?:https?://)?[\w-]+(?:\.[\w-]+)+(?:/\S*)?", re.IGNORECASE)


def markdown_fields(file: File) -> dict[str, object]:
    """Read Markdown with YAML front matter; a first heading is the title where none is given."""
    fields, body = _front_matter(text_of(file, files.ARTICLE_LIMIT), file.place)
    lines = body.split("\n")
    for number, line in enumerate(lines):
        if line.startswith("# ") and (title := _without_marks(line)):
            if fields.setdefault("title", title) == title:
                del lines[number]
            break
    fields.setdefault("title", file.stem)
    return {**fields, "text": _without_marks("\n".join(lines))}


def _without_marks(markdown: str) -> str:
    """The words of a Markdown text, so that quotes read well: a blank line between its blocks."""
    from markdown_it import MarkdownIt

    blocks = []
    for token in MarkdownIt("commonmark").parse(markdown):
        if token.type == "inline":
            blocks.append("".join(_words(child) for child in token.children or ()))
        elif token.type in {"code_block", "fence", "html_block"}:
            blocks.append(token.content.strip("\n"))
    return "\n\n".join(block for block in blocks if block.strip())


def _words(token: Token) -> str:
    return " " if token.type in {"softbreak", "hardbreak"} else token.content


def _front_matter(text: str, place: str) -> tuple[dict[str, object], str]:
    import yaml
    from frontmatter.default_handlers import YAMLHandler

    handler = YAMLHandler()
    boundary = handler.FM_BOUNDARY.match(text)
    if not boundary or len(handler.FM_BOUNDARY.findall(text)) < 2:
        return {}, text
    front, body = handler.split(text)
    try:
        # The base loader leaves values as written: a title may be 1984, a date stays unshifted.
        values = handler.load(front, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        offset = mark.line if mark else front.count("\n", 0, getattr(error, "position", 0))
        line = text.count("\n", 0, boundary.end()) + offset + 1
        problem = getattr(error, "problem", None) or "it is not readable as YAML"
        raise SourceError(f"{place}:{line}", f"has broken front matter: {problem}") from error
    if values is not None and not isinstance(values, dict):
        return {}, text  # Prose between two rules is no front matter.
    fields = fields_of(values or {}, place)
    return {name: value for name, value in fields.items() if value not in ("~", "null")}, body


def scraped_fields(text: str) -> dict[str, object]:
    """Take a scraped article apart: title, header, body, footer."""
    fields: dict[str, object] = {}
    lines: deque[str] = deque()
    title = ""
    for line in text.split("\n"):
        is_kept = not _is_furniture(line) and not _take_origin(line, fields)
        if is_kept and (line.strip() or (lines and lines[-1].strip())):
            lines.append(line)
    _trim(lines, fields, lines.popleft, 0)
    if "title" not in fields and lines and len(lines[0]) <= _LONGEST_TITLE:
        fields["title"] = title = lines.popleft()
        _trim(lines, fields, lines.popleft, 0)
    _trim(lines, fields, lines.pop, -1)
    if title and not lines:
        lines.append(str(fields.pop("title")))  # A lone line is no headline.
    return {**fields, "text": "\n".join(lines)}


def _is_furniture(line: str) -> bool:
    stripped = line.strip()
    if not stripped:
        return False
    has_letter = any(character.isalpha() for character in stripped)
    return not has_letter or stripped.casefold().rstrip(" .:!…") in _FURNITURE


def _trim(
    lines: deque[str], fields: dict[str, object], take: Callable[[], str], end: Literal[0, -1]
) -> None:
    """Take header or footer lines and blank ones off one end of the lines."""
    while lines and (not lines[end].strip() or _take_header(lines[end], fields)):
        take()


def _take_header(line: str, fields: dict[str, object]) -> bool:
    """Read a line such as "Source: The Courier" into the fields; say whether it is one."""
    line = line.strip()
    if len(line) > _LONGEST_TITLE:
        return False
    if not (match := _HEADER.fullmatch(line)):
        # Before the title, "By Any Means" is the title.
        is_byline = "title" in fields and bool(_BYLINE.fullmatch(line)) and _is_name(line[3:])
        if is_byline:
            fields.setdefault("author", line[3:])
        return is_byline
    name, value = _HEADER_NAMES.get(match["name"].casefold()), match["value"]
    if name == "source" and not _is_name(value) and not _ADDRESS.fullmatch(value):
        return False  # A headline: "Source: Rovers to sign a new keeper".
    if name and value and (name != "published" or parse_date(value)):
        fields.setdefault(name, value)
    return True


def _is_name(text: str) -> bool:
    """Tell "Ann Lee and Bo Ek, Staff Writers" from the words of a sentence."""
    words = text.removeprefix("the ").split()
    return all(not w[0].isalpha() or w[0].isupper() or w in _SMALL_WORDS for w in words)


def _take_origin(line: str, fields: dict[str, object]) -> bool:
    """Read a line such as "Original Story at www.example.com – 2023-08-14" into the fields."""
    match = _ORIGIN.fullmatch(line.strip()) if len(line) <= _LONGEST_TITLE else None
    if not match:
        return False
    where, when = match["where"], match["when"]
    published = parse_date(when or where)
    is_address = bool(_ADDRESS.fullmatch(where))
    if not is_address and not published:
        return False
    if published:
        fields.setdefault("published", when or where)
    if where.casefold().startswith("http"):
        fields.setdefault("url", where)
    elif is_address:
        fields.setdefault("source", where.partition("/")[0].lower())
    elif when:
        fields.setdefault("source", where)
    return True
