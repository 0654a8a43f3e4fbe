"""ui.render: what all pages share. tests/test_hostile.py sends hostile text through all of it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from markup import addresses, parse, words

from rag import Article, Citation
from ui import render


def article(text: str = "First fact. Second fact.", **fields: object) -> Article:
    given = {"id": "a1", "title": "A title", "source": "The Paper", "published": date(2023, 8, 4)}
    return Article(text=text, **{**given, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given, shown",
    [
        ("<b> & \"x\" 'y'", "&lt;b&gt; &amp; &quot;x&quot; &#x27;y&#x27;"),
        ("a\0b\x1b[31m\x7f", "a␀b␛[31m␡"),
        ("exe\u202egpj \u2066a\u2069 \x85\x9b", "exe�gpj �a� ��"),
        ("tab\tline\nend", "tab\tline\nend"),
        ("a\r\nb", "a&#13;\nb"),
        ("\ud800 \ufffe \U000e0041", "� � �"),
        ("e" + "\u0301" * 10, "e" + "\u0301" * 8 + "��"),
        ("مرحبا \u200f – 👩‍👩‍👧 ❤️", "مرحبا \u200f – 👩‍👩‍👧 ❤️"),
    ],
)
def test_text_is_escaped_and_its_controls_are_visible(given: str, shown: str) -> None:
    assert render.text(given) == shown


def test_a_flag_of_a_country_in_a_country_is_no_hidden_text() -> None:
    wales = "🏴" + "".join(chr(0xE0000 + ord(c)) for c in "gbwls") + "\U000e007f"
    assert render.visible(f"{wales}!") == f"{wales}!"
    assert render.visible(f"x{wales[1:]}!") == "x������!"


def test_what_the_server_gets_back_is_exact() -> None:
    given = "x\" y='z' & \x1b\u202e\r\n\t<"
    button = parse(f'<button data-x="{render.exact(given)}">x</button>').find(".//button")
    assert button.get("data-x") == given
    assert render.exact("a\0\udfff") == "a��"


@pytest.mark.parametrize(
    "value, limit, shown",
    [
        ("a  b\nc", 9, "a b c"),
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("abcd efg", 6, "abcd…"),
        (" " * 100 + "x", 6, "…"),
        ("", 6, ""),
    ],
)
def test_cutting_leaves_one_line(value: str, limit: int, shown: str) -> None:
    assert render.cut(value, limit) == shown


@pytest.mark.parametrize(
    "days, told",
    [
        (-1, ""),
        (0, "today"),
        (1, "yesterday"),
        (13, "13 days ago"),
        (14, "2 weeks ago"),
        (60, "8 weeks ago"),
        (61, "2 months ago"),
        (730, "23 months ago"),
        (731, "2 years ago"),
        (4000, "10 years ago"),
    ],
)
def test_the_age_of_a_day(days: int, told: str) -> None:
    today = date(2024, 5, 6)
    assert render.age(today - timedelta(days), today) == told


def test_a_byline_has_outlet_day_and_age() -> None:
    line = words(render.byline(article(), date(2023, 8, 7)))
    assert line == "The Paper · 4 August 2023 · 3 days ago"
    assert words(render.byline(article(source=None))) == "4 August 2023"
    assert render.byline(article(source=None, published=None), date(2023, 8, 7)) == ""


def test_a_title_is_never_blank() -> None:
    assert render.headline(article(title=" \n ")) == "Untitled"
    assert render.headline(article(title="A  title")) == "A title"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "javascript://evil.example/%0aalert(1)",
        "ftp://paper.example/a",
        "file:///etc/passwd",
        "//evil.example/x",
        "https:evil",
        "http://",
        "https://[bad",
        "https://a.example/a b",
        "https://a.example\\@evil.example/",
        "https://a.example@evil.example/",
        "https://a.example:port/",
        "https://a.example:99999/",
        "https://a<b/",
        "https://a%00.example/",
        "https://a.example/\u202etxt",
        "https://" + "ä" * 300 + ".example/",
        "https://a.example/" + "a" * 2000,
        "",
        None,
    ],
)
def test_what_is_no_web_address_is_not_linked(url: str | None) -> None:
    assert render.safe_url(url) is None
    assert addresses(render.link(url)) == set()


@pytest.mark.parametrize(
    "url, linked, shown",
    [
        ('https://paper.example/a?b=1&c="2"', 'https://paper.example/a?b=1&c="2"', "paper.example"),
        ("http://Paper.Example:8080/", "http://Paper.Example:8080/", "paper.example"),
        ("https://[::1]:80/x", "https://[::1]:80/x", "::1"),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/ä", "xn--bcher-kva.example"),
        ("https://раper.example:1/", "https://xn--per-5cd3f.example:1/", "xn--per-5cd3f.example"),
    ],
)
def test_a_link_names_its_host_and_leaves_no_way_back(url: str, linked: str, shown: str) -> None:
    page = parse(render.link(url))
    (anchor,) = page.iter("a")
    assert anchor.get("href") == linked
    assert anchor.text_content() == shown
    assert anchor.get("target") == "_blank"
    assert "noopener" in anchor.get("rel")


def test_numbers_count_citations_once_in_their_order() -> None:
    first, second = Citation(article(), 0, 11), Citation(article(), 12, 24)
    assert list(render.number([second, first, second]).items()) == [(second, 1), (first, 2)]


def test_an_error_is_a_sentence() -> None:
    assert words(render.error_html("the model is missing")) == "The model is missing."
    assert words(render.error_html("Twice.")) == "Twice."
