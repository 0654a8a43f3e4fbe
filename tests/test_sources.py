from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import FERRY, PIER, SCRAPED, article_of, failure_of, lines_of, read, write

from rag import files
from rag.errors import SourceError
from rag.reports import Failure
from rag.sources import Record, article_id, count_records, find_files, load

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
    monkeypatch.setattr(files, "ARTICLE_LIMIT", 1000)
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


def test_a_place_in_a_page_is_no_article_of_its_own() -> None:
    page = article_id("https://post.example/a", "")
    assert page == article_id("https://post.example/a?utm_medium=rss#comments", "")
    assert page == article_id("https://post.example/a#", "")
    assert page != article_id("https://post.example/a#!/b", "")
    bare = "https://post.example/story.php?20230814"
    assert article_id(f"{bare}#top", "") == article_id(bare, "")


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

SUFFIXES = [".txt", ".md", ".html", ".htm", ".jsonl", ".jsonl.gz", ".json", ".csv", ".tsv"]
SUFFIXES += [".pdf", ".docx", ".eml", ".mbox", ".warc", ".zip", ".html.gz", ".eml.zst"]
FRAGMENTS = [b"---\n", b"title: x\n", b"# ", b"text,title\n", b'"', b",", b"\n", b"\r", b"\0", b"a"]
FRAGMENTS += [b"<p>", b"</p>", b"<html>", b'{"text": "ab"}\n', b"\xff", b"\xed\xa0\x80", b"\\ud800"]
FRAGMENTS += [
    b"From a\n",
    b"Subject: =?utf-8?q?a?=\n",
    b"%PDF-1.4\n",
    b"PK\x03\x04",
    b"WARC/1.0\r\n",
]
FRAGMENTS += [b"Content-Type: text/html; charset=x\n", b"\x28\xb5\x2f\xfd", b"Date: Mon\n", b"\n\n"]
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
    assert len(results) == max(len(values), 1)
    assert len(set(origins)) == len(origins)


def heavy_modules() -> Iterator[str]:
    yield from ("trafilatura", "lxml", "dateparser", "frontmatter", "yaml", "courlan")
    yield from ("charset_normalizer", "pypdf", "docx", "feedparser", "warcio", "zstandard")


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, rag.sources; print(*sys.modules)"
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert not set(heavy_modules()) & set(done.stdout.split())
