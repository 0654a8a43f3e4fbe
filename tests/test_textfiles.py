from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from inputs import FERRY, PIER, SCRAPED, article_of, failure_of, write

from rag.reports import Failure

# Scraped text.


def test_a_scraped_text(tmp_path: Path) -> None:
    article = article_of(write(tmp_path / "pier.txt", SCRAPED))
    assert article.title == "Harbour board closes north pier"
    assert article.text == f"{PIER}\n\n{FERRY}"
    assert article.source == "www.harbourpost.example"
    assert article.published == date(2023, 8, 14)
    assert article.url is None


def test_header_lines_above_and_below_the_title(tmp_path: Path) -> None:
    content = (
        "Source: The Harbour Post\nURL: https://post.example/pier\n\nPier closes\n"
        f"By Ann Lee and Bo Ek, Staff Writers\nPublished: August 14, 2023\n\n{PIER}\n"
    )
    article = article_of(write(tmp_path / "a.txt", content))
    assert (article.title, article.text) == ("Pier closes", PIER)
    assert (article.source, article.url) == ("The Harbour Post", "https://post.example/pier")
    assert article.published == date(2023, 8, 14)
    assert article.author == "Ann Lee and Bo Ek, Staff Writers"


def test_footer_lines(tmp_path: Path) -> None:
    content = f"Pier closes\n\n{PIER}\n\nSource: post.example\nDate: 14.08.2023\nShare this\n"
    article = article_of(write(tmp_path / "a.txt", content))
    assert article.text == PIER
    assert (article.source, article.published) == ("post.example", date(2023, 8, 14))


@pytest.mark.parametrize(
    ("line", "source", "url", "published"),
    [
        ("Originally published at https://post.example/a – 14 August 2023", "post.example", 1, 1),
        ("Originally published on August 14, 2023", None, None, 1),
        ("Original story at The Harbour Post - 2023-08-14", "The Harbour Post", None, 1),
        ("Original Article at post.example/pier on 2023-08-14", "post.example", None, 1),
        ("Originally published at WWW.Post.example", "www.post.example", None, None),
    ],
)
def test_origin_lines(
    tmp_path: Path, line: str, source: str | None, url: int | None, published: int | None
) -> None:
    article = article_of(write(tmp_path / "a.txt", f"Pier closes\n\n{PIER}\n\n{line}\n\nMore\n"))
    assert article.text == f"{PIER}\n\nMore"
    assert article.source == source
    assert article.url == ("https://post.example/a" if url else None)
    assert article.published == (date(2023, 8, 14) if published else None)


@pytest.mark.parametrize(
    "paragraph",
    [
        "By Monday the pier had closed, and the boats were gone",
        "Source: a clerk who asked not to be named said the pier was unsafe",
        "Originally published in 1984, the harbour plan was never carried out.",
        "Read more about the pier in our long report on Sunday.",
        "The cost: 3 million.",
        "  An indented line,  with\tits own spaces ",
    ],
)
def test_paragraphs_that_only_look_like_furniture_stay(tmp_path: Path, paragraph: str) -> None:
    article = article_of(write(tmp_path / "a.txt", f"Pier closes\n\n{paragraph}\n\n{FERRY}"))
    assert article.text == f"{paragraph}\n\n{FERRY}"
    article = article_of(write(tmp_path / "b.txt", f"Pier closes\n\n{FERRY}\n\n{paragraph}"))
    assert article.text == f"{FERRY}\n\n{paragraph}"


@pytest.mark.parametrize("title", ["Source: Rovers to sign a new keeper", "By Any Means"])
def test_headlines_that_look_like_headers_are_headlines(tmp_path: Path, title: str) -> None:
    article = article_of(write(tmp_path / "a.txt", f"{title}\n\n{FERRY}\n"))
    assert (article.title, article.text) == (title, FERRY)


def test_a_lone_line_is_the_text(tmp_path: Path) -> None:
    article = article_of(write(tmp_path / "a.txt", f"{PIER}\n\n53\n"))
    assert article.text == PIER
    assert (
        article.title
        == "The harbour board voted on Tuesday to close the north pier for repairs, after"
    )


def test_a_long_first_paragraph_is_no_title(tmp_path: Path) -> None:
    content = f"{PIER} {PIER}\n\n{FERRY}"
    assert article_of(write(tmp_path / "a.txt", content)).text == content


# Markdown.


def test_markdown_with_front_matter(tmp_path: Path) -> None:
    content = (
        "---\ntitle: 'Pier: closed'\noutlet: Harbour Post\nurl: https://post.example/p\n"
        f"date: 2023-08-14T23:30:00-07:00\nid: 007\n---\n\n# Background\n\n{PIER}\n"
    )
    article = article_of(write(tmp_path / "pier.md", content))
    assert article.title == "Pier: closed"
    assert article.text == f"Background\n\n{PIER}"
    assert (article.source, article.url) == ("Harbour Post", "https://post.example/p")
    assert article.published == date(2023, 8, 14)


def test_markdown_values_are_taken_as_written(tmp_path: Path) -> None:
    content = f"---\r\nTitle: 1984\r\nsource: ~\r\npublished: 20230814\r\n---\r\n{PIER}\r\n"
    article = article_of(write(tmp_path / "a.md", content))
    assert (article.title, article.source) == ("1984", None)
    assert (article.published, article.text) == (date(2023, 8, 14), PIER)


def test_markdown_title_from_the_heading(tmp_path: Path) -> None:
    article = article_of(write(tmp_path / "a.md", f"# Pier *closes* #\n\n{PIER}\n\n## Next\n"))
    assert (article.title, article.text) == ("Pier closes", f"{PIER}\n\nNext")


def test_markdown_heading_that_repeats_the_title_is_dropped(tmp_path: Path) -> None:
    article = article_of(write(tmp_path / "a.md", f"---\ntitle: Pier\n---\n# Pier\n\n{PIER}"))
    assert (article.title, article.text) == ("Pier", PIER)


def test_markdown_title_from_the_file_name(tmp_path: Path) -> None:
    article = article_of(write(tmp_path / "north-pier.md", f"---\n---\n{PIER}"))
    assert (article.title, article.text) == ("north-pier", PIER)


@pytest.mark.parametrize("content", [f"---\n{PIER}\n", f"---\n\n{PIER}\n\n---\n\n{FERRY}"])
def test_markdown_rules_are_no_front_matter(tmp_path: Path, content: str) -> None:
    expected = "\n\n".join(text for text in (PIER, FERRY) if text in content)
    assert article_of(write(tmp_path / "a.md", content)).text == expected


def test_markdown_marks_are_no_words(tmp_path: Path) -> None:
    content = (
        "**Why now.** The board [met](https://x.example) on *Tuesday*.\n"
        "It ![saw](http://x.example/a.png) `plans` & <b>cuts</b>.\n\n- one\n- two\n\n"
        "> She said no.\n\n<script>alert(1)</script>\n"
    )
    assert article_of(write(tmp_path / "a.md", content)).text == (
        "Why now. The board met on Tuesday. It saw plans & <b>cuts</b>.\n\none\n\ntwo\n\n"
        "She said no.\n\n<script>alert(1)</script>"
    )


@pytest.mark.parametrize(
    ("front", "line"),
    [
        ("title: [open\nsource: x", 3),
        ("\ntitle: a\nb: 'c", 5),
        ("title: a\n\tb: c", 3),
        ('title: "\\U99999999"', 2),
        ("title: a\nb: \x01", 3),
        ("title: " + "[" * 5000, 2),
    ],
)
def test_broken_front_matter_names_file_and_line(tmp_path: Path, front: str, line: int) -> None:
    path = write(tmp_path / "a.md", f"---\n{front}\n---\n{PIER}")
    failure = failure_of(path)
    assert failure.place.rpartition(":")[0] == str(path)
    assert "broken front matter" in failure.reason
    if "[[" not in front and "\\U" not in front:
        assert failure.place == f"{path}:{line}"


def test_front_matter_of_the_wrong_type(tmp_path: Path) -> None:
    failure = failure_of(write(tmp_path / "a.md", f"---\ntitle: [a, b]\n---\n{PIER}"))
    assert failure.reason == '"title" must be text, not a list'


# HTML.


def page(head: str = "", body: str = "") -> str:
    return (
        "<!doctype html><html lang='en-gb'>"
        f"<head><title>North pier closes - Harbour Post</title>{head}</head>"
        "<body><nav><a href='/'>Home</a></nav><article><h1>North pier closes</h1>"
        f"{body}<p>{PIER} {PIER}</p><p>{FERRY} {FERRY}</p></article>"
        "<footer>Copyright 2021 Harbour Post</footer></body></html>"
    )


def test_html(tmp_path: Path) -> None:
    head = (
        '<meta property="article:published_time" content="2023-08-14T23:02:30-07:00">'
        '<meta property="og:site_name" content="Harbour Post">'
        '<link rel="canonical" href="https://www.harbour.example/a/north-pier">'
        '<meta property="article:modified_time" content="2023-08-15T08:00:00+02:00">'
        '<meta property="article:section" content="Harbour"><meta name="author" content="Ann Lee">'
    )
    article = article_of(write(tmp_path / "a.html", page(head)))
    assert article.title == "North pier closes"
    assert article.text == f"{PIER} {PIER}\n{FERRY} {FERRY}"
    assert (article.source, article.published) == ("Harbour Post", date(2023, 8, 14))
    assert article.url == "https://www.harbour.example/a/north-pier"
    assert (article.author, article.section, article.language) == ("Ann Lee", "Harbour", "en-GB")
    assert article.modified == datetime(2023, 8, 15, 6, tzinfo=UTC)


def test_html_with_too_many_tags(tmp_path: Path) -> None:
    path = write(tmp_path / "a.html", "<p>ab</p>" * 40_000)
    assert failure_of(path) == Failure(str(path), "is HTML with more than 60,000 tags")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("", None),  # The year of the copyright line is no date.
        ('<meta name="date" content="03/04/2023">', None),
        ('<meta name="date" content="2023-04-03">', date(2023, 4, 3)),
        ('<meta name="date" content="13/04/2023">', date(2023, 4, 13)),
    ],
)
def test_html_dates_are_not_guessed(tmp_path: Path, head: str, expected: date | None) -> None:
    assert article_of(write(tmp_path / "a.htm", page(head))).published == expected


@pytest.mark.parametrize("content", ["", "x", "<html></html>", "<p></p>", "<!-- -->", "\0\0", "{"])
def test_html_without_an_article(tmp_path: Path, content: str) -> None:
    path = write(tmp_path / "a.html", content)
    assert failure_of(path) == Failure(str(path), "holds no article text")
