from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag import files
from rag.errors import SourceError
from rag.sources import Record, article_id, count_records, find_files, load
from rag.types import Article, Failure

PIER = (
    "The harbour board voted on Tuesday to close the north pier for repairs, after divers "
    "found cracks in eleven of its forty piles."
)
FERRY = "Ferries will use the south pier until spring, and the fish market moves to the old depot."


def read(*paths: Path) -> tuple[list[Record], list[Failure]]:
    results = list(load(paths))
    records = [result for result in results if isinstance(result, Record)]
    return records, [result for result in results if isinstance(result, Failure)]


def article_of(path: Path) -> Article:
    records, failures = read(path)
    assert failures == []
    (record,) = records
    assert record.origin == os.path.realpath(path)
    return record.article


def failure_of(path: Path) -> Failure:
    records, failures = read(path)
    assert records == []
    (failure,) = failures
    return failure


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def lines_of(*values: object) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


# Scraped text.

SCRAPED = f"""\
Harbour board closes north pier

17

{PIER}

Advertisement

{FERRY}

Original Story at www.harbourpost.example – 2023-08-14 03:02:30

Comments are closed.

×
"""


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
        f"<!doctype html><html><head><title>North pier closes - Harbour Post</title>{head}</head>"
        "<body><nav><a href='/'>Home</a></nav><article><h1>North pier closes</h1>"
        f"{body}<p>{PIER} {PIER}</p><p>{FERRY} {FERRY}</p></article>"
        "<footer>Copyright 2021 Harbour Post</footer></body></html>"
    )


def test_html(tmp_path: Path) -> None:
    head = (
        '<meta property="article:published_time" content="2023-08-14T23:02:30-07:00">'
        '<meta property="og:site_name" content="Harbour Post">'
        '<link rel="canonical" href="https://www.harbour.example/a/north-pier">'
    )
    article = article_of(write(tmp_path / "a.html", page(head)))
    assert article.title == "North pier closes"
    assert article.text == f"{PIER} {PIER}\n{FERRY} {FERRY}"
    assert (article.source, article.published) == ("Harbour Post", date(2023, 8, 14))
    assert article.url == "https://www.harbour.example/a/north-pier"


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


# JSON lines.


def test_json_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        "\ufeff"
        + lines_of(
            {"id": "p1", "url": " https://www.post.example/a ", "title": " A\nB ", "text": PIER}
            | {"published": "Mon, 14 Aug 2023 03:02:30 GMT"}
        )
        + "\n"
        + lines_of({"text": FERRY, "source": " Harbour Post ", "published": 1691982150}).strip(),
    )
    records, failures = read(path)
    assert failures == []
    assert [record.origin for record in records] == [f"{path}#p1", f"{path}#3"]
    first, second = (record.article for record in records)
    assert (first.title, first.text, first.source) == ("A B", PIER, "www.post.example")
    assert first.url == "https://www.post.example/a"
    assert first.published == second.published == date(2023, 8, 14)
    assert (second.source, second.url, second.text) == ("Harbour Post", None, FERRY)
    assert (
        second.title
        == "Ferries will use the south pier until spring, and the fish market moves to the"
    )


BAD_RECORDS = [
    ('{"text": "a"', "is not JSON: Expecting ',' delimiter (column 13)"),
    ("[1]", "must be an object with named values, not a list"),
    ("null", "must be an object with named values, not null"),
    ("7", "must be an object with named values, not a number"),
    ("{}", "has no text"),
    ('{"text": null}', "has no text"),
    ('{"text": " 53 \\u0000"}', "has no text"),
    ('{"text": ["a"]}', '"text" must be text, not a list'),
    ('{"text": "a", "title": 5}', '"title" must be text, not a number'),
    ('{"text": "a", "source": {"name": "x"}}', '"source" must be text, not an object'),
    ('{"text": "a", "url": true}', '"url" must be text, not true or false'),
    ('{"text": "a", "id": 1.5}', '"id" must be text, not a number'),
    ('{"text": "a", "published": ["2023-08-14"]}', '"published" must be a date, not a list'),
    ('{"text": ' + "9" * 5000 + "}", "is JSON with too long a number or too deep a nesting"),
    ("[" * 100_000, "is JSON with too long a number or too deep a nesting"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_RECORDS)
def test_a_bad_line_is_named_and_the_rest_is_read(tmp_path: Path, line: str, reason: str) -> None:
    path = write(
        tmp_path / "a.jsonl", f"{lines_of({'text': PIER})}\n{line}\n{lines_of({'text': FERRY})}"
    )
    records, failures = read(path)
    assert [record.article.text for record in records] == [PIER, FERRY]
    assert [record.origin for record in records] == [f"{path}#1", f"{path}#4"]
    assert failures == [Failure(f"{path}:3", reason)]


def test_an_overlong_line_is_skipped_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LINE_LIMIT", 100_000)
    monkeypatch.setattr(files, "_SAMPLE", 10_000)
    path = tmp_path / "a.jsonl"
    with path.open("w") as file:
        file.write(lines_of({"text": PIER}))
        for _ in range(300):
            file.write("x" * 100_000)
        file.write("\n" + lines_of({"text": FERRY}))
        file.write("y" * 100_001)
    tracemalloc.start()
    try:
        records, failures = read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000
    assert [record.article.text for record in records] == [PIER, FERRY]
    assert failures == [
        Failure(f"{path}:{line}", "is longer than 100,000 bytes") for line in (2, 4)
    ]


def test_a_line_of_just_the_limit_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = json.dumps({"text": PIER})
    monkeypatch.setattr(files, "LINE_LIMIT", len(line))
    records, failures = read(write(tmp_path / "a.jsonl", f"{line}\n{line} \n{line}"))
    assert len(records) == 2
    assert [failure.place for failure in failures] == [f"{tmp_path}/a.jsonl:2"]


def test_compressed_json_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.JSONL.gz", gzip.compress(lines_of({"text": PIER}).encode()))
    records, failures = read(path)
    assert failures == []
    assert [(record.origin, record.article.text) for record in records] == [(f"{path}#1", PIER)]


@pytest.mark.parametrize("damage", ["cut", "crc", "trailing"])
def test_a_damaged_archive_gives_what_stands_before_the_damage(tmp_path: Path, damage: str) -> None:
    # Random ids keep the stream long, so that its end lies well behind the first records.
    values = [{"id": os.urandom(400).hex(), "text": f"{PIER} {n}"} for n in range(300)]
    data = bytearray(gzip.compress(lines_of(*values).encode()))
    if damage == "cut":
        del data[len(data) // 2 :]
    elif damage == "crc":
        data[-8] ^= 0xFF
    else:
        data += b"trailing rubbish"
    path = write(tmp_path / "a.jsonl.gz", bytes(data))
    results = list(load([path]))
    texts = [result.article.text for result in results if isinstance(result, Record)]
    assert len(texts) >= 100
    assert texts == [f"{PIER} {n}" for n in range(len(texts))]
    last = results[-1]
    assert isinstance(last, Failure)
    assert last.reason.startswith("the file is damaged from here on: ")
    assert last.place == f"{path}:{len(results)}"


def test_a_file_that_is_not_compressed_at_all(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl.gz", lines_of({"text": PIER}))
    assert failure_of(path).place == f"{path}:1"


def test_ids_used_twice_keep_both_records(tmp_path: Path) -> None:
    values = [{"id": "3", "text": PIER}, {"id": "a", "text": PIER}, {"text": FERRY}]
    path = write(tmp_path / "a.jsonl", lines_of(*values, {"id": "a", "text": FERRY}))
    records, failures = read(path)
    assert failures == []
    assert len({record.origin for record in records}) == 4
    assert [record.origin for record in read(path)[0]] == [record.origin for record in records]


def test_loading_is_lazy(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", lines_of({"text": PIER}) + "broken\n")
    results = load([path, write(tmp_path / "b.txt", SCRAPED)])
    assert isinstance(next(results), Record)
    (tmp_path / "b.txt").unlink()
    assert [str(result) for result in results] == [
        f"{path}:2: is not JSON: Expecting value (column 1)",
        f"{tmp_path}/b.txt: cannot be read: it is no file, or a folder without access",
    ]


# JSON.


@pytest.mark.parametrize("wrap", [list, lambda values: {"articles": values, "total": 3}])
def test_json_lists(tmp_path: Path, wrap: type[list[object]]) -> None:
    values = [{"text": PIER}, {"title": 7, "text": PIER}, {"id": 12, "text": FERRY}]
    path = write(tmp_path / "a.json", json.dumps(wrap(values)))
    records, failures = read(path)
    assert [record.origin for record in records] == [f"{path}#1", f"{path}#12"]
    assert [record.article.text for record in records] == [PIER, FERRY]
    assert failures == [Failure(f"{path}#2", '"title" must be text, not a number')]


def test_json_of_one_article(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", json.dumps({"id": "x", "text": PIER}, indent=1))
    assert article_of(path).text == PIER


@pytest.mark.parametrize(
    ("content", "place", "reason"),
    [
        ('{\n "text": oops}', ":2", "is not JSON: Expecting value (column 10)"),
        ("", ":1", "is not JSON: Expecting value (column 1)"),
        ('"text"', "", "must be an object with named values, not text"),
        ('{"articles": 5}', "", "has no text"),
        ("[[]]", "#1", "must be an object with named values, not a list"),
    ],
)
def test_bad_json(tmp_path: Path, content: str, place: str, reason: str) -> None:
    path = write(tmp_path / "a.json", content)
    assert failure_of(path) == Failure(f"{path}{place}", reason)


# CSV.


def csv_of(*rows: list[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue()


def test_csv(tmp_path: Path) -> None:
    content = csv_of(
        ["id", " Title ", "text", "published", "url"],
        ["a1", "Pier, closed", f'{PIER}\n\n"{FERRY}"', "14.08.2023", "https://post.example/a"],
        [],
        ["", "", FERRY],
    )
    path = write(tmp_path / "a.csv", "\ufeff" + content)
    records, failures = read(path)
    assert failures == []
    assert [record.origin for record in records] == [f"{path}#a1", f"{path}#6"]
    first = records[0].article
    assert (first.title, first.text) == ("Pier, closed", f'{PIER}\n\n"{FERRY}"')
    assert (first.source, first.published) == ("post.example", date(2023, 8, 14))


def test_bad_csv_rows(tmp_path: Path) -> None:
    content = f'title,text\nA,"{PIER}"\nB,\nC,x,y\nD,"a"b\nE,"{FERRY}\n{FERRY}"\nF,"never closed\n'
    path = write(tmp_path / "a.csv", content)
    records, failures = read(path)
    assert [record.article.title for record in records] == ["A", "E"]
    assert failures == [
        Failure(f"{path}:3", "has no text"),
        Failure(f"{path}:4", "has 3 columns, but the header has 2"),
        Failure(f"{path}:5", "is not CSV: ',' expected after '\"'"),
        Failure(f"{path}:8", "is not CSV: unexpected end of data"),
    ]


def test_csv_without_a_text_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "\nheadline;body\na;b\n")
    assert failure_of(path) == Failure(f"{path}:2", 'must be a header row with a column "text"')


def test_an_overlong_csv_line_spoils_its_own_row_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LINE_LIMIT", 300)
    content = f'title,text\nA,"{PIER}\n{"x" * 400}\nend"\nB,"{FERRY}"\nC,{"x," * 200}\nD,"{PIER}"\n'
    path = write(tmp_path / "a.csv", content)
    records, failures = read(path)
    assert [record.article.title for record in records] == ["B", "D"]
    assert failures == [Failure(f"{path}:{line}", "is longer than 300 bytes") for line in (3, 6)]


# Any format.


def test_an_encoding_other_than_utf8(tmp_path: Path) -> None:
    text = "Совет порта решил закрыть северный причал на ремонт, сообщил мэр города во вторник."
    plain = write(tmp_path / "a.txt", f"Причал закрыт\n\n{text}".encode("cp1251"))
    assert article_of(plain).text == text
    wide = write(tmp_path / "b.txt", f"Причал закрыт\n\n{text}".encode("utf-16"))
    assert article_of(wide).text == text
    table = write(
        tmp_path / "c.csv", f'title,text\nA,plain\nB,"{text}"\nC,"{text}"\n'.encode("cp1251")
    )
    records, failures = read(table)
    assert failures == []
    assert [record.article.text for record in records] == ["plain", text, text]


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.json", "a.jsonl", "a.csv"])
def test_bytes_that_are_no_text(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, b"\x81\xff\xfe\x00\x9d" * 3)
    failure = failure_of(path)
    assert failure.place.startswith(str(path))


def test_a_line_that_is_no_text_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_guess_encoding", lambda data: "ascii")
    content = lines_of({"text": PIER}).encode() + b'{"text": "\xff"}\n'
    path = write(tmp_path / "a.jsonl", content + lines_of({"text": FERRY}).encode())
    records, failures = read(path)
    assert [record.article.text for record in records] == [PIER, FERRY]
    assert failures == [
        Failure(f"{path}:2", "is not text in UTF-8 or another encoding that can be told")
    ]


def test_text_is_made_storable_without_moving_offsets(tmp_path: Path) -> None:
    value = {"text": "pier\ud800\0é\U0001f600 end\r\nx\ry", "title": "a\udfffb"}
    path = write(tmp_path / "a.jsonl", lines_of(value))
    ((record,), _) = read(path)
    assert record.article.text == "pier\ufffd\ufffdé\U0001f600 end\nx\ny"
    assert record.article.title == "a\ufffdb"


def test_a_file_above_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FILE_LIMIT", 1000)
    for name in ("a.txt", "a.md", "a.html", "a.json"):
        path = write(tmp_path / name, "a" * 1001)
        assert failure_of(path) == Failure(str(path), "is larger than 1,000 bytes")
    assert len(read(write(tmp_path / "a.jsonl", lines_of(*[{"text": PIER}] * 20)))[0]) == 20


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://post.example/a",
        "http://",
        "https://[bad/a",
        "https://post.example/a b",
        "https://post.example/a\nb",
        "post.example/a",
        " ",
    ],
)
def test_only_web_addresses_are_kept(tmp_path: Path, url: str) -> None:
    ((record,), _) = read(write(tmp_path / "a.jsonl", lines_of({"text": PIER, "url": url})))
    assert record.article.url is None
    assert record.article.source is None


def test_titles_from_the_first_words(tmp_path: Path) -> None:
    texts = ["Short\n text", "a" * 200, f"{'word ' * 16}x"]
    path = write(tmp_path / "a.jsonl", lines_of(*[{"text": text} for text in texts]))
    titles = [record.article.title for record in read(path)[0]]
    assert titles == ["Short text", "a" * 80, ("word " * 16).strip()]


# Identity.


def test_the_id_is_of_the_canonical_address_first() -> None:
    plain = article_id("https://post.example/a", "x")
    assert plain == article_id("https://POST.example/a?utm_source=feed", "y")
    assert plain != article_id("https://post.example/b", "x")
    assert len(plain) == 16
    assert int(plain, 16) >= 0
    assert article_id(None, "x") == article_id("", "x") == article_id("no address", "x")
    assert article_id(None, "x") != article_id(None, "y")
    assert article_id("http://[bad", "x") == article_id(None, "x")


def test_addresses_that_differ_in_a_bare_query_are_two_articles() -> None:
    first = article_id("https://post.example/story.php?20230814", "")
    assert first != article_id("https://post.example/story.php?20230815", "")


def test_the_explicit_id_stands_in_for_the_content(tmp_path: Path) -> None:
    values: list[dict[str, object]] = [
        {"id": "a", "text": PIER},
        {"id": "a", "text": FERRY},
        {"id": "a", "text": FERRY, "url": "https://post.example/a"},
        {"text": FERRY},
        {"text": FERRY},
    ]
    path = write(tmp_path / "a.jsonl", lines_of(*values))
    ids = [record.article.id for record in read(path)[0]]
    assert ids[0] == ids[1]
    assert ids[2] == article_id("https://post.example/a", "")
    assert ids[3] == ids[4]
    assert len(set(ids)) == 3


# Folders.


def test_folders_are_walked_in_order(tmp_path: Path) -> None:
    names = ["b.txt", "a.md", "sub/c.HTML", "sub/deep/d.jsonl", "e.jsonl.gz", "README.md"]
    names += ["readme.txt", ".hidden.txt", ".git/x.txt", "picture.png", "notes", "x.gz"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, "text")
    found = find_files([tmp_path])
    wanted = ["a.md", "b.txt", "e.jsonl.gz", "sub/c.HTML", "sub/deep/d.jsonl"]
    assert [str(path.relative_to(tmp_path)) for path in found] == wanted
    assert find_files([tmp_path / "b.txt", tmp_path, tmp_path / "sub/../b.txt"])[0].name == "b.txt"
    assert len(find_files([tmp_path / "b.txt", tmp_path, tmp_path / "sub/../b.txt"])) == 5
    assert find_files(found) == found


def test_the_count_is_what_loading_yields(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", SCRAPED)
    write(tmp_path / "b.jsonl", lines_of({"text": PIER}, 5, {"text": FERRY}) + "\n\nbroken")
    write(tmp_path / "c.json", json.dumps([{"text": PIER}, {}]))
    write(tmp_path / "d.csv", 'title,text\nA,x\nB,"x\ny"\nC,"z"z\n')
    write(tmp_path / "e.csv", "no,columns\n1,2\n")
    write(tmp_path / "f.jsonl.gz", gzip.compress(lines_of({"text": PIER}).encode())[:-4])
    assert count_records([tmp_path]) == len(list(load([tmp_path]))) == 13


def test_named_files_are_always_read(tmp_path: Path) -> None:
    readme = write(tmp_path / "README.md", f"# Pier\n\n{PIER}")
    assert article_of(readme).text == PIER
    picture = write(tmp_path / "picture.png", "x")
    failure = failure_of(picture)
    assert failure.place == str(picture)
    assert failure.reason.startswith("is none of the supported kinds: .txt, .md, ")


def test_a_missing_path_is_an_error_at_once(tmp_path: Path) -> None:
    path = tmp_path / "missing"
    with pytest.raises(SourceError) as caught:
        load([write(tmp_path / "a.txt", SCRAPED), path])
    assert str(caught.value) == f"{path}: does not exist"


def test_things_that_are_no_files_do_not_stop_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "z.txt", SCRAPED)
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "loop.txt").symlink_to(tmp_path / "loop.txt")
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "folder.txt/back").symlink_to(tmp_path)
    records, failures = read(tmp_path)
    assert len(records) == 1
    assert [Path(failure.place).name for failure in failures] == ["loop.txt", "pipe.txt"]


def test_files_and_folders_without_access() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        write(folder / "a.txt", SCRAPED).chmod(0)
        (folder / "locked").mkdir(mode=0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)  # root may read everything, nobody may not
        try:
            records, failures = read(folder)
        finally:
            os.seteuid(user)
            (folder / "locked").chmod(0o700)
    assert records == []
    assert [Path(failure.place).name for failure in failures] == ["a.txt", "locked"]


def test_a_file_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))
    try:
        write(path, SCRAPED)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    ((record,), _) = read(tmp_path)
    assert record.origin.endswith("/caf\\xe9.txt")
    assert record.origin.encode()


# Anything at all.

SUFFIXES = [".txt", ".md", ".html", ".htm", ".jsonl", ".jsonl.gz", ".json", ".csv"]
FRAGMENTS = [b"---\n", b"title: x\n", b"# ", b"text,title\n", b'"', b",", b"\n", b"\r", b"\0", b"a"]
FRAGMENTS += [b"<p>", b"</p>", b"<html>", b'{"text": "ab"}\n', b"\xff", b"\xed\xa0\x80", b"\\ud800"]
FRAGMENTS += [b"Source: A\n", b"By A\n", b"[", b"{", b"]", b"}", b": ", b"&a *a", PIER.encode()]
CONTENTS = st.one_of(
    st.binary(max_size=400),
    st.lists(st.sampled_from(FRAGMENTS), max_size=20).map(b"".join),
    st.text(max_size=200).map(str.encode),
)


@given(st.sampled_from(SUFFIXES), CONTENTS, st.booleans())
@settings(max_examples=250, deadline=None)
def test_any_bytes_give_storable_records_or_failures(
    suffix: str, content: bytes, is_compressed: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = gzip.compress(content) if suffix.endswith("gz") and is_compressed else content
        path = write(Path(folder, f"a{suffix}"), data)
        for result in load([path]):
            assert_storable(result, str(path))


def assert_storable(result: Record | Failure, path: str) -> None:
    if isinstance(result, Failure):
        assert result.place.startswith(path)
        assert result.reason.encode()
        return
    article = result.article
    assert result.origin.startswith(os.path.realpath(path))
    for value in (result.origin, article.title, article.text, article.source, article.url):
        assert value is None or (value.encode() and "\0" not in value)
    assert "\r" not in article.text
    assert any(character.isalpha() for character in article.text)
    assert article.title


def json_values() -> st.SearchStrategy[object]:
    simple = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30))
    return st.one_of(simple, st.lists(simple, max_size=2), st.just({"a": 1}))


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["id", "url", "title", "text", "published", "date", "source"]),
            st.one_of(json_values(), st.sampled_from(["https://a.example/x?y", "\ud800\0 a"])),
        ),
        max_size=4,
    )
)
@settings(max_examples=100, deadline=None)
def test_any_values_give_one_result_each(values: list[dict[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder, "a.jsonl"), lines_of(*values))
        results = list(load([path]))
        for result in results:
            assert_storable(result, str(path))
    origins = [result.origin for result in results if isinstance(result, Record)]
    assert len(results) == len(values)
    assert len(set(origins)) == len(origins)


def heavy_modules() -> Iterator[str]:
    yield from ("trafilatura", "lxml", "dateparser", "frontmatter", "yaml", "courlan")
    yield "charset_normalizer"


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, rag.sources; print(*sys.modules)"
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert not set(heavy_modules()) & set(done.stdout.split())
