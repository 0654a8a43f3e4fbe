"""Broken and hostile files, made from nothing: name and bytes. Nothing here is random."""

from __future__ import annotations

import gzip
import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator

import zstandard
from test_documents import CRAWL, PAGE, mail, mbox, pdf, warc, with_part, word
from test_packed import article, zipped

TEXT = "The harbour board voted to close the north pier, since its piles were cracked. "
Files = Iterator[tuple[str, bytes]]

GOOD: dict[str, bytes] = {
    "txt": article(TEXT * 3).encode(),
    "md": f"---\ntitle: Pier\n---\n# Pier\n\n{TEXT}".encode(),
    "html": PAGE.encode(),
    "json": json.dumps({"articles": [{"text": TEXT + str(n)} for n in range(20)]}).encode(),
    "jsonl": "".join(json.dumps({"text": TEXT + str(n)}) + "\n" for n in range(20)).encode(),
    "csv": ("title,text\n" + "".join(f'A,"{TEXT}{n}"\n' for n in range(20))).encode(),
    "tsv": ("title\ttext\n" + "".join(f"A\t{TEXT}{n}\n" for n in range(20))).encode(),
    "pdf": pdf(TEXT, TEXT),
    "docx": word(),
    "eml": bytes(mail(TEXT, PAGE)),
    "mbox": mbox(bytes(mail(TEXT)), bytes(mail(TEXT, Message_ID="<2@x>"))),
    "warc": warc(*CRAWL),
}
PACKED = {
    "zip": zipped({f"{n}.txt": article(TEXT + str(n)) for n in range(9)}),
    "jsonl.gz": gzip.compress(GOOD["jsonl"]),
    "html.zst": zstandard.compress(GOOD["html"]),
    "warc.gz": warc(*CRAWL, is_packed=True),
}


def truncated() -> Files:
    for kind, data in (GOOD | PACKED).items():
        for percent in (10, 60, 95):
            yield f"cut-{percent}.{kind}", data[: len(data) * percent // 100]


def damaged() -> Files:
    """Some bytes in the middle are others."""
    for kind, data in (GOOD | PACKED).items():
        changed = bytearray(data)
        for position in random.Random(kind).sample(range(len(data)), k=max(3, len(data) // 50)):
            changed[position] ^= 0xA5
        yield f"damaged.{kind}", bytes(changed)


def empty_and_misnamed() -> Files:
    for kind in ("pdf", "docx", "eml", "mbox", "warc", "zip", "jsonl.gz", "html.zst", "json"):
        yield f"empty.{kind}", b""
    for kind, other in (("pdf", "docx"), ("docx", "zip"), ("zip", "pdf"), ("mbox", "eml")):
        yield f"is-a-{other}.{kind}", (GOOD | PACKED)[other]
    yield "is-html.json", PAGE.encode()
    yield "is-text.warc", GOOD["txt"]


def encodings() -> Files:
    text = "Der Hafenrat beschloss, die Brücke über die Förde für Monate zu schließen. Ça suffit."
    noise = random.Random(1).randbytes(4000)
    for kind in ("txt", "md", "html", "json", "jsonl", "csv", "eml"):
        yield f"noise.{kind}", noise
    yield "utf-16-no-mark.txt", f"Titel\n\n{text}".encode("utf-16-le")
    yield "utf-32.txt", f"Titel\n\n{text}".encode("utf-32")
    yield (
        "mixed.jsonl",
        json.dumps({"text": text}, ensure_ascii=False).encode()
        + b"\n"
        + (json.dumps({"text": text}, ensure_ascii=False).encode("cp1252") + b"\n{\xff\xfe\xfd\n"),
    )
    yield "surrogates.txt", b"Title\n\n" + b"\xed\xa0\x80 pier " * 50
    yield "zeros.txt", bytes(1_000_000)
    yield "wrong-charset.html", b"<meta charset='utf-7'><p>+ADw-script+AD4-" + TEXT.encode() * 5
    charset = b"Content-Type: text/plain; charset=no-such\n\nDer Hafen schlie\xdft."
    yield "no-charset.eml", charset


def bombs() -> Files:  # noqa: PLR0915
    zeros = bytes(100_000_000)
    yield "zeros.jsonl.gz", gzip.compress(zeros)
    yield "zeros.txt.zst", zstandard.compress(zeros)
    yield "zeros.zip", zipped({"a.jsonl": zeros})
    yield "zeros.html.gz.zst", zstandard.compress(gzip.compress(zeros))
    yield "zeros.warc.gz", gzip.compress(zeros)
    yield "zeros.mbox.gz", gzip.compress(b"From a\n" + zeros)
    inner = zipped({f"{n}.txt": bytes(4_000_000) for n in range(16)})
    yield "many.zip", zipped({f"{n}.zip": inner for n in range(16)})
    yield "overlap.zip", overlapping()
    yield "entries.zip", zipped({f"{n}.txt": b"" for n in range(120_000)})
    yield "claims.zip", lying()
    yield "rle.jsonl.zst", zstd_rle(400_000)
    yield "bomb.docx", with_part("word/document.xml", bytes(200_000_000))
    paragraphs = b"<w:p/>" * 1_300_000
    head = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    xml = head + b"<w:body>" + paragraphs + b"</w:body></w:document>"
    yield "paragraphs.docx", with_part("word/document.xml", xml)
    laughs = b"<!DOCTYPE a [<!ENTITY a0 'ha'>" + b"".join(
        f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>".encode() for n in range(1, 12)
    )
    yield "laughs.docx", with_part("word/document.xml", laughs + b"]><a>&a11;</a>")
    yield "stream.pdf", flate_pdf(zlib.compress(zeros))
    yield "stream-twice.pdf", flate_pdf(zlib.compress(zlib.compress(zeros)), "/FlateDecode " * 2)
    yield "operators.pdf", flate_pdf(zlib.compress(b"(a) Tj " * 1_500_000))
    yield "deep.json", b"[" * 5_000_000
    yield "objects.json", b"[" + b"{}," * 9_000_000 + b"{}]"
    yield "number.json", b'{"text": ' + b"9" * 1_000_000 + b"}"
    yield "line.jsonl", b'{"text": "' + b"a" * 60_000_000 + b'"}'
    yield "values.jsonl", b"[" + b"[]," * 5_000_000 + b"[]]"
    yield "bad-lines.jsonl", b"x\n" * 400_000
    yield "quote.csv", b'title,text\nA,"' + b"open\n" * 8_000_000
    yield "columns.csv", b"title,text\n" + b"ab," * 5_000_000
    yield "tags.html", b"<p>ab cd</p>" * 500_000
    yield "nested.html", b"<div>" * 50_000 + TEXT.encode()
    yield "long.html", b"<p>" + TEXT.encode() * 200_000
    yield "attributes.html", b"<p " + b"a=b " * 1_500_000 + b">" + TEXT.encode()
    yield "long.txt", TEXT.encode() * 200_000
    yield "lines.txt", b"ab\n" * 2_700_000
    aliases = "".join(f"b{n}: &b{n} [*b{n - 1}, *b{n - 1}]\n" for n in range(1, 30))
    yield "yaml.md", f"---\nb0: &b0 [x, x]\n{aliases}---\n{TEXT}".encode()
    yield "brackets.md", b"[" * 60_000 + TEXT.encode()
    yield "stars.md", b"**a _b " * 20_000 + TEXT.encode()
    yield "parts.eml", multipart(900)
    yield (
        "many-parts.eml",
        b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--a\n\nx\n" * 300_000,
    )
    yield "headers.eml", b"X: y\n" * 1_500_000 + b"\n" + TEXT.encode()
    yield "header.eml", b"Subject: " + b"=?utf-8?q?a?= " * 500_000 + b"\n\n" + TEXT.encode()
    yield "from.eml", b"From: " + b"(" * 1_000_000 + b"\n\n" + TEXT.encode()
    yield "messages.mbox", b"From a\n\n" * 500_000
    length = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 999999999999\r\n\r\n"
    yield (
        "length.warc",
        length + b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + PAGE.encode(),
    )
    packed = gzip.compress(bytes(60_000_000))
    kind = "text/html\r\nContent-Encoding: gzip"
    yield "encoded.warc", warc(("https://post.example/1", "200 OK", kind, packed))
    yield "records.warc", b"WARC/1.0\r\nContent-Length: 0\r\n\r\n\r\n\r\n" * 100_000


def deep() -> Files:
    for kind in ("zip", "gz", "zst"):
        data, name = GOOD["txt"], "a.txt"
        for _ in range(10):
            if kind == "zip":
                data, name = zipped({name: data}), "a.zip"
            else:
                data = gzip.compress(data) if kind == "gz" else zstandard.compress(data)
                name += f".{kind}"
        yield f"ten-deep-{name}", data
    data, name = GOOD["txt"], "a.txt"
    for depth in range(10):
        data = zipped({name: data}) if depth % 2 else gzip.compress(data)
        name = "a.zip" if depth % 2 else f"{name}.gz"
    yield "ten-deep-mixed.zip", data
    fan = zipped({"a.txt": GOOD["txt"]})
    for _ in range(4):
        fan = zipped({f"{n}.zip": fan for n in range(10)})
    yield "fan.zip", fan


def names() -> Files:
    tricks = {
        "up": "../" * 9 + "etc/cron.d/x.txt", "absolute": "/etc/passwd.txt", "drive": "C:\\x.txt",
        "backslash": "..\\..\\x.txt", "newline": "a\nb.txt", "escape": "\x1b[2J\x1b]0;x\x07.txt",
        "bidi": "a\u202etxt.exe.txt", "long": "x" * 60_000 + ".txt",
        "parts": "a/" * 30_000 + "x.txt",
        "dots": ".../....//x.txt", "device": "/dev/zero.txt", "stream": "x.txt:$DATA.txt",
        "colon": "http://127.0.0.1/x.txt", "percent": "%2e%2e%2fx.txt", "space": " .txt",
    }  # fmt: skip
    for trick, name in tricks.items():
        yield f"name-{trick}.zip", zipped({name: b"\xff", "good.txt": GOOD["txt"]})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    yield "name-link.zip", buffer.getvalue()
    data = bytearray(zipped({"aaaa.txt": b"\xff"}))
    at = data.rindex(b"aaaa.txt")
    data[at : at + 4] = b"a\0\xff\xfe"
    yield "name-zero.zip", bytes(data)


def overlapping() -> bytes:
    """Two thousand members that are all the same bytes of the file."""
    data = bytearray(zipped({"a.txt": bytes(3_000_000)}))
    directory = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = bytes(data[directory:end])
    size = len(entry) * 2000
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2000, 2000, size, directory, 0)
    return bytes(data[:directory]) + entry * 2000 + tail


def lying() -> bytes:
    """Its members claim to be of four gigabytes."""
    data = bytearray(zipped({"a.txt": bytes(1_000_000)}))
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = b"\xfe\xff\xff\xff"
    return bytes(data)


def zstd_rle(blocks: int) -> bytes:
    """A frame of blocks that repeat one byte 128 KiB: the highest ratio of the format."""
    frame = b"\x28\xb5\x2f\xfd" + b"\x00" + b"\x58"  # a window of 2 MiB
    header = (128 * 1024 << 3) | (1 << 1)
    return frame + (header.to_bytes(3, "little") + b"a") * blocks


def flate_pdf(stream: bytes, filters: str = "/FlateDecode") -> bytes:
    plain = pdf("x")
    at, end = plain.rindex(b"<< /Length"), plain.rindex(b"endstream")
    head = f"<< /Length {len(stream)} /Filter [{filters}] >>\nstream\n".encode()
    return plain[:at] + head + stream + b"\n" + plain[end:]


def multipart(depth: int) -> bytes:
    return (
        b"".join(
            f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n".encode()
            for n in range(depth)
        )
        + b"Content-Type: text/plain\n\n"
        + TEXT.encode()
    )


def every() -> Files:
    """All of them; names are unique."""
    for group in (truncated, damaged, empty_and_misnamed, encodings, bombs, deep, names):
        for name, data in group():
            yield f"{group.__name__}/{name}", data
