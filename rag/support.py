"""Whether a text supports a claim, as a probability: a small cross-encoder and a few plain checks.

The encoder reads evidence and claim together. Its logit and the features of `rag.claims` go into a
logistic regression, whose coefficients stand beside the weights. `rag/weights/SUPPORT.md` says what
it was fitted on and how well it does.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag.claims import KINDS, features
from rag.encoder import WIDTH, compute_dtype, load_layers, tokenizer
from rag.errors import ModelError
from rag.passages import split_sentences
from rag.quantities import Quantity, quantities
from rag.words import stems

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import BertModel, PreTrainedTokenizerFast

WEIGHTS = Path(__file__).parent / "weights" / "support.safetensors"
FEATURES = ("logit", "coverage", *KINDS, "whole")
"""What the calibration weighs, in the order of its coefficients.

`whole` is 1 for a claim of which every word is in the text and against which no check speaks: there
the plain checks know better than the cross-encoder.
"""

Pair = tuple[str, str]
"""Evidence and claim."""

HEAD = 3 * WIDTH
"""Dimensions that the head weighs: the first state, mean and maximum of the claim's states."""

MAX_TOKENS = 256
MAX_EVIDENCE_WORDS = 140
"""About 200 tokens of news."""

_BATCH = 32
_CONTRACTED = re.compile(r"\b(\w+)n[’']t\b", re.IGNORECASE)
_IRREGULAR = {"ca": "can", "wo": "will", "sha": "shall"}


def nearest(evidence: str, claim: str) -> str:
    """The evidence, or where it is long its sentences nearest to the claim, in their order.

    Nearest are those that add most stems of the claim, then those that share most.
    """
    if len(evidence.split()) <= MAX_EVIDENCE_WORDS:
        return evidence
    sentences = [evidence[s.start : s.end] for s in split_sentences(evidence)]
    wanted = set(stems(claim))
    shared = [wanted & set(stems(sentence)) for sentence in sentences]
    lengths = [len(sentence.split()) for sentence in sentences]
    chosen: set[int] = set()
    covered: set[str] = set()
    room = MAX_EVIDENCE_WORDS
    while open_ := [n for n in range(len(sentences)) if n not in chosen and lengths[n] <= room]:
        best = max(open_, key=lambda n: (len(shared[n] - covered), len(shared[n]), -n))
        chosen.add(best)
        covered |= shared[best]
        room -= lengths[best]
    if not chosen:  # one sentence longer than the model reads
        return " ".join(evidence.split()[:MAX_EVIDENCE_WORDS])
    return " ".join(sentences[n] for n in sorted(chosen))


def canonical(evidence: str, claim: str) -> Pair:
    """Both with one way of writing "not" and, where they name one quantity, that quantity.

    The encoder takes another way of writing for another thing: "1000" for "1,000".
    """
    evidence, claim = _spelled_out(evidence), _spelled_out(claim)
    cited = quantities(evidence)
    for quantity in reversed(quantities(claim)):
        same = [other.text for other in cited if quantity == replace(other, **_place(quantity))]
        if same and quantity.text not in same:
            claim = claim[: quantity.start] + same[0] + claim[quantity.end :]
    return evidence, claim


def _place(quantity: Quantity) -> dict[str, Any]:
    """What two equal quantities may differ in: where and how they are written."""
    return {"start": quantity.start, "end": quantity.end, "text": quantity.text}


def _spelled_out(text: str) -> str:
    return _CONTRACTED.sub(lambda m: _IRREGULAR.get(m[1].lower(), m[1]) + " not", text)


def batch_of(words: PreTrainedTokenizerFast, pairs: Sequence[Pair]) -> dict[str, Tensor]:
    """Token ids, segment ids and attention mask of the pairs, each (pairs, longest pair)."""
    read = [canonical(nearest(text, claim), claim) for text, claim in pairs]
    encoded = words(
        [evidence for evidence, _ in read],
        [claim for _, claim in read],
        truncation="longest_first",
        max_length=MAX_TOKENS,
        padding=True,
        return_tensors="pt",
    )
    return dict(encoded)


def logits(encoder: BertModel, head: Mapping[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
    """One logit per pair, shape (pairs,), float32; `head` has `weight` (HEAD,) and `bias` (1,)."""
    import torch

    states = encoder(**batch).last_hidden_state.float()
    inside = (batch["token_type_ids"] * batch["attention_mask"]).unsqueeze(-1).float()
    mean = (states * inside).sum(1) / inside.sum(1)
    highest = states.masked_fill(inside == 0, float("-inf")).amax(1)
    return torch.cat([states[:, 0], mean, highest], -1) @ head["weight"] + head["bias"]


class SupportModel:
    """The fitted cross-encoder with its calibration; loaded at first use, safe for threads."""

    def __init__(self, weights: Path = WEIGHTS) -> None:
        self._file = weights
        self._lock = threading.Lock()
        self._loaded: tuple[PreTrainedTokenizerFast, BertModel, dict[str, Tensor]] | None = None
        self._line: NDArray[np.float64] | None = None

    def probabilities(self, pairs: Sequence[Pair]) -> NDArray[np.float32]:
        """The probability that each evidence supports its claim, shape (pairs,).

        It is calibrated on as many supported as unsupported pairs. Raises `ModelError`.
        """
        if not pairs:
            return np.zeros(0, np.float32)
        values = weighed(pairs, self.logits(pairs))
        line = self._calibration()
        odds = values @ line[:-1] + line[-1]
        chances: NDArray[np.float32] = (1 / (1 + np.exp(-odds))).astype(np.float32)
        return chances

    def logits(self, pairs: Sequence[Pair]) -> NDArray[np.float32]:
        """The cross-encoder's logit for each pair, shape (pairs,). Raises `ModelError`."""
        import torch

        words, encoder, head = self._load()
        order = sorted(range(len(pairs)), key=lambda n: len(pairs[n][0]) + len(pairs[n][1]))
        found = np.zeros(len(pairs), np.float32)
        for start in range(0, len(order), _BATCH):
            part = order[start : start + _BATCH]
            with self._lock:  # padding changes the tokenizer
                batch = batch_of(words, [pairs[n] for n in part])
            with torch.inference_mode():
                found[part] = logits(encoder, head, batch).numpy()
        return found

    def _load(self) -> tuple[PreTrainedTokenizerFast, BertModel, dict[str, Tensor]]:
        with self._lock:
            if self._loaded is None:
                encoder, head = load_layers(self._file)
                encoder.to(compute_dtype())  # type: ignore[arg-type]
                self._loaded = tokenizer(), encoder, head
            return self._loaded

    def _calibration(self) -> NDArray[np.float64]:
        """The coefficients of `FEATURES` and the intercept."""
        if self._line is None:
            file = self._file.with_suffix(".json")
            try:
                found = json.loads(file.read_text(encoding="utf-8"))
                names = (*FEATURES, "intercept")
                self._line = np.array([float(found["coefficients"][name]) for name in names])
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise ModelError(f"the calibration {file} cannot be read: {error}") from error
        return self._line


def weighed(pairs: Sequence[Pair], values: NDArray[np.float32]) -> NDArray[np.float64]:
    """`FEATURES` of each pair, shape (pairs, features); `values` are the logits."""
    rows = np.array([features(claim, nearest(evidence, claim)) for evidence, claim in pairs])
    whole = (rows[:, 0] == 1) & (rows[:, 1:].sum(axis=1) == 0)
    return np.column_stack([values, rows, whole])
