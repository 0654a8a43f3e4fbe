"""The reader: one small model that ranks passages and finds the phrase that answers.

A question and a passage go through MiniLM together (a cross-encoder: Nogueira and Cho 2019). One
head says how relevant the passage is, two more where an answer starts and ends (Devlin et al.
2019), normalised over all passages of a question, so that their scores compare (Clark and Gardner
2018).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from rag import encoder
from rag.errors import ModelError
from rag.settings import EMBEDDED_RERANKER, NO_RERANKER, Settings

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder
    from torch import Tensor
    from transformers import BatchEncoding, BertModel, PreTrainedTokenizerFast

WINDOW_CHARACTERS = 500
"""The reader sees a passage in windows of whole sentences, at most this long each."""

MAX_TOKENS = 224
MAX_QUESTION_WORDS = 64
LONGEST_PHRASE = 16
"""Tokens of a phrase at most."""
PHRASES = 4
"""Phrases kept per passage."""

_BATCH = 16
_WEIGHTS = Path(__file__).parent / "weights" / "reader.safetensors"

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase of a passage, `text[start:end]`, with its logit over "no answer" of the passage."""

    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader makes of one passage: its relevance (a logit), and its best phrases first."""

    relevance: float
    phrases: tuple[Phrase, ...] = ()


class Reader(Protocol):
    """A question and passages into one reading per passage."""

    name: str

    def read(self, question: str, passages: Sequence[tuple[str, str]]) -> list[Reading]:
        """Readings of (title, text) passages, in order."""


class EmbeddedReader:
    """Our own reader, loaded at first use from the weights beside this module."""

    name = "newsrag-reader"

    def __init__(self, weights: Path = _WEIGHTS) -> None:
        self._weights = weights
        self._lock = threading.Lock()
        self._parts: tuple[Any, Any, Mapping[str, Tensor]] | None = None

    def read(self, question: str, passages: Sequence[tuple[str, str]]) -> list[Reading]:
        """Readings of (title, text) passages, in order. Raises `ModelError`."""
        import torch

        order = sorted(range(len(passages)), key=lambda n: len(passages[n][1]))
        readings: dict[int, Reading] = {}
        with torch.inference_mode():
            with self._lock:
                tokens, model, heads = self._load()
            for first in range(0, len(order), _BATCH):
                chosen = order[first : first + _BATCH]
                pairs = [passages[n] for n in chosen]
                with self._lock:  # a tokenizer serves one at a time
                    encoded = tokenize(tokens, [question] * len(chosen), pairs)
                relevance, start, end = forward(model, heads, encoded)
                for row, number in enumerate(chosen):
                    phrases = _phrases(encoded, row, start[row], end[row], len(passages[number][0]))
                    readings[number] = Reading(float(relevance[row]), phrases)
        return [readings[number] for number in range(len(passages))]

    def _load(self) -> tuple[Any, Any, Mapping[str, Tensor]]:
        """The tokenizer, the encoder and the heads; from the file the first time."""
        if self._parts is None:
            model, heads = encoder.load_layers(self._weights)
            dtype = encoder.compute_dtype()
            light = {name: tensor.to(dtype) for name, tensor in heads.items()}
            self._parts = encoder.tokenizer(), cast(Any, model).to(dtype), light
        return self._parts


def tokenize(
    tokens: PreTrainedTokenizerFast, questions: Sequence[str], passages: Sequence[tuple[str, str]]
) -> BatchEncoding:
    """Pairs of a question and "title. text" as tensors with offsets; passages are cut to fit."""
    short = [" ".join(question.split()[:MAX_QUESTION_WORDS]) for question in questions]
    encoded = tokens(
        short,
        [headed(title, text) for title, text in passages],
        padding=True,
        truncation="only_second",
        max_length=MAX_TOKENS,
        return_tensors="pt",
        return_offsets_mapping=True,
    )
    return cast("BatchEncoding", encoded)


def headed(title: str, text: str) -> str:
    """A passage under its title, as the reader sees it."""
    return f"{title}. {text}" if title else text


def forward(
    model: BertModel, heads: Mapping[str, Tensor], encoded: BatchEncoding
) -> tuple[Tensor, Tensor, Tensor]:
    """Relevance, shape (n,), and start and end logits, shape (n, tokens), all float32.

    Start and end are minus infinity outside the passage but at [CLS], which stands for no answer.
    """
    import torch

    mask = encoded["attention_mask"]
    hidden = model(
        input_ids=encoded["input_ids"],
        attention_mask=mask,
        token_type_ids=encoded["token_type_ids"],
    ).last_hidden_state
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    pooled = torch.cat([hidden[:, 0], (hidden * weights).sum(1) / weights.sum(1)], dim=1)
    relevance = (pooled @ heads["relevance.weight"] + heads["relevance.bias"]).float().squeeze(-1)
    logits = (hidden @ heads["span.weight"] + heads["span.bias"]).float()
    allowed = encoded["token_type_ids"].bool() & mask.bool()
    allowed[:, 0] = True
    logits = logits.masked_fill(~allowed.unsqueeze(-1), float("-inf"))
    return relevance, logits[..., 0], logits[..., 1]


def _phrases(
    encoded: BatchEncoding, row: int, start: Tensor, end: Tensor, title: int
) -> tuple[Phrase, ...]:
    """The best phrases of one passage's text; the title above it is not part of the text."""
    offsets = encoded["offset_mapping"][row].numpy()
    head = title + 2 if title else 0
    inside = np.flatnonzero(
        (encoded["token_type_ids"][row].numpy() == 1)
        & (offsets[:, 1] > offsets[:, 0])
        & (offsets[:, 0] >= head)
    )
    if not inside.size:
        return ()
    first, last = inside[0], inside[-1] + 1
    null = float(start[0] + end[0])
    scores = start[first:last, None].numpy() + end[None, first:last].numpy() - null
    size = last - first
    reach = np.arange(size)[None, :] - np.arange(size)[:, None]
    scores = np.where((reach >= 0) & (reach < LONGEST_PHRASE), scores, -np.inf)
    found: list[Phrase] = []
    for flat in np.argsort(-scores, axis=None)[: PHRASES * 8]:
        a, b = divmod(int(flat), size)
        phrase = Phrase(
            int(offsets[first + a, 0]) - head,
            int(offsets[first + b, 1]) - head,
            float(scores[a, b]),
        )
        if all(phrase.end <= other.start or other.end <= phrase.start for other in found):
            found.append(phrase)
        if len(found) == PHRASES or not np.isfinite(scores[a, b]):
            break
    return tuple(found)


class CrossEncoderReader:
    """Any sentence-transformers cross-encoder, by name or folder; it finds no phrases."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._model: CrossEncoder | None = None

    def read(self, question: str, passages: Sequence[tuple[str, str]]) -> list[Reading]:
        """Readings of (title, text) passages, in order. Raises `ModelError`."""
        if not passages:
            return []
        pairs = [(question, headed(title, text)) for title, text in passages]
        with self._lock:
            if self._model is None:
                self._model = _load_cross_encoder(self.name)
            from torch.nn import Identity

            scores = self._model.predict(
                pairs, batch_size=_BATCH, activation_fn=Identity(), show_progress_bar=False
            )
        if np.ndim(scores) != 1:
            raise ModelError(f"the reranker {self.name} gives more than one score per passage")
        return [Reading(float(score)) for score in scores]


def _load_cross_encoder(name: str) -> CrossEncoder:
    from sentence_transformers import CrossEncoder

    try:
        return cast("CrossEncoder", CrossEncoder(name))
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"the reranker {name} does not load: {error}") from error


def make_reader(settings: Settings) -> Reader | None:
    """The reader that the settings name; nothing is loaded yet."""
    if settings.reranker == NO_RERANKER:
        return None
    if settings.reranker == EMBEDDED_RERANKER:
        return EmbeddedReader()
    return CrossEncoderReader(settings.reranker)
