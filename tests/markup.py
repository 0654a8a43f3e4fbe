"""What a parser makes of some HTML: the elements, the addresses, the text."""

from __future__ import annotations

from typing import Any

from lxml import html

ADDRESSES = {
    "action", "background", "cite", "data", "formaction", "href", "ping", "poster", "src", "srcdoc",
    "srcset", "xlink:href",
}  # fmt: skip

Skeleton = tuple[str, tuple[str, ...], tuple["Skeleton", ...]]


def parse(markup: str) -> Any:
    """The markup inside one `div`; a line end is read as a browser reads it."""
    lines = markup.replace("\r\n", "\n").replace("\r", "\n")
    page = f'<html><body><div id="all">{lines}</div></body></html>'
    return html.document_fromstring(page, parser=html.HTMLParser(huge_tree=True))


def skeleton(markup: str) -> Skeleton:
    """Elements with the names of their attributes, and nothing that they hold."""
    return _bones(parse(markup))


def _bones(element: Any) -> Skeleton:
    assert isinstance(element.tag, str), f"a comment or an instruction: {element!r}"
    return (element.tag, tuple(sorted(element.attrib)), tuple(map(_bones, element)))


def addresses(markup: str) -> set[str]:
    """The values of all attributes that a browser might fetch or follow."""
    elements = parse(markup).iter()
    return {e.attrib[name] for e in elements for name in e.attrib if name in ADDRESSES}


def words(markup: str) -> str:
    """All text, with single blanks."""
    return " ".join(parse(markup).text_content().split())


def texts(markup: str, css_class: str) -> list[str]:
    """The text of each element of a class, as it stands."""
    return [element.text_content() for element in parse(markup).find_class(css_class)]
