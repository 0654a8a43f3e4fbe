"""Evidence sentences into a prompt, and the language model's reply into draft sentences."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import jinja2

from rag.models import LLM, Message
from rag.passages import split_sentences
from rag.retrieve import EvidenceSentence

MAX_ANSWER_TOKENS = 160
_MAX_EVIDENCE_CHARACTERS = 400
_MARKER = re.compile(r"\[(\d+(?:\s*[,;]\s*\d+)*)\]")
_NO_ANSWER = "NO ANSWER"
_PROMPTS = ("answer.system.txt", "answer.user.txt")


@dataclass(frozen=True, slots=True)
class Draft:
    """One sentence of the model, not checked yet, with the evidence numbers it claims (from 1)."""

    text: str
    numbers: tuple[int, ...]


def write(llm: LLM, query: str, evidence: Sequence[EvidenceSentence]) -> Iterator[Draft]:
    """Draft sentences, each as soon as the model has finished it; none if the model declines.

    Raises `LLMError`.
    """
    buffer = ""
    for piece in llm.stream(messages(query, evidence), MAX_ANSWER_TOKENS):
        buffer += piece
        done, buffer = _finished(buffer)
        yield from _drafts(done)
    yield from _drafts(buffer)


def messages(query: str, evidence: Sequence[EvidenceSentence]) -> list[Message]:
    """The prompt: one line per evidence sentence, so that no text can pose as another line."""
    lines = [" ".join(e.text.split())[:_MAX_EVIDENCE_CHARACTERS] for e in evidence]
    system, user = _PROMPTS
    return [
        ("system", _template(system).render()),
        ("user", _template(user).render(sentences=lines, question=" ".join(query.split()))),
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


def _finished(buffer: str) -> tuple[str, str]:
    """Split off what is complete: up to the last marker that other text follows."""
    end = 0
    for match in _MARKER.finditer(buffer):
        rest = buffer[match.end() :].lstrip(" .;,")
        if rest and not rest.startswith("["):
            end = len(buffer) - len(rest)
    return buffer[:end], buffer[end:]


def _drafts(text: str) -> Iterator[Draft]:
    """Sentences with the markers that follow them; a marker covers all text since the last one."""
    if _NO_ANSWER in text.upper():
        return
    position = 0
    numbers: list[int] = []
    pending = ""
    for match in _MARKER.finditer(text):
        before = text[position : match.start()]
        if before.strip(" .;,\n"):
            yield from _sentences(pending, numbers)
            pending, numbers = before, []
        numbers.extend(int(number) for number in re.findall(r"\d+", match[1]))
        position = match.end()
    yield from _sentences(pending, numbers)
    yield from _sentences(text[position:], [])


def _sentences(text: str, numbers: Sequence[int]) -> Iterator[Draft]:
    for span in split_sentences(text):
        sentence = text[span.start : span.end].strip()
        if sentence.strip(" .;,-*"):
            yield Draft(sentence, tuple(dict.fromkeys(numbers)))
