"""The archive: everything a user does with newsrag goes through here."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rag import answer as writing
from rag import overview, verify
from rag.abstain import Calibration, load_calibration, save_calibration
from rag.conversationfile import FILE_NAME, ConversationFile
from rag.conversations import Conversations
from rag.databases import holds_archive
from rag.errors import ArchiveError
from rag.files import storable
from rag.inquiry import Tools, inquire
from rag.lock import Waiting
from rag.models import LLM, Embedder, SentenceTransformerEmbedder, make_llm
from rag.reader import make_reader
from rag.reports import ArchiveStatus, DayCount, IngestReport
from rag.retrieve import Scope, nearest, search
from rag.settings import Settings, load_settings
from rag.store import Store
from rag.timeline import Timeline, timeline
from rag.times import hull, meant
from rag.turnstile import Turnstile, usable_cores
from rag.types import Answer, Article, Event, History, RankedPassage
from rag.words import Filters

if TYPE_CHECKING:
    from llama_index.core.query_engine import CustomQueryEngine
    from llama_index.core.retrievers import BaseRetriever

    from rag.llamaindex import PlainCitationEngine


Outlets = str | Sequence[str] | None
"""One outlet, or several; None or an empty sequence for all."""


class Archive:
    """A folder of articles with their indexes, and the models to ask them with.

    Use it as a context manager, or call `close()`. Reading is safe from several threads.
    """

    def __init__(self, store: Store, settings: Settings, embedder: Embedder, llm: LLM) -> None:
        self.settings = settings
        self._store = store
        self._saved = ConversationFile(store.folder / FILE_NAME)
        self._embedder = embedder
        self._llm = llm
        self._reader = make_reader(settings)
        self._wording = Turnstile(None if settings.is_endpoint else 1)
        self._looking = Turnstile(usable_cores())
        from rag.support import SupportModel

        self._support = SupportModel()

    @classmethod
    def open(
        cls, path: str | Path = "archive", settings: Settings | None = None, *, create: bool = True
    ) -> Archive:
        """Open the archive in a folder, or start an empty one there.

        `settings` default to `newsrag.toml` in the present folder and the built-in values. Raises
        `ArchiveError` when the folder holds no archive and `create` is false, and
        `ArchiveMismatchError` when it was made with another embedding model, or has its vectors at
        another store.
        """
        settings = settings or load_settings()
        folder = Path(path)
        if not create and not holds_archive(folder):
            raise ArchiveError(
                f"there is no archive in {folder}; "
                f"make one with: newsrag ingest PATH --archive {folder}"
            )
        store = Store(
            folder,
            settings.embedding_model,
            settings.passage_characters,
            database=settings.database,
            store=settings.store,
        )
        embedder = SentenceTransformerEmbedder(settings.embedding_model)
        return cls(store, settings, embedder, make_llm(settings))

    def close(self) -> None:
        """Release the files."""
        self._saved.close()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- content ------------------------------------------------------------------------------

    def ingest(
        self,
        *inputs: str | Path | Article,
        progress: Callable[[IngestReport], None] = lambda report: None,
        waiting: Waiting | None = None,
        ray: str = "",
    ) -> IngestReport:
        """Store articles from files, folders, web addresses ("https://...") and `Article` objects.

        An address may be of a page or of a feed, and an OPML file lists feeds; of a feed, the pages
        that are new or have changed are read.

        Unchanged articles cost no embedding; changed ones replace their old passages. Records and
        pages that cannot be stored are in the report's `failures`. Raises `SourceError` for a path
        that does not exist, `ArchiveLockedError`, `ArchiveError`. While another process or thread
        writes, `waiting` is told so once, in a sentence, and it is waited for; without `waiting`
        that is an `ArchiveLockedError`.

        `ray` is the address of a Ray cluster, or "local" for one that is started here: its workers
        read the files, which they must see under the same paths, and embed. Raises `SettingsError`
        when there is none.
        """
        from rag.cluster import over_cluster
        from rag.ingest import ingest, records
        from rag.sources import Reading, load

        embedder: Embedder = self._encoder()
        reading: Reading = load
        if ray:
            embedder, reading = over_cluster(self._store, embedder, ray)
        folder, allow_private = self._store.folder, self.settings.allow_private_urls
        found = records(inputs, folder, allow_private=allow_private, reading=reading)
        with self._store.writing(waiting):
            characters = self._store.passage_characters
            return ingest(self._store, embedder, found, characters, progress)

    def article(self, article_id: str, revision: int | None = None) -> Article:
        """The current revision of an article, or a given one. Raises `ArticleNotFoundError`."""
        return self._store.ledger.article(article_id, revision)

    def articles(self, limit: int = -1) -> list[Article]:
        """Current articles, latest first, undated ones last; all of them by default."""
        return self._store.ledger.articles(limit)

    def find(
        self,
        words: str = "",
        limit: int = 50,
        source: Outlets = None,
        since: date | None = None,
        until: date | None = None,
    ) -> list[Article]:
        """Articles whose title or text has all the words, best first; without words, latest first.

        `since` and `until` are inclusive.
        """
        return overview.find(self._store, storable(words), limit, Filters(since, until, source))

    def passages(self, article_id: str) -> list[tuple[int, int]]:
        """The passages of an article as (start, end). Raises `ArticleNotFoundError`."""
        return overview.passages(self._store, article_id)

    def days(self) -> list[DayCount]:
        """The number of articles by day and outlet, earliest first; undated ones last."""
        return overview.days(self._store)

    def sources(self) -> list[str]:
        """The outlets, those with most articles first."""
        return overview.sources(self._store)

    def delete(self, article_id: str) -> None:
        """Remove an article from all stores. Raises `ArticleNotFoundError`."""
        from rag.agreement import recover

        with self._store.writing():
            recover(self._store, self._encoder())
            self._store.delete(article_id)

    @property
    def digest(self) -> str:
        """A short hash of what answers depend on beside the articles: settings, calibration."""
        calibration = load_calibration(self._store.folder)
        values = f"{self.settings.digest} {calibration} {writing.prompt_hashes()}"
        return hashlib.sha256(values.encode()).hexdigest()[:12]

    def status(self) -> ArchiveStatus:
        """What the archive holds."""
        return self._store.status()

    def example_questions(self, count: int = 4) -> list[str]:
        """Questions that this archive can answer, made from names in its latest titles."""
        from rag.examples import example_questions

        return example_questions(self.articles(limit=200), count)

    # -- questions ----------------------------------------------------------------------------

    def search(
        self,
        question: str,
        k: int = 10,
        as_of: date | None = None,
        since: date | None = None,
        until: date | None = None,
        source: Outlets = None,
    ) -> list[RankedPassage]:
        """The best `k` passages, best first; near-copies are folded into one.

        `as_of` (default: today) leaves out what was published more than a day later, and is the
        day from which an article's age is counted; `since` and `until` are inclusive. `source` is
        an outlet or several.
        """
        question = storable(question)
        today = as_of or date.today()
        scope = Scope(today, since, until, source, hull(meant(question, today)))
        vector = self._encoder().encode([question])[0]
        found = search(self._store, self.settings, self._reader, question, vector, k, scope)
        return [one.passage for one in found]

    def ask(
        self,
        question: str,
        history: History = (),
        as_of: date | None = None,
        since: date | None = None,
        until: date | None = None,
        source: Outlets = None,
        wording: bool = True,
        query: str | None = None,
    ) -> Answer:
        """Answer a question from the archive, or abstain.

        `history` holds earlier (question, answer) pairs, oldest first. With `wording=False` the
        evidence is quoted and no language model is called. `query` is the question as it is to be
        understood; then `history` is not used for that. The other arguments are those of `search`.
        A language model that fails costs the wording, not the answer: see `trace.notes`.
        """
        *_, last = self.stream(question, history, as_of, since, until, source, wording, query)
        assert isinstance(last, Answer)
        return last

    async def aask(
        self,
        question: str,
        history: History = (),
        as_of: date | None = None,
        since: date | None = None,
        until: date | None = None,
        source: Outlets = None,
        wording: bool = True,
        query: str | None = None,
    ) -> Answer:
        """`ask`, in a thread."""
        return await asyncio.to_thread(
            self.ask, question, history, as_of, since, until, source, wording, query
        )

    def stream(
        self,
        question: str,
        history: History = (),
        as_of: date | None = None,
        since: date | None = None,
        until: date | None = None,
        source: Outlets = None,
        wording: bool = True,
        query: str | None = None,
    ) -> Iterator[Event]:
        """The evidence, then each worded sentence once it is checked, then the answer.

        The arguments are those of `ask`. Closing the iterator stops the language model. One
        question at a time is worded by a model on this machine; the others get `Waiting`, again
        and again until it is their turn, before their first sentence.
        """
        scope = Scope(as_of or date.today(), since, until, source)
        said = [(storable(before), storable(answer)) for before, answer in history]
        understood = storable(query or "").strip()
        yield from inquire(self._tools(), storable(question), said, scope, wording, understood)

    def timeline(
        self,
        topic: str,
        as_of: date | None = None,
        since: date | None = None,
        until: date | None = None,
        source: Outlets = None,
    ) -> Timeline:
        """A topic's days in their order, each with the sentence that says most, cited.

        The other arguments are those of `search`.
        """
        scope = Scope(as_of or date.today(), since, until, source)
        topic = storable(topic).strip()
        return timeline(self._store, self.settings, self._encoder(), topic, scope)

    def supports(self, claim: str, evidence: str) -> float:
        """The probability, in 0..1, that the evidence supports the claim; both are plain text."""
        return verify.supports(self._support, claim, evidence)

    def save_calibration(self, calibration: Calibration) -> None:
        """Decide with this calibration from now on; it is kept in the archive."""
        with self._store.writing():
            save_calibration(calibration, self._store.folder)

    # -- conversations ------------------------------------------------------------------------

    def conversations(self, user: str = "") -> Conversations:
        """The saved conversations of a user; "" is the one where there are no users."""
        return Conversations(self._saved, user, self.article)

    def feedback(self) -> list[dict[str, Any]]:
        """Rated answers of all users, oldest first, as lines of an evaluation set.

        See `rag.feedback.feedback_rows` for the names. Raises `ArchiveError`.
        """
        from rag.feedback import feedback_rows

        return feedback_rows(self._saved, self.article)

    def _encoder(self) -> Embedder:
        """The embedding model of the index that is in use: `newsrag reindex` may change it."""
        self._store.refresh()
        name = self._store.embedding_model
        if self._embedder.name != name:
            self._embedder = SentenceTransformerEmbedder(name)
        return self._embedder

    def _tools(self) -> Tools:
        return Tools(
            store=self._store,
            settings=self.settings,
            embedder=self._encoder(),
            llm=self._llm,
            reader=self._reader,
            support=self._support,
            calibration=load_calibration(self._store.folder),
            wording=self._wording,
            looking=self._looking,
        )

    # -- llama-index --------------------------------------------------------------------------

    def as_retriever(self, k: int = 10) -> BaseRetriever:
        """`search` as a llama-index retriever."""
        from rag.llamaindex import ArchiveRetriever

        return ArchiveRetriever(self, k)

    def as_query_engine(self, wording: bool = True) -> CustomQueryEngine:
        """`ask` as a llama-index query engine."""
        from rag.llamaindex import ArchiveQueryEngine

        return ArchiveQueryEngine(archive=self, wording=wording)

    def as_citation_engine(self, k: int = 3) -> PlainCitationEngine:
        """llama-index's own `CitationQueryEngine` on the same vectors and model, to compare with.

        It takes the `k` nearest passages. Raises `LLMError` when there is no language model.
        """
        from rag.llamaindex import DenseRetriever, PlainCitationEngine

        return PlainCitationEngine(DenseRetriever(self, k), self._llm.client())

    def nearest(self, question: str, k: int = 10) -> list[RankedPassage]:
        """The `k` passages nearest to the question by vector alone, nearest first."""
        vector = self._encoder().encode([question])[0]
        return nearest(self._store, vector, k)
