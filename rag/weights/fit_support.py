"""Fits the support model's layers: `python -m rag.weights.fit_support DATA WORK`.

DATA is the folder of `rag.weights.data_support`. WORK keeps a checkpoint, from which an interrupted
run continues. `rag.weights.calibrate_support` comes next.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import binary_cross_entropy_with_logits

from rag.encoder import base_encoder, save_layers, tokenizer
from rag.support import HEAD, batch_of, logits
from rag.weights.data_support import SEED, WEAK, Example, load

WEIGHTS = Path(__file__).parent / "support.safetensors"

EPOCHS = 2
FROZEN_LAYERS = 2
BATCH = 32
LAYER_RATE, HEAD_RATE = 1e-4, 1e-3
WARM_UP = 0.06
CAP = 1200
"""Pairs of one set; of our own making, `CAP_OWN`."""
CAP_OWN = 5000

_CHECKPOINT_SECONDS = 120.0


def main() -> None:
    """Fit, and save the layers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, help="stop early, to try the run out")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    examples = load(arguments.data)
    model = Fitting(capped([e for e in examples if not e.held_back]))
    model.run(arguments.work / "checkpoint.pt", arguments.steps)
    save_layers(model.encoder, model.head, WEIGHTS)


def capped(examples: Sequence[Example]) -> list[Example]:
    """At most `CAP` pairs of each set, drawn with the seed."""
    by_set: dict[str, list[Example]] = defaultdict(list)
    for example in Random(SEED).sample(examples, len(examples)):
        by_set[example.set].append(example)
    return [
        example
        for name, part in by_set.items()
        for example in part[: CAP_OWN if name == "realtimeqa" else CAP]
    ]


def balance(examples: Sequence[Example]) -> list[float]:
    """A weight per example: both labels of a set weigh alike, and the mean within a set is 1."""
    counts = Counter((e.set, e.label) for e in examples)
    totals = Counter(e.set for e in examples)
    return [WEAK.get(e.set, 1.0) * totals[e.set] / (2 * counts[e.set, e.label]) for e in examples]


class Fitting:
    """The encoder and its head, and how they are fitted."""

    def __init__(self, examples: Sequence[Example]) -> None:
        torch.manual_seed(SEED)
        self.encoder = base_encoder()
        for frozen in (self.encoder.embeddings, *self.encoder.encoder.layer[:FROZEN_LAYERS]):
            frozen.requires_grad_(False)
        self.learned = [p for p in self.encoder.encoder.parameters() if p.requires_grad]
        self.head = {
            "weight": torch.nn.Parameter(torch.randn(HEAD) * 0.02),
            "bias": torch.nn.Parameter(torch.zeros(1)),
        }
        self.words = tokenizer()
        self.examples = list(examples)
        self.weights = balance(examples)
        self.batches = [b for epoch in range(EPOCHS) for b in self._epoch(epoch)]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": self.learned, "lr": LAYER_RATE},
                {"params": list(self.head.values()), "lr": HEAD_RATE},
            ],
            weight_decay=0.01,
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.step = 0

    def run(self, checkpoint: Path, steps: int | None) -> None:
        """Fit to the end, or for `steps` steps; progress is printed every 50."""
        self._resume(checkpoint)
        self.encoder.train(False)  # no dropout: its random numbers cost as much as the rest
        started = saved = time.monotonic()
        losses: list[float] = []
        while self.step < min(steps or len(self.batches), len(self.batches)):
            losses.append(self._one(self.batches[self.step]))
            self.step += 1
            if self.step % 50 == 0:
                seconds = time.monotonic() - started
                mean = sum(losses[-50:]) / len(losses[-50:])
                _say(f"step {self.step}/{len(self.batches)} loss {mean:.4f} {seconds:.0f} s")
            if time.monotonic() - saved > _CHECKPOINT_SECONDS:
                self._save(checkpoint)
                saved = time.monotonic()
        self._save(checkpoint)

    def _one(self, numbers: Sequence[int]) -> float:
        batch = batch_of(self.words, [_pair(self.examples[n]) for n in numbers])
        labels = torch.tensor([float(self.examples[n].label) for n in numbers])
        weights = torch.tensor([self.weights[n] for n in numbers])
        self.optimizer.zero_grad()
        # On CPUs the backward pass of the plain attention is twice as fast as that of flash.
        with sdpa_kernel(SDPBackend.MATH):
            with torch.autocast("cpu", torch.bfloat16):
                states = logits(self.encoder, self.head, batch)
            loss = binary_cross_entropy_with_logits(states.float(), labels, weights)
            loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.learned, 1.0)
        self.optimizer.step()
        self.schedule.step()
        return loss.item()

    def _epoch(self, epoch: int) -> list[list[int]]:
        """Batches of pairs of about one length, in a drawn order."""
        random = Random(SEED + epoch)
        order = random.sample(range(len(self.examples)), len(self.examples))
        batches: list[list[int]] = []
        for start in range(0, len(order), 40 * BATCH):
            part = sorted(order[start : start + 40 * BATCH], key=self._length)
            batches.extend(part[at : at + BATCH] for at in range(0, len(part), BATCH))
        random.shuffle(batches)
        return batches

    def _length(self, number: int) -> int:
        example = self.examples[number]
        return min(len(example.evidence), 900) + len(example.claim)

    def _rate(self, step: int) -> float:
        """Linear warm-up, then linear decay to nothing."""
        total = len(self.batches)
        return min((step + 1) / (WARM_UP * total), max(0.0, (total - step) / total))

    def _save(self, file: Path) -> None:
        state = {
            "encoder": self.encoder.state_dict(),
            "head": {name: tensor.detach() for name, tensor in self.head.items()},
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "step": self.step,
        }
        torch.save(state, file.with_suffix(".partial"))
        file.with_suffix(".partial").replace(file)

    def _resume(self, file: Path) -> None:
        if not file.exists():
            return
        state = torch.load(file, weights_only=True)
        self.encoder.load_state_dict(state["encoder"])
        for name, tensor in state["head"].items():
            self.head[name].data.copy_(tensor)
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.step = state["step"]
        _say(f"continuing at step {self.step}")


def _pair(example: Example) -> tuple[str, str]:
    return example.evidence, example.claim


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
