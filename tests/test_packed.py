from __future__ import annotations

import gzip
import io
import json
import os
import stat
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import zstandard
from inputs import FERRY, PIER, failure_of, lines_of, read, write

from rag import packed
from rag.reports import Failure
from rag.sources import count_records, find_files, load


def zipped(members: dict[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def article(text: str) -> str:
    return f"A title\n\n{text}\n"


def test_a_zip_of_many_kinds(tmp_path: Path) -> None:
    path = write(
        tmp_path / "news.zip",
        zipped(
            {
                "2024/pier.txt": article(PIER),
                "2024/more.jsonl": lines_of({"text": PIER, "id": 7}, {"title": "no text"}),
                "ferry.html.gz": gzip.compress(b"<html><body><p>" + FERRY.encode() * 9),
                "table.csv.zst": zstandard.compress(f'text\n"{FERRY}"\n'.encode()),
                "inner.zip": zipped({"note.md": f"# Note\n\n{PIER}"}),
                "picture.png": b"\x89PNG",
                "README.md": "# About",
                "__MACOSX/2024/pier.txt": "x",
                ".git/a.txt": "x",
            }
        ),
    )
    records, failures = read(path)
    assert [record.origin.removeprefix(str(path)) for record in records] == [
        "/2024/pier.txt",
        "/2024/more.jsonl#7",
        "/ferry.html.gz",
        "/table.csv.zst#2",
        "/inner.zip/note.md",
    ]
    assert [record.is_whole for record in records] == [True, False, True, False, True]
    assert records[0].article.text == PIER
    assert failures == [Failure(f"{path}/2024/more.jsonl:2", "has no text")]
    assert count_records([path]) == len(records) + len(failures)
    assert [p.name for p in tmp_path.iterdir()] == ["news.zip"]  # nothing was unpacked to disk


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst", "a.jsonl.gz.zst", "A.JSONL.ZST"])
def test_one_packed_file(tmp_path: Path, name: str) -> None:
    data = lines_of({"text": PIER}).encode()
    for kind in name.lower().split(".")[2:]:
        data = gzip.compress(data) if kind == "gz" else zstandard.compress(data)
    path = write(tmp_path / name, data)
    records, failures = read(tmp_path)
    assert failures == []
    assert [(record.origin, record.article.text) for record in records] == [(f"{path}#1", PIER)]


def test_what_folders_list(tmp_path: Path) -> None:
    for name in ["a.zip", "b.html.gz", "c.eml.zst", "d.tar.gz", "e.gz", "f.png.zst", ".g.zip"]:
        write(tmp_path / name, "x")
    assert [path.name for path in find_files([tmp_path])] == ["a.zip", "b.html.gz", "c.eml.zst"]
    assert failure_of(tmp_path / "d.tar.gz").reason.startswith("is none of the supported kinds")
    assert failure_of(tmp_path / "b.html.gz").reason == "cannot be read: Not a gzipped file (b'x')"


def test_a_kind_within_that_is_not_supported(tmp_path: Path) -> None:
    failure = failure_of(write(tmp_path / "a.png.gz", gzip.compress(b"x")))
    assert failure.reason.startswith("is none of the supported kinds: .txt, ")


# Broken ones.


def test_a_member_that_is_damaged_does_not_stop_the_next(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.txt": article(PIER), "b.txt": article(FERRY)}, zipfile.ZIP_STORED))
    data[data.index(b"harbour")] ^= 1
    path = write(tmp_path / "a.zip", bytes(data))
    records, failures = read(path)
    assert [record.article.text for record in records] == [FERRY]
    assert failures == [
        Failure(f"{path}/a.txt", "cannot be read: Bad CRC-32 for file 'a.txt'"),
    ]


@pytest.mark.parametrize("cut", [0, 10, 60])
def test_a_zip_that_is_cut(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / "a.zip", zipped({"a.txt": article(PIER)})[:cut])
    assert failure_of(path) == Failure(str(path), "is no readable ZIP file: File is not a zip file")


@pytest.mark.parametrize(
    ("suffix", "reason"),
    [(".gz", "Compressed file ended before"), (".zst", "its end is missing")],
)
def test_a_stream_that_is_cut(tmp_path: Path, suffix: str, reason: str) -> None:
    whole = article(PIER + os.urandom(3000).hex()).encode()
    data = gzip.compress(whole) if suffix == ".gz" else zstandard.compress(whole)
    failure = failure_of(write(tmp_path / f"a.html{suffix}", data[: len(data) // 2]))
    assert failure.reason.startswith(f"cannot be read: {reason}")


def test_a_damaged_zstandard_stream(tmp_path: Path) -> None:
    data = zstandard.compress(article(PIER).encode())
    failure = failure_of(write(tmp_path / "a.txt.zst", data[:8] + b"\xff" * 30))
    assert failure.reason.startswith("cannot be read: ")
    assert failure_of(write(tmp_path / "b.txt.zst", b"no such thing")).place.endswith("b.txt.zst")


def test_members_that_are_not_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("slow.txt", article(PIER), zipfile.ZIP_LZMA)
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("x" * 1001 + ".txt", article(PIER))
        archive.writestr("last.txt", article(FERRY))
    data = bytearray(buffer.getvalue())
    path = write(tmp_path / "a.zip", bytes(data))
    records, failures = read(path)
    assert [record.article.text for record in records] == [FERRY]
    assert [failure.reason for failure in failures] == [
        "is packed in a way that is not read: only Deflate is",
        "is a link, which is not followed",
        "has a name of more than 1,000 characters",
    ]
    assert failures[0].place == f"{path}/slow.txt"


def test_an_encrypted_member(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.txt": article(PIER)}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    path = write(tmp_path / "a.zip", bytes(data))
    assert failure_of(path) == Failure(f"{path}/a.txt", "is encrypted")


# Tricks with names.


def test_names_lead_nowhere(tmp_path: Path) -> None:
    names = ["../../up.txt", "/etc/abs.txt", "C:\\w\\b.txt", "a\nb.txt", "a\u202etxt.exe.txt"]
    (tmp_path / "in").mkdir()
    path = write(tmp_path / "in/a.zip", zipped({name: article(f"{PIER} {name}") for name in names}))
    records, failures = read(path)
    assert failures == []
    assert len(records) == len(names)
    for record in records:
        assert record.origin.startswith(f"{path}/")
        assert record.origin.isprintable()
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.zip", "in"]


def test_two_members_of_one_name_are_both_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", article(PIER))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.txt", article(FERRY))
    records, _ = read(write(tmp_path / "a.zip", buffer.getvalue()))
    assert [record.article.text for record in records] == [PIER, FERRY]
    assert len({record.origin for record in records}) == 2


# Bombs.


def refused(path: Path, results: list[object] | None = None) -> str:
    tracemalloc.start()
    try:
        failures = [result for result in load([path]) if isinstance(result, Failure)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 150_000_000
    (failure,) = failures
    assert failure.place == str(path)
    return failure.reason


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst", ".zip"])
def test_a_bomb_is_given_up(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "FREE_BYTES", 1_000_000)
    zeros = bytes(40_000_000)
    if suffix == ".zip":
        data = zipped({"a.jsonl": zeros, "b.txt": article(PIER)})
    else:
        data = gzip.compress(zeros) if suffix.endswith("gz") else zstandard.compress(zeros)
    path = write(tmp_path / f"a{suffix}", data)
    assert refused(path) == "unpacks to more than 200 times its own size"


def test_a_bomb_of_many_small_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same compressed bytes under many names: no member is large, all together are."""
    monkeypatch.setattr(packed, "FREE_BYTES", 1_000_000)
    inner = zipped({"a.txt": "a " * 300_000})
    path = write(tmp_path / "a.zip", zipped({f"{n}.zip": inner for n in range(50)}))
    assert refused(path) == "unpacks to more than 200 times its own size"


def test_limits_in_bytes_and_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.zip", zipped({f"{n}.txt": article(f"{PIER} {n}") for n in range(9)}))
    monkeypatch.setattr(packed, "MAX_ENTRIES", 5)
    records, failures = read(path)
    assert len(records) == 5
    assert [str(failure) for failure in failures] == [f"{path}: holds more than 5 files"]
    monkeypatch.setattr(packed, "MAX_BYTES", 300)
    records, failures = read(path)
    assert len(records) == 2
    assert [str(failure) for failure in failures] == [f"{path}: unpacks to more than 300 bytes"]


def test_packed_too_deep(tmp_path: Path) -> None:
    data, name = article(PIER).encode(), "a.txt"
    for depth in range(10):
        data, name = zipped({name: data}), f"{depth}.zip"
        path = write(tmp_path / "a.zip", data)
        records, failures = read(path)
        if depth < 3:
            assert [record.article.text for record in records] == [PIER]
        else:
            assert records == []
            assert [failure.reason for failure in failures] == ["is packed more than 3 times over"]


def test_a_list_of_contents_of_any_length_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "_MAX_DIRECTORY", 2000)
    path = write(tmp_path / "a.zip", zipped({f"{n}.txt": "" for n in range(100)}))
    reason = failure_of(path).reason
    assert reason == "is no readable ZIP file: its list of contents is longer than 2,000 bytes"


def test_a_list_of_contents_that_lies(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.txt": article(PIER)}))
    end = data.rindex(b"PK\x05\x06")
    struct.pack_into("<L", data, end + 12, 0x7FFFFFFF)
    path = write(tmp_path / "a.zip", bytes(data))
    assert failure_of(path).reason.startswith("is no readable ZIP file: ")


def test_many_failures_are_told_as_a_number(tmp_path: Path) -> None:
    lines = "x\n" * 1500 + json.dumps({"text": PIER}) + "\n"
    path = write(tmp_path / "a.zip", zipped({"a.jsonl": lines}))
    records, failures = read(path)
    assert len(records) == 1
    assert len(failures) == 1001
    assert str(failures[-1]) == f"{path}: has 500 more records that cannot be read"
