from __future__ import annotations

import gzip
import io
import zipfile
from datetime import UTC, date, datetime
from email.message import EmailMessage
from pathlib import Path

import docx
import pytest
from inputs import FERRY, PIER, article_of, failure_of, read, write
from pypdf import PdfWriter

from rag import documents, files
from rag.reports import Failure

PAGE = (
    "<html lang='en'><head><title>North pier closes</title>"
    '<meta property="article:published_time" content="2024-03-09"></head>'
    f"<body><article><h1>North pier closes</h1><p>{PIER} {PIER}</p><p>{FERRY} {FERRY}</p>"
    "</article></body></html>"
)


# PDF.


def pdf(*pages: str, about: str = "") -> bytes:
    """A PDF file by hand: each page has its lines, one below the other."""
    objects = ["<< /Type /Catalog /Pages 2 0 R /Lang (en-GB) >>"]
    kids = " ".join(f"{5 + 2 * n} 0 R" for n in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>")
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    objects.append(f"<< {about} >>")
    for number, page in enumerate(pages):
        lines = "".join(f"({line}) Tj 0 -14 Td " for line in page.split("\n"))
        content = f"BT /F1 12 Tf 50 700 Td {lines} ET"
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Resources << /Font << /F1 3 0 R"
            f" >> >> /Contents {6 + 2 * number} 0 R >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    data, offsets = b"%PDF-1.4\n", []
    for number, value in enumerate(objects, 1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n{value}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    data += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode()
    start = data.index(b"xref\n0")
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info 4 0 R >>"
    return data + f"{trailer}\nstartxref\n{start}\n%%EOF\n".encode()


def test_pdf(tmp_path: Path) -> None:
    about = (
        "/Title (North pier closes) /Author (Ann Lee) /CreationDate (D:20240309140000+01'00')"
        " /ModDate (D:20240310)"
    )
    article = article_of(
        write(tmp_path / "a.pdf", pdf("The har-\nbour board met.", FERRY, about=about))
    )
    assert article.text == f"The harbour board met.\n\n{FERRY}"
    assert (article.title, article.author, article.language) == (
        "North pier closes",
        "Ann Lee",
        "en-GB",
    )
    assert (article.published, article.modified) == (date(2024, 3, 9), date(2024, 3, 10))


def test_pdf_without_text(tmp_path: Path) -> None:
    failure = failure_of(write(tmp_path / "a.pdf", pdf("")))
    assert failure.reason == "holds no text: it may be pictures of pages"


def test_pdf_with_a_password(tmp_path: Path) -> None:
    writer = PdfWriter(io.BytesIO(pdf(PIER)))
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(tmp_path / "a.pdf")
    failure = failure_of(tmp_path / "a.pdf")
    assert failure.reason == "is encrypted: it opens with a password only"


@pytest.mark.parametrize("cut", [0, 5, 100, 600])
def test_a_damaged_pdf(tmp_path: Path, cut: int) -> None:
    failure = failure_of(write(tmp_path / "a.pdf", pdf(PIER)[:cut]))
    assert "\n" not in failure.reason
    assert failure.reason.startswith(("cannot be read as PDF: ", "holds no text"))


def test_a_pdf_of_too_many_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_MAX_PAGES", 2)
    path = write(tmp_path / "a.pdf", pdf(PIER, PIER, PIER))
    assert failure_of(path).reason == "has more than 2 pages"


# DOCX.


def word() -> bytes:
    document = docx.Document()
    about = document.core_properties
    about.title, about.author, about.language = "North pier closes", "Ann Lee", "en-GB"
    about.category, about.created = "Harbour", datetime(2024, 3, 9, 14)
    about.modified = datetime(2024, 3, 10, 8, 30)
    document.add_paragraph(PIER)
    table = document.add_table(2, 2)
    for cell, text in zip(table._cells, ["Pile", "State", "One", "cracked"], strict=True):
        cell.text = text
    document.add_paragraph(FERRY)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def test_docx(tmp_path: Path) -> None:
    article = article_of(write(tmp_path / "a.docx", word()))
    assert article.text == f"{PIER}\n\nPile | State\n\nOne | cracked\n\n{FERRY}"
    assert (article.title, article.author, article.section) == (
        "North pier closes",
        "Ann Lee",
        "Harbour",
    )
    assert (article.published, article.language) == (date(2024, 3, 9), "en-GB")
    assert isinstance(article.modified, datetime)
    assert article.modified.replace(tzinfo=None) == datetime(2024, 3, 10, 8, 30)


def with_part(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(word())) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for info in old.infolist():
            new.writestr(info.filename, content if info.filename == name else old.read(info))
    return buffer.getvalue()


def test_a_docx_that_unpacks_to_too_much(tmp_path: Path) -> None:
    path = write(tmp_path / "a.docx", with_part("word/document.xml", bytes(20_000_000)))
    assert failure_of(path).reason.startswith("unpacks to more than 67,108,864 bytes, or one part")


@pytest.mark.parametrize("content", [b"", b"<a>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'])
def test_a_docx_with_a_broken_part(tmp_path: Path, content: bytes) -> None:
    failure = failure_of(write(tmp_path / "a.docx", with_part("word/document.xml", content)))
    assert failure.reason.startswith("cannot be read as DOCX: ")
    failure = failure_of(write(tmp_path / "b.docx", word()[:3000]))
    assert failure.reason == "cannot be read as DOCX: File is not a zip file"


# E-mail.


def mail(plain: str = "", page: str = "", **headers: str) -> EmailMessage:
    message = EmailMessage()
    given = {"Subject": "Der Pier schließt", "From": "The Harbour Post <news@post.example>"}
    given |= {"Date": "Sat, 09 Mar 2024 23:30:00 -0500", "Message-ID": "<1@post.example>"}
    for name, value in (given | {n.replace("_", "-"): v for n, v in headers.items()}).items():
        message[name] = value
    if plain:
        message.set_content(plain)
    if page and plain:
        message.add_alternative(page, subtype="html")
    elif page:
        message.set_content(page, subtype="html")
    return message


def test_a_newsletter(tmp_path: Path) -> None:
    link = {"Archived_At": "<https://post.example/nl/1>", "Content_Language": "en"}
    message = mail("View this in a browser.", PAGE, **link)
    article = article_of(write(tmp_path / "a.eml", bytes(message)))
    assert article.title == "Der Pier schließt"
    assert article.text == f"{PIER} {PIER}\n{FERRY} {FERRY}"
    assert (article.source, article.url) == ("The Harbour Post", "https://post.example/nl/1")
    assert (article.published, article.language) == (date(2024, 3, 9), "en")


def test_a_plain_newsletter_with_an_attachment(tmp_path: Path) -> None:
    message = mail(f"{PIER}\n")
    message.add_attachment(b"Not the text", maintype="text", subtype="plain", filename="a.txt")
    assert article_of(write(tmp_path / "a.eml", bytes(message))).text == f"{PIER}\n"


def test_a_newsletter_whose_page_has_no_article(tmp_path: Path) -> None:
    message = mail(PIER, "<html><body></body></html>")
    assert article_of(write(tmp_path / "a.eml", bytes(message))).text.strip() == PIER
    page = mail(page="<html><body></body></html>")
    assert failure_of(write(tmp_path / "b.eml", bytes(page))).reason == "holds no article text"


def test_an_encoding_of_its_own(tmp_path: Path) -> None:
    data = (
        b"Subject: =?iso-8859-1?q?Caf=E9?=\nContent-Type: text/plain; charset=iso-8859-1\n"
        b"Content-Transfer-Encoding: quoted-printable\n\nDas Caf=E9 am Hafen schlie=DFt.\n"
    )
    article = article_of(write(tmp_path / "a.eml", data))
    assert (article.title, article.text) == ("Café", "Das Café am Hafen schließt.\n")


@pytest.mark.parametrize("data", [b"", b"Subject: a\n\n", b"\xff\xfe\n\n\xff"])
def test_an_email_without_text(tmp_path: Path, data: bytes) -> None:
    assert failure_of(write(tmp_path / "a.eml", data)).reason.endswith(("no text", "can be told"))


def mbox(*messages: bytes) -> bytes:
    return b"".join(b"From x Sat Mar  9 14:00:00 2024\n" + data + b"\n\n" for data in messages)


def test_a_mailbox(tmp_path: Path) -> None:
    one, two = mail(f"{PIER}\n\n>From now on it is closed."), mail(FERRY, Message_ID="<2@x>")
    path = write(tmp_path / "a.mbox", mbox(bytes(one), b"Subject: empty\n", bytes(two)))
    records, failures = read(path)
    assert [record.article.text.strip() for record in records] == [
        f"{PIER}\n\nFrom now on it is closed.",
        FERRY,
    ]
    assert [record.origin for record in records] == [f"{path}#<1@post.example>", f"{path}#<2@x>"]
    (failure,) = failures
    line = path.read_bytes().partition(b"Subject: empty")[0].count(b"\n")
    assert failure.place == f"{path}:{line}"
    assert failure.reason == "holds no text"


def test_an_overlong_message_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FILE_LIMIT", 2000)
    path = write(tmp_path / "a.mbox", mbox(bytes(mail(PIER * 40)), bytes(mail(FERRY))))
    records, failures = read(path)
    assert [record.article.text.strip() for record in records] == [FERRY]
    assert failures == [Failure(f"{path}:1", "is a message of more than 2,000 bytes")]


def test_no_mailbox(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mbox", b"Subject: a\n")
    assert failure_of(path).reason == 'is no mailbox: it does not start with "From "'
    assert failure_of(write(tmp_path / "b.mbox", b"")).reason == "holds no message"


# WARC.


def warc(*pages: tuple[str, str, str, bytes], is_packed: bool = False) -> bytes:
    """A crawl as WARC 1.0; packed, each record is a gzip member, as crawlers have it."""
    records = [b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 0\r\n\r\n\r\n\r\n"]
    for url, status, kind, body in pages:
        answer = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n\r\n".encode() + body
        head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\n"
        head += f"Content-Type: application/http\r\nContent-Length: {len(answer)}\r\n\r\n"
        records.append(head.encode() + answer + b"\r\n\r\n")
    return b"".join(gzip.compress(record) if is_packed else record for record in records)


CRAWL = [
    ("https://post.example/pier", "200 OK", "text/html; charset=utf-8", PAGE.encode()),
    ("https://post.example/a.png", "200 OK", "image/png", b"\x89PNG"),
    ("https://post.example/gone", "404 Not Found", "text/html", PAGE.encode()),
    ("https://post.example/empty", "200 OK", "text/html", b"<html></html>"),
    ("https://post.example/ferry", "200 OK", "text/plain", f"Ferries\n\n{FERRY}".encode()),
]


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_a_crawl(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, warc(*CRAWL, is_packed=name.endswith("gz")))
    records, failures = read(path)
    first, second = (record.article for record in records)
    assert (first.title, first.published) == ("North pier closes", date(2024, 3, 9))
    assert (first.url, first.source) == ("https://post.example/pier", "post.example")
    assert (second.title, second.text) == ("Ferries", FERRY)
    assert [failure.reason for failure in failures] == ["holds no article text"]
    assert [record.origin for record in records] == [f"{path}#2", f"{path}#6"]


def test_a_page_of_a_crawl_speaks_for_its_own_host_only(tmp_path: Path) -> None:
    body = PAGE.replace("<head>", '<head><link rel="canonical" href="https://other.example/a">')
    crawl = [("https://post.example/pier", "200 OK", "text/html", body.encode())]
    ((record,), _) = read(write(tmp_path / "a.warc", warc(*crawl)))
    assert record.article.url == "https://post.example/pier"


@pytest.mark.parametrize("cut", [50, 400])
def test_a_damaged_crawl_gives_what_stands_before(tmp_path: Path, cut: int) -> None:
    data = warc(*CRAWL[:1], *CRAWL[:1])
    path = write(tmp_path / "a.warc", data[:-cut])
    records, failures = read(path)
    assert len(records) == 1
    assert failures == [Failure(f"{path}#3", "is cut: the file ends within it")]
    broken = write(tmp_path / "b.warc", warc(*CRAWL[:1]) + b"rubbish\r\n" * 20)
    records, failures = read(broken)
    assert len(records) == 1
    assert [failure.reason.partition(":")[0] for failure in failures] == [
        "the file is damaged from here on"
    ]


@pytest.mark.parametrize("data", [b"", b"no crawl at all\n" * 9])
def test_no_crawl(tmp_path: Path, data: bytes) -> None:
    failure = failure_of(write(tmp_path / "a.warc", data))
    assert failure.reason.startswith(("holds no WARC record", "the file is damaged from here on"))


def test_times_are_kept_with_their_zone(tmp_path: Path) -> None:
    page = PAGE.replace(
        "</head>", '<meta property="article:modified_time" content="2024-03-10T08:30:00Z"></head>'
    )
    crawl = [("https://post.example/pier", "200 OK", "text/html", page.encode())]
    ((record,), _) = read(write(tmp_path / "a.warc", warc(*crawl)))
    assert record.article.modified == datetime(2024, 3, 10, 8, 30, tzinfo=UTC)
