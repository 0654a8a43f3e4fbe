"""Documents of other programs: PDF, DOCX, e-mails and mailboxes, and crawls in WARC files."""

from __future__ import annotations

import logging
import re
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr
from functools import partial
from io import BufferedReader, BytesIO
from itertools import islice
from typing import TYPE_CHECKING, Any

from rag import files
from rag.errors import SourceError
from rag.fetch import Page
from rag.files import File, decoded, reason_of
from rag.formats import Item, Reader, html_fields, page_fields, whole
from rag.reports import Failure

if TYPE_CHECKING:
    from docx.document import Document

# What the library has to say about a file is said by us, in one sentence.
logging.getLogger("pypdf").addHandler(logging.NullHandler())

DOCUMENT_LIMIT = 64 * 1024 * 1024
"""Bytes of the longest PDF or DOCX file, and of what a DOCX file unpacks to."""

_MAX_XML = 8 * 1024 * 1024
"""Bytes of the longest part of a DOCX file that is XML: its tree takes thirty times as much."""

_MAX_PAGES = 2000
_MAX_HEAD = 256 * 1024
"""Bytes of all headers of an e-mail."""

_LONGEST_HEADER = 2000
_MAX_MAIL_PARTS = 1000
_MAX_BETWEEN = 16 * 1024 * 1024
"""Bytes of a WARC file without the content of a record."""

_PAGE_KINDS = {"text/html": True, "application/xhtml+xml": True, "text/plain": False}

# What the libraries are known or likely to raise on broken files, beside their own errors.
_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, OSError, EOFError),
    *(RuntimeError, SyntaxError, TypeError, ValueError, zlib.error, zipfile.BadZipFile),
)


# PDF.


def _pdf(file: File) -> dict[str, object]:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    data = BytesIO(file.read(DOCUMENT_LIMIT))
    try:
        reader = PdfReader(data)
        if reader.is_encrypted and not reader.decrypt(""):
            raise SourceError(file.place, "is encrypted: it opens with a password only")
        if len(reader.pages) > _MAX_PAGES:
            raise SourceError(file.place, f"has more than {_MAX_PAGES:,} pages")
        text = _pdf_text(reader, file.place)
        fields = _about_pdf(reader)
    except (*_ERRORS, PyPdfError) as error:
        raise SourceError(file.place, f"cannot be read as PDF: {reason_of(error)}") from error
    if not text:
        raise SourceError(file.place, "holds no text: it may be pictures of pages")
    return fields | {"text": text}


def _about_pdf(reader: Any) -> dict[str, object]:
    about = reader.metadata
    fields = {"language": reader.root_object.get("/Lang")}
    if about is not None:
        fields |= {"title": about.title, "author": about.author}
        fields |= {"published": about.creation_date_raw, "modified": about.modification_date_raw}
    # "D:20240309140000+01'00'": what follows the seconds is no ISO date.
    for name in ("published", "modified"):
        digits = re.match(r"(?:D:)?(\d{8})(\d{6})?", str(fields.get(name) or ""))
        fields[name] = "T".join(part for part in digits.groups() if part) if digits else None
    return _plain(fields)


def _pdf_text(reader: Any, place: str) -> str:
    """The text of all pages, with a blank line between two."""
    pages: list[str] = []
    length = 0
    for page in reader.pages:
        pages.append(_unwrapped(page.extract_text()))
        length += len(pages[-1])
        if length > files.ARTICLE_LIMIT:
            raise SourceError(place, f"holds more than {files.ARTICLE_LIMIT:,} characters of text")
    return "\n\n".join(page for page in pages if page)


def _unwrapped(page: str) -> str:
    """Words that a line break parts are joined: "har-", "bour"."""
    return re.sub(r"(?<=[^\W\d_])-\n(?=[a-zà-öø-ÿ])", "", page).strip()


# DOCX.


def _docx(file: File) -> dict[str, object]:
    import docx
    from docx.opc.exceptions import OpcError
    from lxml.etree import LxmlError  # type: ignore[import-untyped]

    data = BytesIO(file.read(DOCUMENT_LIMIT))
    try:
        _check_parts(data, file.place)
        document = docx.Document(data)
        about = document.core_properties
        fields = {
            "title": about.title,
            "author": about.author,
            "language": about.language,
            "section": about.category,
            "published": about.created,
            "modified": about.modified,
        }
        text = "\n\n".join(_blocks(document))
    except (*_ERRORS, OpcError, LxmlError) as error:
        raise SourceError(file.place, f"cannot be read as DOCX: {reason_of(error)}") from error
    return _plain(fields) | {"text": text}


def _check_parts(data: BytesIO, place: str) -> None:
    """Look at the sizes that the file claims; more than these cannot come out of it."""
    with zipfile.ZipFile(data) as parts:
        sizes = [info.file_size for info in parts.infolist()]
        xml = [i.file_size for i in parts.infolist() if i.filename.endswith((".xml", ".rels"))]
    if sum(sizes) > DOCUMENT_LIMIT or max(xml, default=0) > _MAX_XML:
        limits = f"{DOCUMENT_LIMIT:,} bytes, or one part of it to more than {_MAX_XML:,}"
        raise SourceError(place, f"unpacks to more than {limits}")


def _blocks(document: Document) -> Iterator[str]:
    """The paragraphs, and the rows of tables, in the order of the text."""
    from docx.text.paragraph import Paragraph

    for block in document.iter_inner_content():
        if isinstance(block, Paragraph):
            if block.text.strip():
                yield block.text
            continue
        for row in block.rows:
            cells = list(dict.fromkeys(cell.text.strip() for cell in row.cells))
            if any(cells):
                yield " | ".join(cells)


# E-mail.


def _eml(file: File) -> dict[str, object]:
    return _mail_fields(file.read(files.FILE_LIMIT), file.place)


def _mbox(file: File) -> Iterator[Item]:
    """One article a message. `mailbox` needs a file on disk, and holds messages of any size."""
    for number, (line, data) in enumerate(_messages(file), 1):
        place = f"{file.place}:{line}"
        if len(data) > files.FILE_LIMIT:
            reason = f"is a message of more than {files.FILE_LIMIT:,} bytes"
            yield number, place, Failure(place, reason)
        else:
            yield number, place, partial(_mail_fields, data, place)


def _messages(file: File) -> Iterator[tuple[int, bytes]]:
    """The line where each message starts, and its bytes; of an overlong one just too many."""
    first, message = 0, bytearray()
    is_after_blank = True
    with file.open() as stream:
        for number, line in enumerate(iter(partial(stream.readline, files.LINE_LIMIT), b""), 1):
            if is_after_blank and line.startswith(b"From "):
                if first:
                    yield first, bytes(message)
                first, message = number, bytearray()
            elif not first:
                raise SourceError(file.place, 'is no mailbox: it does not start with "From "')
            elif len(message) <= files.FILE_LIMIT:
                is_quoted = line.startswith(b">") and line.lstrip(b">").startswith(b"From ")
                message += line[1:] if is_quoted else line
            is_after_blank = not line.strip()
    if not first:
        raise SourceError(file.place, "holds no message")
    yield first, bytes(message)


def _mail_fields(data: bytes, place: str) -> dict[str, object]:
    """A newsletter: its page where it has one, else its plain text; attachments are no articles."""
    if len(data) > _MAX_HEAD and not re.search(rb"\n\r?\n", data[:_MAX_HEAD]):
        raise SourceError(place, f"has headers of more than {_MAX_HEAD:,} bytes")
    try:
        message = message_from_bytes(data)
        fields = _about_mail(message)
        bodies = _bodies(message, place)
    except (*_ERRORS, MessageError) as error:
        raise SourceError(place, f"cannot be read as an e-mail: {reason_of(error)}") from error
    page: dict[str, object] = {}
    try:
        page = html_fields(bodies["text/html"], place) if "text/html" in bodies else {}
    except SourceError:
        if "text/plain" not in bodies:
            raise
    text = page.get("text") or bodies.get("text/plain")
    if not text:
        raise SourceError(place, "holds no text")
    return {"language": page.get("language"), **fields, "text": text}


def _about_mail(message: Message) -> dict[str, object]:
    name, address = parseaddr(_header(message, "From"))
    link = re.search(r"https?://[^\s<>]+", _header(message, "Archived-At"))
    fields = {
        "title": _header(message, "Subject"),
        "source": name or address.rpartition("@")[2],
        "published": _header(message, "Date"),
        "language": _header(message, "Content-Language"),
        "id": _header(message, "Message-ID"),
        "url": link[0] if link else "",
    }
    return {name: value for name, value in fields.items() if value}


def _header(message: Message, name: str) -> str:
    value = str(message.get(name, ""))[:_LONGEST_HEADER]
    try:
        value = str(make_header(decode_header(value)))
    except (MessageError, *_ERRORS):
        pass
    return " ".join(value.split())


def _bodies(message: Message, place: str) -> dict[str, str]:
    """The first part of each kind of text that is no attachment."""
    bodies: dict[str, str] = {}
    for part in islice(message.walk(), _MAX_MAIL_PARTS):
        kind = part.get_content_type()
        if kind in bodies or kind not in ("text/plain", "text/html"):
            continue
        if part.get_content_disposition() == "attachment":
            continue
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes) and payload.strip():
            if len(payload) > files.ARTICLE_LIMIT:
                raise SourceError(place, f"holds more than {files.ARTICLE_LIMIT:,} bytes of text")
            bodies[kind] = decoded(payload, place, part.get_content_charset())
    return bodies


# WARC.


def _warc(file: File) -> Iterator[Item]:
    """The pages that a crawl got; what is no page (a picture, a redirect) is passed over."""
    from warcio.archiveiterator import ArchiveIterator
    from warcio.exceptions import ArchiveLoadFailed

    number = 0
    with file.open() as stream:
        try:
            bounded = _BoundedHeads(stream)
            for number, record in enumerate(ArchiveIterator(bounded), 1):
                place = f"{file.place}#{number}"
                page = _captured(record, place)
                while record.raw_stream.read(files.LINE_LIMIT):  # what is left of it
                    bounded.between = 0
                bounded.between = 0
                if isinstance(page, Page):
                    yield number, place, partial(page_fields, page, place)
                elif page is not None:
                    yield number, place, page
        except (*_ERRORS, ArchiveLoadFailed) as error:
            reason = f"the file is damaged from here on: {reason_of(error)}"
            yield number + 1, file.place, Failure(f"{file.place}#{number + 1}", reason)
            return
    if not number:
        raise SourceError(file.place, "holds no WARC record")


class _BoundedHeads:
    """A file in which there are not too many bytes between two contents of records.

    The library reads a line of any length, and takes the square of it in time.
    """

    def __init__(self, stream: BufferedReader) -> None:
        self.between = 0
        self._stream = stream

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.between += len(data)
        if self.between > _MAX_BETWEEN:
            raise OSError(f"more than {_MAX_BETWEEN:,} bytes do not hold a record")
        return data

    def tell(self) -> int:
        return self._stream.tell() if self._stream.seekable() else 0


def _captured(record: Any, place: str) -> Page | Failure | None:
    headers = record.http_headers
    if record.rec_type != "response" or headers is None or headers.get_statuscode() != "200":
        return None
    kind, _, more = (headers.get_header("Content-Type") or "").partition(";")
    is_html = _PAGE_KINDS.get(kind.strip().lower())
    if is_html is None:
        return None
    data = record.content_stream().read(files.ARTICLE_LIMIT + 1)
    if len(data) > files.ARTICLE_LIMIT:
        return Failure(place, f"is larger than {files.ARTICLE_LIMIT:,} bytes")
    if record.raw_stream.limit > 0 and not record.raw_stream.read(1):
        return Failure(place, "is cut: the file ends within it")
    url = record.rec_headers.get_header("WARC-Target-URI") or ""
    charset = re.search(r"charset=[\"']?([\w.-]+)", more)
    return Page(url, data, is_html, charset[1] if charset else None)


def _plain(fields: dict[str, object]) -> dict[str, object]:
    """Named values as text and dates, whatever types a library has for them."""
    return {
        name: value if isinstance(value, datetime) else str(value)
        for name, value in fields.items()
        if value
    }


READERS: dict[str, Reader] = {
    ".pdf": whole(_pdf),
    ".docx": whole(_docx),
    ".eml": whole(_eml),
    ".mbox": _mbox,
    ".warc": _warc,
}
"""By the suffix of the file."""
