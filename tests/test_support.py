"""The support model: its files, its reading of long evidence, and what it tells apart."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from rag.encoder import WIDTH, base_encoder, load_layers, save_layers, tokenizer
from rag.errors import ModelError
from rag.support import FEATURES, HEAD, WEIGHTS, SupportModel, batch_of, logits, nearest, weighed
from rag.weights.data_support import HELD_BACK, Example
from rag.weights.fit_support import balance, capped

MAX_BYTES = 22_000_000


@pytest.fixture(scope="module")
def model() -> SupportModel:
    return SupportModel()


def test_the_weights_are_small_and_their_calibration_is_complete() -> None:
    assert WEIGHTS.stat().st_size <= MAX_BYTES
    coefficients = json.loads(WEIGHTS.with_suffix(".json").read_text())["coefficients"]
    assert list(coefficients) == [*FEATURES, "intercept"]
    assert coefficients["logit"] > 0
    assert coefficients["whole"] > 0


def test_supported_claims_rank_above_unsupported_ones(model: SupportModel) -> None:
    text = "The council voted on Tuesday to repair the old bridge, which closed in March."
    claims = [
        "The council voted to repair the bridge.",
        "The council decided on Tuesday to repair the old bridge.",
        "The council voted to demolish the bridge.",
        "Fishermen caught more herring this spring.",
    ]
    found = model.probabilities([(text, claim) for claim in claims])
    assert found.shape == (4,)
    assert found.dtype == np.float32
    assert ((found > 0) & (found < 1)).all()
    assert min(found[:2]) > max(found[2:])
    assert found[0] > 0.5 > found[3]


def test_a_batch_gives_what_each_pair_gives_alone(model: SupportModel) -> None:
    pairs = [
        ("The ferry sails at nine.", "The ferry sails at nine."),
        ("The mayor opened the hall after two years of work on its roof.", "The hall is open."),
        ("Rain fell.", "The court freed the driver on Monday because the film was lost."),
    ]
    together = model.logits(pairs)
    alone = np.concatenate([model.logits([pair]) for pair in pairs])
    assert np.allclose(together, alone, atol=0.15)  # bfloat16 has three digits
    assert model.probabilities([]).shape == (0,)


def test_threads_share_one_model(model: SupportModel) -> None:
    pairs = [("The ferry sails at nine.", "The ferry sails."), ("Rain fell.", "It was dry.")]
    expected = model.logits(pairs)
    found: list[bool] = []

    def ask() -> None:
        found.extend(bool(np.allclose(model.logits(pairs), expected, atol=0.15)) for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 20


def test_long_evidence_is_read_where_it_is_nearest() -> None:
    filler = "The weather in the hills was mild and nobody spoke of it for long. " * 40
    text = f"{filler}The kelp farm hired nine divers in June. {filler}"
    read = nearest(text, "The kelp farm hired divers.")
    assert "hired nine divers" in read
    assert len(read.split()) <= 140
    assert nearest("Short text.", "A claim.") == "Short text."
    assert len(nearest("word " * 500, "A claim about word.").split()) == 140


def test_logits_are_of_claim_states_only() -> None:
    # A head that reads nothing but the mean of the claim's states: padding changes nothing.
    encoder, words = base_encoder(), tokenizer()
    weight = torch.zeros(HEAD)
    weight[WIDTH : 2 * WIDTH] = 1.0
    head = {"weight": weight, "bias": torch.zeros(1)}
    pairs = [("a b", "c"), ("A much longer text that pads the other pair.", "A longer claim.")]
    with torch.inference_mode():
        alone = logits(encoder, head, batch_of(words, pairs[:1]))
        both = logits(encoder, head, batch_of(words, pairs))
        states = encoder(**batch_of(words, pairs[:1])).last_hidden_state
    assert float(alone[0]) == pytest.approx(float(both[0]), abs=1e-3)
    # [CLS] a b [SEP] c [SEP]: the claim's states are the last two.
    assert float(alone[0]) == pytest.approx(float(states[0, 4:].mean(0).sum()), abs=1e-3)


def test_weighed_puts_the_logit_first() -> None:
    rows = weighed([("Rain fell.", "Rain fell.")], np.array([2.5], np.float32))
    assert rows.tolist() == [[2.5, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]


def test_layers_are_kept_and_embeddings_are_not(tmp_path: Path) -> None:
    file = tmp_path / "layers.safetensors"
    encoder = base_encoder()
    save_layers(encoder, {"weight": torch.full((3,), 0.5)}, file)
    assert file.stat().st_size <= MAX_BYTES
    loaded, heads = load_layers(file)
    assert heads["weight"].tolist() == [0.5, 0.5, 0.5]
    batch = tokenizer()(["the ferry"], ["it sails"], return_tensors="pt")
    with torch.inference_mode():
        one, other = encoder(**batch), loaded(**batch)
    assert torch.allclose(one.last_hidden_state, other.last_hidden_state, atol=0.02)


def test_unusable_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load_layers(tmp_path / "none.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"no safetensors at all")
    with pytest.raises(ModelError, match=r"damaged\.safetensors cannot be read"):
        load_layers(damaged)
    copy = tmp_path / "support.safetensors"
    copy.write_bytes(WEIGHTS.read_bytes())
    with pytest.raises(ModelError, match=r"the calibration .*support\.json cannot be read"):
        SupportModel(copy).probabilities([("a", "b")])


def test_a_group_is_held_back_as_a_whole_and_about_a_fifth_of_them() -> None:
    groups = [Example("set", f"article {n}", "text", "claim", 1) for n in range(2000)]
    share = sum(example.held_back for example in groups) / len(groups)
    assert share == pytest.approx(HELD_BACK, abs=0.03)
    other = Example("other set", "article 7", "another text", "another claim", 0)
    assert other.held_back == groups[7].held_back


def test_both_labels_of_a_set_weigh_alike_and_no_set_dominates() -> None:
    # Three unsupported and one supported: 4 / (2 * 3) each and 4 / (2 * 1).
    part = [Example("set", str(n), "text", "claim", int(n == 0)) for n in range(4)]
    assert balance(part) == pytest.approx([2.0, 2 / 3, 2 / 3, 2 / 3])
    many = [Example("set", str(n), "text", "claim", 1) for n in range(1500)]
    assert len(capped([*many, Example("small", "1", "text", "claim", 1)])) == 1201
