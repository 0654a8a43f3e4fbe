"""Fit the reader: `python -m rag.weights.fit_reader BENCH_FOLDER TRAIN_FOLDER`.

The listwise loss has a zero logit for "none of these", so that a relevance above zero means an
answer; the span losses are normalised over all passages of a question. A run that was stopped goes
on from its last checkpoint.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy

from rag import encoder
from rag.reader import forward, headed, tokenize
from rag.weights.data_reader import Group, Newsroom, clapnq_groups, squad_groups, trecqa_groups

SEED = 0
CLOZE = 2_000
GROUPS = 8
"""Questions per step, each with one window to find (or none) and two others."""
OTHERS = 2
ONCE = {"cloze", "squad2"}
"""Sources seen once; the others are fewer, or closer to the archive's questions, and seen twice."""
FROZEN_LAYERS = 2
LEARNING_RATE = 1.2e-4
HEAD_RATE = 1e-3
SPAN_WEIGHT = 0.5
TITLED = 0.85
CHECKPOINT_STEPS = 200

Example = tuple[str, tuple[tuple[str, str], ...], bool, tuple[tuple[int, int], ...]]
"""A question, its (title, text) passages, whether the first answers, and its answers' spans."""


def main(
    bench: Annotated[
        Path, typer.Argument(help="Folder with realtimeqa/2023, newsqa, squad2, clapnq.")
    ],
    train: Annotated[Path, typer.Argument(help="Folder with ranking/trecqa.")],
    checkpoint: Annotated[Path, typer.Option(help="Where an interrupted run goes on.")] = Path(
        "reader.checkpoint"
    ),
    out: Annotated[Path, typer.Option(help="The weights.")] = Path(__file__).parent
    / "reader.safetensors",
    minutes: Annotated[float, typer.Option(help="Stop after this long, however far it is.")] = 600,
) -> None:
    """Fit the reader and write its weights."""
    chance = random.Random(SEED)
    groups = load_groups(bench, train, chance)
    batches = plan(groups, chance)
    model, heads, optimizer = parts()
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        [LEARNING_RATE, HEAD_RATE],
        total_steps=len(batches) + 1,
        pct_start=0.06,
        anneal_strategy="linear",
    )
    done = _restore(checkpoint, model, heads, optimizer, schedule)
    started = time.monotonic()
    losses: list[float] = []
    learned = [p for group in optimizer.param_groups for p in group["params"]]
    for step, batch in enumerate(batches[done:], done + 1):
        # On CPUs the backward pass of the plain attention is twice as fast as that of flash.
        with sdpa_kernel(SDPBackend.MATH):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = batch_loss(model, heads, batch)
            loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % CHECKPOINT_STEPS == 0 or step == len(batches):
            _save(checkpoint, step, model, heads, optimizer, schedule)
            encoder.save_layers(model, heads, out)
            seconds = time.monotonic() - started
            typer.echo(
                f"{step}/{len(batches)}  loss {sum(losses) / len(losses):.3f}  {seconds:.0f} s"
            )
            losses.clear()
            if seconds > minutes * 60:
                break


def load_groups(bench: Path, train: Path, chance: random.Random) -> list[Group]:
    """All questions to fit on."""
    groups = [
        *squad_groups(bench / "squad2" / "dev-v2.0.json.gz", "squad2", chance),
        *squad_groups(bench / "newsqa" / "dev.json.gz", "newsqa", chance),
        *trecqa_groups(train / "ranking" / "trecqa" / "train.csv.gz", chance),
        *clapnq_groups(bench / "clapnq", chance),
    ]
    newsroom = Newsroom(bench / "realtimeqa" / "2023")
    return [*groups, *newsroom.question_groups(), *newsroom.cloze_groups(CLOZE, chance)]


def plan(groups: Sequence[Group], chance: random.Random) -> list[list[Example]]:
    """The batches of two passes in order, the second without the sources of `ONCE`."""
    passes = [list(groups), [group for group in groups if group.source not in ONCE]]
    batches = []
    for one_pass in passes:
        chance.shuffle(one_pass)
        examples = [_example(group, chance) for group in one_pass]
        for first in range(0, len(examples), GROUPS * 32):  # batches of about equal length
            near = sorted(examples[first : first + GROUPS * 32], key=_length)
            cut = [near[n : n + GROUPS] for n in range(0, len(near), GROUPS)]
            chance.shuffle(cut)
            batches += cut
    return batches


def _example(group: Group, chance: random.Random) -> Example:
    first, *others = group.passages
    chosen = [first, *chance.sample(others, min(OTHERS, len(others)))]
    title = chance.random() < TITLED  # so that it learns to read without
    passages = tuple((r.title if title else "", r.text) for r in chosen)
    return group.question, passages, first.relevant, first.spans


def _length(example: Example) -> int:
    return sum(len(text) for _, text in example[1])


def parts() -> tuple[Any, dict[str, Tensor], torch.optim.AdamW]:
    """The encoder with its embeddings frozen, the heads, and their optimizer."""
    torch.manual_seed(SEED)
    model = encoder.base_encoder()
    for frozen in (model.embeddings, *model.encoder.layer[:FROZEN_LAYERS]):
        frozen.requires_grad_(False)
    heads = {
        "relevance.weight": torch.randn(2 * encoder.WIDTH, 1) * 0.02,
        "relevance.bias": torch.zeros(1),
        "span.weight": torch.randn(encoder.WIDTH, 2) * 0.02,
        "span.bias": torch.zeros(2),
    }
    for head in heads.values():
        head.requires_grad_(True)
    layers = [p for p in model.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": layers},
        {"params": list(heads.values()), "weight_decay": 0.0},
    ]
    return model, heads, torch.optim.AdamW(groups, lr=LEARNING_RATE, weight_decay=0.01)


def batch_loss(model: Any, heads: dict[str, Tensor], batch: Sequence[Example]) -> Tensor:
    """Listwise relevance, and start and end, over the passages of each question."""
    flat = [(question, passage) for question, passages, _, _ in batch for passage in passages]
    encoded = tokenize(_tokens(), [q for q, _ in flat], [p for _, p in flat])
    relevance, start, end = forward(model, heads, encoded)
    total = torch.zeros(())
    row = 0
    for _, passages, answered, spans in batch:
        rows = slice(row, row + len(passages))
        logits = torch.cat([relevance[rows], torch.zeros(1)])
        target = torch.tensor(0 if answered else len(passages))
        total = total + cross_entropy(logits, target)
        if spans or not answered:
            shift = len(headed(passages[0][0], "x")) - 1
            gold = _gold(encoded, rows, shift, spans)
            total = total + SPAN_WEIGHT * sum(
                _marginal(side[rows], mask) for side, mask in zip((start, end), gold, strict=True)
            )
        row += len(passages)
    return total / len(batch)


def _gold(
    encoded: Any, rows: slice, shift: int, spans: Sequence[tuple[int, int]]
) -> tuple[Tensor, Tensor]:
    """Where an answer starts and ends: in the first passage, or nowhere, at every [CLS]."""
    offsets = encoded["offset_mapping"][rows]
    second = encoded["token_type_ids"][rows] == 1
    masks = torch.zeros(2, *offsets.shape[:2], dtype=torch.bool)
    for start, end in spans:
        masks[0, 0] |= second[0] & (offsets[0, :, 0] == start + shift) & (offsets[0, :, 1] > 0)
        masks[1, 0] |= second[0] & (offsets[0, :, 1] == end + shift)
    if not spans:
        masks[:, :, 0] = True
    return masks[0], masks[1]


def _marginal(logits: Tensor, gold: Tensor) -> Tensor:
    """Minus the log probability of the gold positions together; 0 where all were cut off."""
    if not gold.any():
        return torch.zeros(())
    return logits.flatten().logsumexp(0) - logits[gold].logsumexp(0)


@cache
def _tokens() -> Any:
    return encoder.tokenizer()


def _save(file: Path, step: int, model: Any, heads: Any, optimizer: Any, schedule: Any) -> None:
    state = [step, model.state_dict(), heads, optimizer.state_dict(), schedule.state_dict()]
    partial = file.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(file)


def _restore(file: Path, model: Any, heads: Any, optimizer: Any, schedule: Any) -> int:
    """The steps that an earlier run has done."""
    if not file.exists():
        return 0
    step, layers, kept, optimizer_state, schedule_state = torch.load(file, weights_only=True)
    model.load_state_dict(layers)
    with torch.no_grad():
        for name, head in heads.items():
            head.copy_(kept[name])
    optimizer.load_state_dict(optimizer_state)
    schedule.load_state_dict(schedule_state)
    return int(step)


if __name__ == "__main__":
    typer.run(main)
