"""The public surface, and the directions in which modules may import each other."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rag

ROOT = Path(__file__).resolve().parents[1]

PUBLIC = [
    "Answer", "Archive", "ArchiveError", "ArchiveLockedError", "ArchiveMismatchError",
    "ArchiveStatus", "Article", "ArticleNotFoundError", "Calibration", "Check", "Citation", "Event",
    "Evidence", "Failure", "IngestReport", "LLMError", "Looked", "ModelError", "NewsragError",
    "RankedPassage", "Sentence", "Settings", "SettingsError",
    "Short", "SourceError", "Trace", "Asked", "Conversation", "ConversationError",
    "ConversationNotFoundError", "ConversationSummary", "Conversations", "Exchange", "Feedback",
    "DayCount", "Waiting", "fit_calibration", "load_settings", "Timeline", "TimelineEntry",
    "Meant", "Dispute",
]  # fmt: skip

LAYERS = [
    {"looked"},
    {"types", "errors", "reports"},
    {"databaseurl", "database"},
    {"settings", "dates", "files", "serial", "conversationfile", "fetch", "turnstile"},
    {"lock"},
    {"feeds", "polite"},
    {"models", "passages", "textfiles", "words", "examples", "encoder", "quantities"},
    {"reader", "tokens", "conversations", "rows", "revisions", "times", "copies"},
    {"wording", "feedback"},
    {"claims"},
    {"support"},
    {"formats", "packed"},
    {"documents"},
    {"vectorserver"},
    {"sources", "vectors", "ledgerfile"},
    {"postgres"},
    {"databases"},
    {"ledger", "indexes"},
    {"editions"},
    {"ledgeraudit", "census", "export", "groups"},
    {"store", "subscriptions"},
    {"agreement"},
    {"backup", "reindex"},
    {"maintenance"},
    {"voices"},
    {"cluster", "ingest", "retrieve", "overview"},
    {"evidence"},
    {"answer", "abstain", "short"},
    {"verify", "timeline", "conflicts"},
    {"inquiry"},
    {"archive", "llamaindex"},
    {"progress", "printing", "watch", "options"},
    {"commands_maintenance", "commands_timeline", "commands_ingest"},
    {"cli"},
]
"""Each module imports from lower layers, or from its own where one line says so below."""
SAME_LAYER = {("archive", "llamaindex"), ("llamaindex", "archive")}

HEAVY = {"llama_index", "chromadb", "sentence_transformers", "torch", "xllamacpp", "tantivy"}
SLOW = {"transformers", "gradio", "trafilatura", "dateparser", "pandas", "matplotlib", "openai"}


def _imports(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return names


def test_the_public_names_are_pinned() -> None:
    assert rag.__all__ == sorted(PUBLIC)
    assert all(hasattr(rag, name) for name in PUBLIC)
    assert (ROOT / "rag" / "py.typed").exists()


def test_modules_import_downwards() -> None:
    layer = {name: depth for depth, names in enumerate(LAYERS) for name in names}
    modules = {file.stem: file for file in (ROOT / "rag").glob("*.py") if file.stem != "__init__"}
    assert set(modules) == set(layer)
    for name, file in modules.items():
        for used in _imports(file):
            other = used.split(".")[1] if used.startswith("rag.") else ""
            if other in layer and (name, other) not in SAME_LAYER:
                assert layer[other] < layer[name], f"{name} imports {other}"


@pytest.mark.parametrize("folder", ["ui", "eval"])
def test_ui_and_eval_see_only_the_public_api(folder: str) -> None:
    for file in (ROOT / folder).glob("*.py"):
        for used in _imports(file):
            root, _, name = used.partition(".")
            assert root not in HEAVY, f"{file.name} imports {used}"
            if root == "rag":
                assert name == "" or name in PUBLIC, f"{file.name} imports {used}"


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = "import sys, rag.cli; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(result.stdout.split())
    assert not loaded & (HEAVY - {"tantivy"} | SLOW)
