"""The indexes of one edition: vectors of passages, words of passages, words of whole articles.

All are derived from the ledger, and each can be deleted and made anew.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rag.errors import ArchiveError
from rag.models import Vectors
from rag.rows import PassageSpan, Staged
from rag.types import Article, Span
from rag.vectors import VectorIndex
from rag.vectorserver import Place, drop_collection
from rag.words import IndexEntry, WordIndex

VECTORS = "vectors"
WORDS = "words/passages"
ARTICLE_WORDS = "words/articles"


def edition_folder(archive: Path, edition: int) -> Path:
    """Where an edition has its indexes: the first one in the archive's own folder."""
    return archive / f"edition-{edition}" if edition else archive


def other_editions(archive: Path, kept: Collection[int]) -> list[Path]:
    """The folders of indexes of all editions but these."""
    first = [archive / VECTORS, archive / "words"]
    names = {edition_folder(archive, number).name for number in kept}
    later = [folder for folder in archive.glob("edition-*") if folder.name not in names]
    return [folder for folder in (() if 0 in kept else first) if folder.exists()] + later


def passage_texts(article: Article, spans: Iterable[Span | PassageSpan]) -> list[str]:
    """The texts that the vectors of an article's passages are made from."""
    return [f"{article.title}\n{article.text[span.start : span.end]}" for span in spans]


def entries_of(staged: Sequence[Staged]) -> tuple[list[IndexEntry], list[str]]:
    """The passages as the indexes keep them, and the texts that their vectors are made from."""
    entries, texts = [], []
    for item in staged:
        for passage in item.passages:
            text = item.article.text[passage.start : passage.end]
            entries.append(IndexEntry(passage.id, "", text, item.day, item.article.source or ""))
        texts += passage_texts(item.article, item.passages)
    return entries, texts


def article_entry(item: Staged) -> IndexEntry:
    """The whole article as the word index keeps it."""
    article = item.article
    return IndexEntry(item.key, article.title, article.text, item.day, article.source or "")


class Indexes:
    """The three indexes in a folder, each opened at first use. Safe to use from several threads.

    The vectors may have their place on a server instead. One writes at a time; the archive's lock
    sees to that.
    """

    def __init__(self, folder: Path, place: Place | None = None) -> None:
        self.folder = folder
        self.place = place
        self._lock = threading.Lock()
        self._words: WordIndex | None = None
        self._article_words: WordIndex | None = None
        self._vectors: VectorIndex | None = None

    @property
    def words(self) -> WordIndex:
        """The word index of passages."""
        with self._lock:
            if self._words is None:
                self._words = WordIndex(self.folder / WORDS)
            return self._words

    @property
    def article_words(self) -> WordIndex:
        """The word index of whole articles with their titles."""
        with self._lock:
            if self._article_words is None:
                self._article_words = WordIndex(self.folder / ARTICLE_WORDS)
            return self._article_words

    @property
    def vectors(self) -> VectorIndex:
        """The vector index."""
        with self._lock:
            if self._vectors is None:
                self._vectors = VectorIndex(self.folder / VECTORS, self.place)
            return self._vectors

    def add(
        self, staged: Sequence[Staged], entries: Sequence[IndexEntry], vectors: Vectors
    ) -> None:
        """Put passages, with a vector each, and their articles in; durable on return."""
        articles = [article_entry(item) for item in staged]
        with self.failures():
            self.vectors.add([entry.id for entry in entries], vectors)
            for index, added in ((self.words, entries), (self.article_words, articles)):
                index.add(added)
                index.commit()

    def refile(self, passages: Sequence[IndexEntry], articles: Sequence[IndexEntry]) -> None:
        """Give passages and articles that are held the days of these entries; vectors have none."""
        with self.failures():
            for index, entries in ((self.words, passages), (self.article_words, articles)):
                index.add(entries)
                index.commit()

    def delete(self, passages: Sequence[int], articles: Sequence[int]) -> None:
        """Forget passages and articles."""
        with self.failures():
            self.vectors.delete(passages)
            for index, gone in ((self.words, passages), (self.article_words, articles)):
                index.delete(gone)
                index.commit()

    @contextmanager
    def failures(self) -> Iterator[None]:
        """What the indexes raise as `ArchiveError`."""
        from chromadb.errors import ChromaError

        try:
            yield
        except (ChromaError, OSError, ValueError) as error:
            raise ArchiveError(
                f"the archive in {self.folder} cannot be written: {error}"
            ) from error

    def reload(self) -> None:
        """See what another process has written."""
        for index in (self._words, self._article_words):
            if index is not None:
                index.reload()
        if self.place is None:
            self.close_vectors()  # Chroma sees it only when opened anew

    def discard(self, name: str) -> None:
        """Delete an index that cannot be used; the next use makes an empty one."""
        self.close()
        if name == VECTORS and self.place:
            drop_collection(self.place)
        shutil.rmtree(self.folder / name, ignore_errors=True)

    def close_vectors(self) -> None:
        """Release the vectors; the next use opens them anew."""
        with self._lock:
            if self._vectors is not None:
                self._vectors.close()
                self._vectors = None

    def finish_writing(self) -> None:
        """Finish merging, and let nothing wait in memory for the disk."""
        with self.failures():
            for index in (self._words, self._article_words):
                if index is not None:
                    index.close()
            if self._vectors is not None and self.place is None:
                _flush(self.folder / VECTORS)

    def close(self) -> None:
        """Release all files."""
        for index in (self._words, self._article_words):
            if index is not None:
                index.close()
        self._words = self._article_words = None
        self.close_vectors()


def _flush(folder: Path) -> None:
    """Write to the disk what the system holds back: Chroma leaves that to it."""
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if file.is_file():
                with file.open("rb") as opened:
                    os.fsync(opened.fileno())
