"""The LLM seam against real sockets that misbehave, and the joining of the local model."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rag import LLMError, ModelError, Settings, models
from rag.models import EndpointLLM, LocalLLM, SentenceTransformerEmbedder, make_llm

Reply = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Reply], str]]:
    """Start an endpoint on loopback that replies as told; gives its URL."""
    servers: list[ThreadingHTTPServer] = []

    def start(reply: Reply) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                reply(self)

            def log_message(self, *args: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v1"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, body: bytes, kind: str, status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.end_headers()
    handler.wfile.write(body)


def event(text: str) -> bytes:
    delta = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps(chunk | {"choices": [delta]}).encode() + b"\n\n"


def reply_of(url: str, timeout: float = 5) -> str:
    return "".join(EndpointLLM(url, "m", "", timeout).stream([("user", "Hello?")], 20))


def test_an_endpoint_streams(serve: Callable[[Reply], str]) -> None:
    body = event("It ") + event("closed. [1]") + b"data: [DONE]\n\n"
    assert reply_of(serve(lambda h: send(h, body, "text/event-stream"))) == "It closed. [1]"


def test_a_whole_reply_has_the_certainty_of_its_least_token(
    serve: Callable[[Reply], str],
) -> None:
    def chunk(text: str, chance: float) -> bytes:
        piece = json.loads(event(text)[6:])
        token = {"token": text, "logprob": math.log(chance), "bytes": None, "top_logprobs": []}
        piece["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
        return b"data: " + json.dumps(piece).encode() + b"\n\n"

    body = chunk("Ada ", 0.5) + chunk("Berg", 0.25) + b"data: [DONE]\n\n"
    url = serve(lambda h: send(h, body, "text/event-stream"))
    known = EndpointLLM(url, "m", "", 5, certainty=True).reply([("user", "Who?")], 20)
    assert (known.text, known.certainty) == ("Ada Berg", pytest.approx(0.25))
    plain = event("Ada ") + event("Berg") + b"data: [DONE]\n\n"
    url = serve(lambda h: send(h, plain, "text/event-stream"))
    for certainty in (True, False):
        unknown = EndpointLLM(url, "m", "", 5, certainty).reply([("user", "Who?")], 20)
        assert (unknown.text, unknown.certainty) == ("Ada Berg", None)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_a_refusal_names_the_status(serve: Callable[[Reply], str], status: int) -> None:
    url = serve(lambda h: send(h, b'{"error": {"message": "no"}}', "application/json", status))
    with pytest.raises(LLMError, match=f"refused the request with status {status}"):
        reply_of(url)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>hello</html>",
        b"data: {not json\n\n",
        b'data: {"choices": 3}\n\n',
        b"data: []\n\n",
        b"",
    ],
)
def test_rubbish_is_an_llm_error(serve: Callable[[Reply], str], body: bytes) -> None:
    url = serve(lambda h: send(h, body, "text/event-stream"))
    with pytest.raises(LLMError, match="did not answer as one"):
        reply_of(url)


def test_a_silent_endpoint_times_out(serve: Callable[[Reply], str]) -> None:
    url = serve(lambda h: time.sleep(5))
    with pytest.raises(LLMError, match="took longer than 1 s"):
        reply_of(url, timeout=1)


def test_an_endless_answer_times_out(serve: Callable[[Reply], str]) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        send(handler, b"", "text/event-stream")
        for _ in range(50):
            try:
                handler.wfile.write(event("on and on "))
                handler.wfile.flush()
            except OSError:
                return
            time.sleep(0.1)

    with pytest.raises(LLMError, match="took longer than 1 s"):
        reply_of(serve(drip), timeout=1)


def test_an_endpoint_that_hangs_up_is_an_llm_error(serve: Callable[[Reply], str]) -> None:
    with pytest.raises(LLMError):
        reply_of(serve(lambda h: h.connection.close()))


def test_the_settings_choose_the_model() -> None:
    endpoint = make_llm(Settings(model="http://127.0.0.1:9/v1", model_name="big"))
    assert isinstance(endpoint, EndpointLLM)
    assert endpoint.name == "big"
    local = make_llm(Settings(model="/models/other.gguf"))
    assert isinstance(local, LocalLLM)
    assert local.name == "other"
    with pytest.raises(LLMError, match=r"/models/other\.gguf does not exist"):
        next(iter(local.stream([("user", "?")], 1)))


def test_parts_are_joined_once_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = []
    for number, content in enumerate((b"one", b"two")):
        (tmp_path / f"part{number}" / "data").mkdir(parents=True)
        (tmp_path / f"part{number}" / "data" / "x.bin").write_bytes(content)
        parts.append(str(tmp_path / f"part{number}"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(models, "_LOCAL_MODEL_PARTS", parts)
    monkeypatch.setattr(models, "_package_folder", Path)
    monkeypatch.setattr(models, "LOCAL_MODEL_SHA256", "0" * 64)
    with pytest.raises(LLMError, match="damaged"):
        models.joined_local_model()
    assert [f.suffix for f in (tmp_path / "cache" / "newsrag").iterdir()] == [".lock"]
    monkeypatch.setattr(models, "LOCAL_MODEL_SHA256", sha256(b"onetwo").hexdigest())
    joined = models.joined_local_model()
    assert joined.read_bytes() == b"onetwo"
    changed = joined.stat().st_mtime_ns
    assert models.joined_local_model().stat().st_mtime_ns == changed


def test_without_the_extra_the_install_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(models, "_package_folder", lambda name: None)
    with pytest.raises(LLMError, match=r"pip install -c constraints\.txt -e '\.\[local\]'"):
        models.joined_local_model()
    with pytest.raises(ModelError, match=r"embedding model .* is not installed"):
        SentenceTransformerEmbedder(Settings().embedding_model).encode(["x"])


def test_an_unknown_embedding_model_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="does not load"):
        SentenceTransformerEmbedder(str(tmp_path)).encode(["x"])
