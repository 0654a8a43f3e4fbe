"""Evidence sentences into a prompt, and the language model's reply into draft sentences."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Literal

import jinja2

from rag.evidence import EvidenceSentence
from rag.models import LLM, Message, Reply
from rag.passages import split_sentences

MAX_ANSWER_TOKENS = 160
MAX_PHRASE_TOKENS = 24
MAX_VERDICT_TOKENS = 1
_MAX_EVIDENCE_CHARACTERS = 400
_MAX_TITLE_CHARACTERS = 120
_MAX_JUDGED_CHARACTERS = 2000
_MARKERS = re.compile(
    # Small models like to write "Sentence [3]", "as stated in [3]" and "she said in [3] that".
    r"(?:,?\s*\bas (?:\w+ ){1,2}(?:in|by)|\s+(?:in|from|per|see))?"
    r"((?:\s*(?:\bsentences? )?\[\d+(?:\s*[,;]\s*\d+)*\])+)",
    re.IGNORECASE,
)
_LEAD_IN = re.compile(
    # "The sentence [3] states that": what follows is the answer.
    r"\A\W*(?:according to |as (?:stated|mentioned) in )?(?:the )?(?:sentences? )?"
    r"(\[\d+\])(?:,| (?:state|say|mention|indicate|show|report|note)s? that) +(\w)",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"\s*(?:,\s*)?[a-z]")
"""What follows a marker in the middle of a sentence."""
_UNFINISHED_MARKER = re.compile(r"\s*\[[\d\s,;]*$")
_ROUND_MARKER = re.compile(r"\s*\((\d)\)(?=\W*\Z)")
"""Rarely a marker is in round brackets; at the end of a sentence it is hardly anything else."""
_EDGES = " .;,-*[\n"
_NO_ANSWER = "NO ANSWER"
_SYSTEM = "answer.system.txt"
_WORDED = "worded.user.txt"
_PROMPTS = {"sentence": "answer.user.txt", "phrase": "short.user.txt", "again": "rewrite.user.txt"}
_PARTIAL = "evidence.txt"
_JUDGE = "judge.user.txt"
_NO = re.compile(r"\W*no\b", re.IGNORECASE)

Wish = Literal["sentence", "phrase", "again"]
"""What the model is asked for: a sentence, the shortest phrase, or a sentence of given words."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One sentence of the model, not checked yet, with the evidence numbers it claims (from 1).

    Without text, the model only pointed at evidence.
    """

    text: str
    numbers: tuple[int, ...]


def phrase(llm: LLM, query: str, evidence: Sequence[EvidenceSentence]) -> Reply:
    """The shortest phrase that the model answers with, as it wrote it, on one line.

    Small models that may decline do so for questions that they can answer; whether to answer at
    all is decided elsewhere, so they may not. Raises `LLMError`.
    """
    reply = llm.reply(messages(query, evidence, "phrase"), MAX_PHRASE_TOKENS)
    lines = reply.text.strip().splitlines()
    return replace(reply, text=lines[0].strip() if lines else "")


def write(
    llm: LLM,
    query: str,
    evidence: Sequence[EvidenceSentence],
    wish: Wish = "sentence",
    said: str = "",
) -> Generator[Draft]:
    """Draft sentences, each as soon as the model has finished it; none if the model declines.

    `said` is the phrase that the model has answered with before: then it words that. Raises
    `LLMError`.
    """
    reply = ""
    given = 0
    asked = messages(query, evidence, wish, said)
    for piece in llm.stream(asked, MAX_ANSWER_TOKENS):
        reply += piece
        complete = _segments(reply)[:-1]
        for text, numbers in complete[given:]:
            yield from _drafts(text, numbers)
        given = max(given, len(complete))
    rest = _segments(reply)[given:]
    for text, numbers in rest:
        yield from _drafts(text, numbers)
    if not given and rest and not any(text.strip(_EDGES) for text, _ in rest) and rest[0][1]:
        yield Draft("", rest[0][1])


def denies(llm: LLM, text: str, claim: str) -> bool:
    """Whether the model, asked if the text fully supports the claim, says no.

    It can only object: a text that tells the model to say yes gains nothing. Raises `LLMError`.
    """
    return is_no(verdict(llm, text, claim))


def verdict(llm: LLM, text: str, claim: str) -> Reply:
    """What the model says when it is asked if the text fully supports the claim."""
    shown = " ".join(text.split())[:_MAX_JUDGED_CHARACTERS]
    words = {"text": shown, "claim": " ".join(claim.split())}
    return llm.reply([("user", _template(_JUDGE).render(words))], MAX_VERDICT_TOKENS)


def is_no(reply: Reply) -> bool:
    """Whether a verdict is a plain no; what is neither yes nor no objects to nothing."""
    return _NO.match(reply.text) is not None


def messages(
    query: str, evidence: Sequence[EvidenceSentence], wish: Wish = "sentence", said: str = ""
) -> list[Message]:
    """The prompt: one line per evidence sentence, so that no text can pose as another line.

    All wishes begin alike, so that a model which keeps what it has read reads the evidence once.
    """
    words = {"sentences": _lines(evidence), "question": " ".join(query.split())}
    user = _template(_PROMPTS["phrase" if said else wish]).render(words)
    first: list[Message] = [("system", _template(_SYSTEM).render()), ("user", user)]
    if not said:
        return first
    return [*first, ("assistant", said), ("user", _template(_WORDED).render())]


def _lines(evidence: Sequence[EvidenceSentence]) -> list[str]:
    """The sentences; where another article begins, its title goes before, in brackets."""
    lines, last = [], ""
    for one in evidence:
        text = " ".join(one.text.split())[:_MAX_EVIDENCE_CHARACTERS]
        title = " ".join(one.article.title.split())[:_MAX_TITLE_CHARACTERS]
        lines.append(f"({title}) {text}" if title and one.article.id != last else text)
        last = one.article.id
    return lines


def prompt_hashes() -> dict[str, str]:
    """A short hash per prompt file, for traces."""
    return {
        name: hashlib.sha256(_source(name).encode()).hexdigest()[:12]
        for name in sorted([_SYSTEM, _WORDED, _PARTIAL, _JUDGE, *_PROMPTS.values()])
    }


@cache
def _source(name: str) -> str:
    return resources.files("prompts").joinpath(name).read_text(encoding="utf-8")


@cache
def _template(name: str) -> jinja2.Template:
    loader = jinja2.FunctionLoader(_source)
    environment = jinja2.Environment(
        loader=loader, undefined=jinja2.StrictUndefined, autoescape=False
    )
    return environment.get_template(name)


def _segments(reply: str) -> list[tuple[str, tuple[int, ...]]]:
    """Cut a reply into texts with their markers, which stand behind them or, in some, before.

    All but the last segment are complete, however the reply goes on.
    """
    reply = _LEAD_IN.sub(lambda lead: f"{lead[1]} {lead[2].upper()}", reply)
    parts = _MARKERS.split(_UNFINISHED_MARKER.sub("", reply))
    texts, markers = parts[0::2], [_numbers(marker) for marker in parts[1::2]]
    if len(texts) > 1 and not texts[0].strip(_EDGES) and texts[1].strip(_EDGES):
        return list(zip(texts[1:], markers, strict=True))
    if len(texts) > 1 and not texts[-1].strip(_EDGES):
        texts.pop()
    markers.extend([()] * (len(texts) - len(markers)))
    return _joined(zip(texts, markers, strict=True))


def _joined(pieces: Iterable[tuple[str, tuple[int, ...]]]) -> list[tuple[str, tuple[int, ...]]]:
    """The segments, each with what goes on in the middle of its sentence."""
    segments: list[tuple[str, tuple[int, ...]]] = []
    for text, numbers in pieces:
        if segments and _GOES_ON.match(text) and segments[-1][0].strip(_EDGES):
            before, named = segments[-1]
            segments[-1] = (before + text, tuple(dict.fromkeys((*named, *numbers))))
        else:
            segments.append((text, numbers))
    return segments


def _numbers(marker: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(int(number) for number in re.findall(r"\d+", marker)))


def _drafts(text: str, numbers: tuple[int, ...]) -> Iterator[Draft]:
    if _NO_ANSWER in text.upper():
        return
    for span in split_sentences(text):
        sentence = text[span.start : span.end].strip()
        named = numbers
        if marker := _ROUND_MARKER.search(sentence):
            sentence = sentence[: marker.start()] + sentence[marker.end() :]
            named = numbers or _numbers(marker[1])
        if sentence.strip(_EDGES):
            yield Draft(sentence, named)
