"""One question's way through the pipeline: look, quote, word, check, decide.

A question of several parts ("who won, and how many came?") is looked up part by part, so that a
part that the archive does not answer is named instead of spoiling the rest.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from rag import abstain, short, verify
from rag import answer as writing
from rag.abstain import Calibration
from rag.conflicts import disputes
from rag.errors import LLMError
from rag.evidence import EvidenceSentence, select
from rag.looked import Looked, Meant
from rag.models import LLM, Embedder
from rag.reader import Reader
from rag.retrieve import Found, Scope, Window, condense, parts, search
from rag.settings import Settings
from rag.store import Store
from rag.times import hull, meant, remarks
from rag.turnstile import Turnstile
from rag.types import (
    Answer,
    Check,
    Event,
    Evidence,
    History,
    Outcome,
    RankedPassage,
    Sentence,
    Short,
    Status,
    Trace,
)
from rag.words import stems

PASSAGES = 10
"""Passages that an answer carries."""

WORTH_ASKING = 0.25
"""The language model is asked from this share of the least probability on: it may raise it."""

_QUOTED = "The evidence is quoted instead."
_WITHOUT_PHRASE = "it does not have the phrase that answers"


@dataclass(frozen=True, slots=True)
class Tools:
    """What a question is answered with. Without a reader, retrieval decides alone."""

    store: Store
    settings: Settings
    embedder: Embedder
    llm: LLM
    reader: Reader | None
    support: verify.Support
    calibration: Calibration
    looking: Turnstile
    wording: Turnstile

    @property
    def threshold(self) -> float:
        """The least probability to answer with."""
        return self.calibration.threshold(self.settings.accepted_error)

    def check(
        self, draft: writing.Draft, evidence: Sequence[EvidenceSentence], query: str
    ) -> verify.Verdict:
        """A draft against its evidence. Raises `LLMError`."""
        denies = partial(writing.denies, self.llm)
        return verify.check(self.support, draft, evidence, query, denies)


def inquire(
    tools: Tools,
    question: str,
    history: History,
    scope: Scope,
    wording: bool,
    query: str = "",
) -> Iterator[Event]:
    """The evidence, then each worded sentence once it is checked, then the answer.

    `query` is the question as understood, where the user has given it. There are as many places to
    look as cores, and one to word at a local model; who waits there is told his place.
    """
    run = _Run(tools, wording)
    query = query or condense(question, history)
    times = meant(query, scope.as_of)
    scope = replace(scope, near=hull(times))
    with tools.looking.place() as place:
        place.stand()
        looked = [run.look(asked, alone, scope) for asked, alone in parts(query)]
    passages = _interleaved([part.found for part in looked])
    yield Evidence(query, passages, tuple(dict.fromkeys(q for part in looked for q in part.quotes)))
    with tools.wording.place() as place:
        for part in looked:
            if wording and part.probability >= WORTH_ASKING * tools.threshold:
                yield from place.wait()
                yield from run.word(part)
            run.settle(part)
    yield run.answer(question, query, looked, passages, scope, times)


@dataclass(slots=True)
class _Part:
    """One part of a question, from its search to what is shown for it."""

    asked: str
    query: str
    found: list[Found]
    evidence: list[EvidenceSentence]
    signals: dict[str, float]
    probability: float
    quotes: tuple[Sentence, ...]
    missing: tuple[str, ...]
    shown: list[Sentence] = field(default_factory=list)
    said: str = ""
    home: EvidenceSentence | None = None
    short: Short | None = None

    @property
    def windows(self) -> list[Window]:
        return [window for one in self.found for window in one.windows]


class _Run:
    """Stages are timed, drafts are checked, and what happened is kept for the trace."""

    def __init__(self, tools: Tools, wording: bool) -> None:
        self._tools = tools
        self._wording = wording
        self._timings: dict[str, float] = {}
        self._notes: list[str] = []
        self._checks: list[Check] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            passed = (time.perf_counter() - started) * 1000
            self._timings[name] = self._timings.get(name, 0.0) + passed

    def look(self, asked: str, query: str, scope: Scope) -> _Part:
        """Search, read and select for one part, and say how probable an answer is."""
        tools = self._tools
        with self.stage("embed"):
            vector = tools.embedder.encode([query])[0]
        with self.stage("search"):
            found = search(
                tools.store, tools.settings, tools.reader, query, vector, PASSAGES, scope
            )
        with self.stage("select"):
            evidence = select(tools.store, tools.embedder, query, vector, found)
            missing = abstain.missing(query, found)
            share = len(missing) / max(len(abstain.names(query)), 1)
            weights = tools.store.words.rarity(set(stems(query)))
            signals = abstain.signals(found, evidence, share, weights)
        probability = tools.calibration.probability(signals)
        enough = probability >= tools.threshold
        quotes = verify.quotes(evidence) if enough else ()
        return _Part(asked, query, found, evidence, signals, probability, quotes, missing)

    def word(self, part: _Part) -> Iterator[Sentence]:
        """The model's sentences that hold, of an answer that is probable enough.

        A model that fails leaves a note, and the quotes.
        """
        try:
            if short.wanted(part.query) == "phrase":
                self._say(part)
            with closing(self._drafts(part)) as drafts:
                yield from self._kept(part, drafts)
        except LLMError as error:
            instead = "The answer ends early." if part.shown else _QUOTED
            self._notes.append(f"{_sentence(str(error))} {instead}")

    def _say(self, part: _Part) -> None:
        """The model's phrase, if it stands in the evidence; that sentence is then quoted first."""
        with self.stage("phrase"):
            reply = writing.phrase(self._tools.llm, part.query, part.evidence)
        part.short, part.home = short.from_phrase(part.query, reply.text, part.evidence)
        said = {"phrase said": _sign(part.home is not None)}
        if reply.certainty is not None:
            said |= {"certainty known": 1.0, "certainty": reply.certainty}
        part.signals |= said
        if part.home is None:
            return
        part.said = reply.text
        if part.quotes:
            first = verify.quotes([part.home])
            part.quotes = (*first, *(q for q in part.quotes if q not in first))[: verify.MAX_QUOTES]

    def _drafts(self, part: _Part) -> Generator[writing.Draft]:
        with closing(
            writing.write(self._tools.llm, part.query, part.evidence, said=part.said)
        ) as written:
            while True:
                with self.stage("write"):
                    draft = next(written, None)
                if draft is None:
                    return
                yield draft

    def _kept(self, part: _Part, drafts: Iterable[writing.Draft]) -> Iterator[Sentence]:
        """The drafts that hold, as long as an answer is probable enough.

        Where the model has given a phrase, one sentence is enough.
        """
        written = kept = 0
        for draft in drafts:
            written += 1
            sentence = self._checked(part, draft)
            if sentence is not None:
                kept += 1
                self._weigh(part, support=sentence.support, agrees=_agrees(part, sentence))
                if part.probability >= self._tools.threshold:
                    part.shown.append(sentence)
                    yield sentence
                if part.home:
                    break
        if not kept:
            self._weigh(part, declined=float(written == 0), support=-1.0)

    def _weigh(self, part: _Part, **wording: float) -> None:
        """The probability again, now that the model has been heard."""
        part.signals |= {"worded": 1.0, **wording}
        part.probability = self._tools.calibration.probability(part.signals)
        if part.probability < self._tools.threshold:
            part.quotes = ()

    def _checked(self, part: _Part, draft: writing.Draft) -> Sentence | None:
        """A draft that holds; else written once more from what it came closest to, or quoted.

        Where the model has given a phrase, a draft without it is no answer, and a sentence that
        has the phrase is quoted: one that the draft names, or else the best.
        """
        verdict = verify.Verdict(None, _WITHOUT_PHRASE)
        if part.home is None or _says(draft.text, part.short):
            with self.stage("verify"):
                verdict = self._tools.check(draft, part.evidence, part.query)
        if part.home and verdict.sentence is None:
            named = [part.evidence[n - 1] for n in draft.numbers if 0 < n <= len(part.evidence)]
            home = next((one for one in named if _says(one.text, part.short)), part.home)
            (quote,) = verify.quotes([home])
            return self._note(draft.text, "quoted", quote, verdict.reason)
        if verdict.sentence is not None:
            return self._note(draft.text, "kept", verdict.sentence)
        if verdict.near is None:
            return self._note(draft.text, "dropped", None, verdict.reason)
        with self.stage("rewrite"):
            again = self._rewritten(part.query, verdict.near)
        if again is not None:
            return self._note(draft.text, "rewritten", again, verdict.reason)
        if part.quotes:
            return self._note(
                draft.text, "quoted", verify.quotes([verdict.near])[0], verdict.reason
            )
        return self._note(draft.text, "dropped", None, verdict.reason)

    def _rewritten(self, query: str, near: EvidenceSentence) -> Sentence | None:
        """What the model writes from one evidence sentence alone, if that holds."""
        tools = self._tools
        try:
            with closing(writing.write(tools.llm, query, [near], "again")) as written:
                draft = next(written, None)
        except LLMError:
            return None
        if draft is None:
            return None
        return tools.check(draft, [near], query).sentence

    def _note(
        self, text: str, outcome: Outcome, sentence: Sentence | None, reason: str = ""
    ) -> Sentence | None:
        support = sentence.support if sentence else 0.0
        self._checks.append(Check(text, outcome, support, reason))
        return sentence

    def settle(self, part: _Part) -> None:
        """What is shown for a part: its sentences, or else the quotes that are left to it.

        The phrase is the model's, else the one that the reader finds in the first sentence, else
        the one that the read windows speak for.
        """
        part.shown = part.shown or list(part.quotes)
        kind = short.wanted(part.query)
        if not part.shown:
            part.short = None
        elif kind is not None and part.short is None and self._tools.reader is not None:
            with self.stage("short"):
                worded = short.from_sentence(self._tools.reader, part.query, kind, part.shown[0])
                part.short = worded or (
                    short.from_windows(part.query, part.windows) if kind == "phrase" else None
                )

    def answer(
        self,
        question: str,
        query: str,
        looked: Sequence[_Part],
        passages: tuple[RankedPassage, ...],
        scope: Scope,
        times: tuple[Meant, ...],
    ) -> Answer:
        """All parts together."""
        answered = [part for part in looked if part.shown]
        open_parts = [part for part in looked if not part.shown]
        decisive = min(answered or looked, key=lambda part: part.probability)
        count, first, last = self._tools.store.period(scope.filters)
        missing = tuple(dict.fromkeys(word for part in open_parts for word in part.missing))
        status: Status = "answered" if answered else "abstained"
        left = " ".join(part.asked for part in open_parts) if answered else ""
        shown = (sentence for part in answered for sentence in part.shown)
        sentences = tuple(dict.fromkeys(shown))
        return Answer(
            question,
            status,
            sentences,
            passages,
            self._trace(query, decisive),
            short=looked[0].short if len(looked) == 1 else None,
            probability=decisive.probability,
            missing=left,
            looked=Looked(query, missing, count, first, last, times),
            remarks=tuple(remarks(sentences, times)) if answered else (),
            disputes=disputes(query, looked[0].found, sentences) if len(looked) == 1 else (),
        )

    def _trace(self, query: str, part: _Part) -> Trace:
        tools = self._tools
        models = {"embedding": tools.embedder.name}
        if tools.reader is not None:
            models["reranker"] = tools.reader.name
        if self._wording:
            models["llm"] = tools.llm.name
        return Trace(
            query=query,
            settings=tools.settings.digest,
            prompts=writing.prompt_hashes(),
            models=models,
            timings=self._timings,
            notes=tuple(self._notes),
            checks=tuple(self._checks),
            signals=part.signals,
        )


def _interleaved(found: Sequence[Sequence[Found]]) -> tuple[RankedPassage, ...]:
    """The passages of all parts by rank, each once."""
    ranks = range(max((len(one) for one in found), default=0))
    passages = [one[rank].passage for rank in ranks for one in found if rank < len(one)]
    return tuple({passage.id: passage for passage in passages}.values())


def _says(text: str, phrase: Short | None) -> bool:
    """Whether a sentence has the phrase, letter case and white space apart."""
    return phrase is not None and phrase.text.lower() in " ".join(text.split()).lower()


def _agrees(part: _Part, sentence: Sentence) -> float:
    """Whether the sentence has the phrase that the reader found; 0 where none is asked for."""
    if short.wanted(part.query) != "phrase":
        return 0.0
    return _sign(_says(sentence.text, short.from_windows(part.query, part.windows)))


def _sign(holds: bool) -> float:
    """A signal that is 0 where it does not apply."""
    return 1.0 if holds else -1.0


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
