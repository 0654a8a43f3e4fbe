from __future__ import annotations

import csv
import gzip
import io
import json
import os
import tracemalloc
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from inputs import FERRY, PIER, SCRAPED, article_of, failure_of, lines_of, read, write

from rag import files
from rag.reports import Failure
from rag.sources import Record, load

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


def test_tsv(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.tsv", f'id\ttitle\ttext\tauthor\n7\tPier, "closed"\t{PIER}\tAnn Lee\n'
    )
    records, failures = read(path)
    assert failures == []
    assert [record.origin for record in records] == [f"{path}#7"]
    assert records[0].article.title == 'Pier, "closed"'
    assert records[0].article.author == "Ann Lee"


def test_a_row_without_end_does_not_take_the_next_ones_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LINE_LIMIT", 500)
    rows = "x,y\n" * 200
    path = write(tmp_path / "a.csv", f'title,text\nA,"{PIER}"\nB,"open\n{rows}C,"{FERRY}"\n')
    records, failures = read(path)
    titles = [record.article.title for record in records]
    assert (titles[0], titles[-1]) == ("A", "C")
    assert failures[0].reason == "is not CSV: a row of more than 500 characters"


# What a record says about its article.


def test_details_of_a_record(tmp_path: Path) -> None:
    value = {"text": PIER, "author": ["Ann Lee", "Bo Ek"], "section": " Harbour\nnews "}
    value |= {"language": "EN_gb", "modified": "2024-03-09T14:30:00+01:00"}
    ((record,), failures) = read(write(tmp_path / "a.jsonl", lines_of(value)))
    assert failures == []
    found = record.article
    assert (found.author, found.section) == ("Ann Lee; Bo Ek", "Harbour news")
    assert (found.language, found.published) == ("en-GB", None)
    assert found.modified == datetime(2024, 3, 9, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("author", {"name": "Ann"}),
        ("author", ["Ann", 7]),
        ("author", ""),
        ("section", True),
        ("language", "English"),
        ("modified", "yesterday"),
        ("modified", ["2024-03-09"]),
    ],
)
def test_details_that_cannot_be_used_are_left_out(tmp_path: Path, name: str, value: object) -> None:
    ((record,), failures) = read(write(tmp_path / "a.jsonl", lines_of({"text": PIER, name: value})))
    assert failures == []
    assert getattr(record.article, name) is None


def test_json_of_too_many_values(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "[" + "[]," * 1_100_000 + "[]]\n" + lines_of({"text": PIER}))
    records, failures = read(path)
    assert len(records) == 1
    assert failures == [Failure(f"{path}:1", "is JSON of more than 2,000,000 values")]


def test_a_long_id_gives_a_short_origin(tmp_path: Path) -> None:
    ((record,), _) = read(write(tmp_path / "a.jsonl", lines_of({"text": PIER, "id": "x" * 9000})))
    assert len(record.origin) < len(str(tmp_path)) + 50
