"""The archive: everything a user does with newsrag goes through here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rag import answer as writing
from rag import verify
from rag.errors import ArchiveError, LLMError
from rag.models import LLM, Embedder, SentenceTransformerEmbedder, make_llm
from rag.retrieve import EvidenceSentence, Scope, condense, search, select
from rag.settings import Settings, load_settings
from rag.store import Store
from rag.types import (
    Answer,
    ArchiveStatus,
    Article,
    Check,
    Event,
    Evidence,
    History,
    IngestReport,
    RankedPassage,
    Sentence,
    Status,
    Trace,
)

if TYPE_CHECKING:
    from llama_index.core.query_engine import CustomQueryEngine
    from llama_index.core.retrievers import BaseRetriever

_QUOTED = "The evidence is quoted instead."

EVIDENCE_POOL = 10
"""Passages that an answer carries."""


class Archive:
    """A folder of articles with their indexes, and the models to ask them with.

    Use it as a context manager, or call `close()`. Reading is safe from several threads.
    """

    def __init__(self, store: Store, settings: Settings, embedder: Embedder, llm: LLM) -> None:
        self.settings = settings
        self._store = store
        self._embedder = embedder
        self._llm = llm

    @classmethod
    def open(
        cls, path: str | Path = "archive", settings: Settings | None = None, *, create: bool = True
    ) -> Archive:
        """Open the archive in a folder, or start an empty one there.

        `settings` default to `newsrag.toml` in the present folder and the built-in values. Raises
        `ArchiveError` when the folder holds no archive and `create` is false, and
        `ArchiveMismatchError` when it was made with another embedding model.
        """
        settings = settings or load_settings()
        folder = Path(path)
        if not create and not (folder / "articles.sqlite").exists():
            raise ArchiveError(
                f"there is no archive in {folder}; "
                f"make one with: newsrag ingest PATH --archive {folder}"
            )
        store = Store(folder, settings.embedding_model, settings.passage_characters)
        embedder = SentenceTransformerEmbedder(settings.embedding_model)
        return cls(store, settings, embedder, make_llm(settings))

    def close(self) -> None:
        """Release the files."""
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
    ) -> IngestReport:
        """Store articles from files, folders and `Article` objects.

        Unchanged articles cost no embedding; changed ones replace their old passages. Records
        that cannot be stored are in the report's `failures`. Raises `SourceError` for a path that
        does not exist, `ArchiveLockedError`, `ArchiveError`.
        """
        from rag.ingest import ingest, records

        return ingest(
            self._store,
            self._embedder,
            records(inputs),
            self.settings.passage_characters,
            progress,
        )

    def article(self, article_id: str, revision: int | None = None) -> Article:
        """The current revision of an article, or a given one. Raises `ArticleNotFoundError`."""
        return self._store.ledger.article(article_id, revision)

    def articles(self, limit: int = -1) -> list[Article]:
        """Current articles, latest first, undated ones last; all of them by default."""
        return self._store.ledger.articles(limit)

    def delete(self, article_id: str) -> None:
        """Remove an article from all stores. Raises `ArticleNotFoundError`."""
        with self._store.writing():
            self._store.delete(article_id)

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
        source: str | None = None,
    ) -> list[RankedPassage]:
        """The best `k` passages, best first; near-copies are folded into one.

        `as_of` (default: today) leaves out what was published more than a day later, and is the
        day from which an article's age is counted; `since` and `until` are inclusive.
        """
        scope = Scope(as_of or date.today(), since, until, source)
        vector = self._embedder.encode([question])[0]
        return search(self._store, self.settings, question, vector, k, scope)

    def ask(
        self,
        question: str,
        history: History = (),
        as_of: date | None = None,
        since: date | None = None,
        until: date | None = None,
        source: str | None = None,
        wording: bool = True,
    ) -> Answer:
        """Answer a question from the archive, or abstain.

        `history` holds earlier (question, answer) pairs, oldest first. With `wording=False` the
        evidence is quoted and no language model is called. The other arguments are those of
        `search`. A language model that fails costs the wording, not the answer: see `trace.notes`.
        """
        *_, last = self.stream(question, history, as_of, since, until, source, wording)
        assert isinstance(last, Answer)
        return last

    async def aask(
        self,
        question: str,
        history: History = (),
        as_of: date | None = None,
        since: date | None = None,
        until: date | None = None,
        source: str | None = None,
        wording: bool = True,
    ) -> Answer:
        """`ask`, in a thread."""
        return await asyncio.to_thread(
            self.ask, question, history, as_of, since, until, source, wording
        )

    def stream(
        self,
        question: str,
        history: History = (),
        as_of: date | None = None,
        since: date | None = None,
        until: date | None = None,
        source: str | None = None,
        wording: bool = True,
    ) -> Iterator[Event]:
        """The evidence, then each worded sentence once it is checked, then the answer.

        The arguments are those of `ask`. Closing the iterator stops the language model.
        """
        scope = Scope(as_of or date.today(), since, until, source)
        run = _Run(self.settings, self._embedder.name, self._llm.name if wording else None)
        query = condense(question, history)
        with run.stage("embed"):
            vector = self._embedder.encode([query])[0]
        with run.stage("search"):
            found = search(self._store, self.settings, query, vector, EVIDENCE_POOL, scope)
            passages = tuple(found)
        with run.stage("select"):
            evidence = select(self._store, self._embedder, query, vector, passages)
        quotes = verify.quotes(evidence) if verify.answerable(evidence) else ()
        yield Evidence(query, passages, quotes)
        sentences: list[Sentence] = []
        if quotes and wording:
            for sentence in run.word(self._llm, query, evidence):
                sentences.append(sentence)
                yield sentence
        shown = tuple(sentences) or (() if run.gives_up(evidence) else quotes)
        status: Status = "answered" if shown else "abstained"
        yield Answer(question, status, shown, passages, run.trace(query))

    # -- llama-index --------------------------------------------------------------------------

    def as_retriever(self, k: int = 10) -> BaseRetriever:
        """`search` as a llama-index retriever."""
        from rag.llamaindex import ArchiveRetriever

        return ArchiveRetriever(self, k)

    def as_query_engine(self, wording: bool = True) -> CustomQueryEngine:
        """`ask` as a llama-index query engine."""
        from rag.llamaindex import ArchiveQueryEngine

        return ArchiveQueryEngine(archive=self, wording=wording)


class _Run:
    """One question's way through the pipeline: stages are timed, drafts are checked."""

    def __init__(self, settings: Settings, embedding_model: str, llm: str | None) -> None:
        self._settings = settings.digest
        self._models = {"embedding": embedding_model} | ({"llm": llm} if llm else {})
        self._timings: dict[str, float] = {}
        self._notes: list[str] = []
        self._checks: list[Check] = []
        self._drafts: int | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            passed = (time.perf_counter() - started) * 1000
            self._timings[name] = self._timings.get(name, 0.0) + passed

    def word(
        self, llm: LLM, query: str, evidence: Sequence[EvidenceSentence]
    ) -> Iterator[Sentence]:
        """The model's sentences that hold. One that fails leaves a note."""
        count = shown = 0
        with closing(writing.write(llm, query, evidence)) as drafts:
            while True:
                with self.stage("write"):
                    try:
                        draft = next(drafts, None)
                    except LLMError as error:
                        instead = "The answer ends early." if shown else _QUOTED
                        self._notes.append(f"{_sentence(str(error))} {instead}")
                        return
                if draft is None:
                    break
                count += 1
                with self.stage("verify"):
                    verdict = verify.check(draft, evidence, query)
                if verdict.sentence is not None:
                    shown += 1
                    self._checks.append(Check(draft.text, "kept", verdict.sentence.support))
                    yield verdict.sentence
                else:
                    self._checks.append(Check(draft.text, "dropped", 0.0, verdict.reason))
        self._drafts = count

    def gives_up(self, evidence: Sequence[EvidenceSentence]) -> bool:
        """Whether a model that was asked, and wrote nothing that holds, speaks against an answer.

        It declined, or its words did not hold on evidence that is not close to the question.
        """
        if self._drafts is None:
            return False
        return self._drafts == 0 or not verify.answerable(evidence, unworded=True)

    def trace(self, query: str) -> Trace:
        return Trace(
            query=query,
            settings=self._settings,
            prompts=writing.prompt_hashes(),
            models=self._models,
            timings=self._timings,
            notes=tuple(self._notes),
            checks=tuple(self._checks),
        )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
