"""Evidence sentences into a prompt, and the language model's reply into draft sentences."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import jinja2

from rag.evidence import EvidenceSentence
from rag.models import LLM, Message
from rag.passages import split_sentences

MAX_ANSWER_TOKENS = 160
_MAX_EVIDENCE_CHARACTERS = 400
_MARKERS = re.compile(
    r"((?:\s*(?:\bsentences? )?\[\d+(?:\s*[,;]\s*\d+)*\])+)",
    re.IGNORECASE,  # small models like to write "Sentence [3]"
)
_UNFINISHED_MARKER = re.compile(r"\s*\[[\d\s,;]*$")
_EDGES = " .;,-*[\n"
_NO_ANSWER = "NO ANSWER"
_PROMPTS = ("answer.system.txt", "answer.user.txt", "rewrite.user.txt")


@dataclass(frozen=True, slots=True)
class Draft:
    """One sentence of the model, not checked yet, with the evidence numbers it claims (from 1).

    Without text, the model only pointed at evidence.
    """

    text: str
    numbers: tuple[int, ...]


def write(
    llm: LLM, query: str, evidence: Sequence[EvidenceSentence], again: bool = False
) -> Generator[Draft]:
    """Draft sentences, each as soon as the model has finished it; none if the model declines.

    `again` asks for words closer to the evidence, after a draft that it did not support. Raises
    `LLMError`.
    """
    reply = ""
    given = 0
    for piece in llm.stream(messages(query, evidence, again), MAX_ANSWER_TOKENS):
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


def messages(
    query: str, evidence: Sequence[EvidenceSentence], again: bool = False
) -> list[Message]:
    """The prompt: one line per evidence sentence, so that no text can pose as another line."""
    lines = [" ".join(e.text.split())[:_MAX_EVIDENCE_CHARACTERS] for e in evidence]
    system, first, second = _PROMPTS
    return [
        ("system", _template(system).render()),
        (
            "user",
            _template(second if again else first).render(
                sentences=lines, question=" ".join(query.split())
            ),
        ),
    ]


def prompt_hashes() -> dict[str, str]:
    """A short hash per prompt file, for traces."""
    return {
        name: hashlib.sha256(_source(name).encode()).hexdigest()[:12] for name in sorted(_PROMPTS)
    }


@cache
def _source(name: str) -> str:
    return resources.files("prompts").joinpath(name).read_text(encoding="utf-8")


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    return environment.from_string(_source(name))


def _segments(reply: str) -> list[tuple[str, tuple[int, ...]]]:
    """Cut a reply into texts with their markers, which stand behind them or, in some, before.

    All but the last segment are complete, however the reply goes on.
    """
    parts = _MARKERS.split(_UNFINISHED_MARKER.sub("", reply))
    texts, markers = parts[0::2], [_numbers(marker) for marker in parts[1::2]]
    if len(texts) > 1 and not texts[0].strip(_EDGES) and texts[1].strip(_EDGES):
        return list(zip(texts[1:], markers, strict=True))
    if len(texts) > 1 and not texts[-1].strip(_EDGES):
        texts.pop()
    markers.extend([()] * (len(texts) - len(markers)))
    return list(zip(texts, markers, strict=True))


def _numbers(marker: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(int(number) for number in re.findall(r"\d+", marker)))


def _drafts(text: str, numbers: tuple[int, ...]) -> Iterator[Draft]:
    if _NO_ANSWER in text.upper():
        return
    for span in split_sentences(text):
        sentence = text[span.start : span.end].strip()
        if sentence.strip(_EDGES):
            yield Draft(sentence, numbers)
