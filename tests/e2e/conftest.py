"""What the browser tests share: one browser, and one archive whose articles none of them changes.

Tests that change articles have a copy of it, one for each file.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rag import Archive, Settings

from .serving import CORPUS, HOSTILE, LIGHTHOUSE, forget, served

if TYPE_CHECKING:
    from .chat_page import Browser, Open  # which skips where there is no Playwright

WARNINGS = (
    # Gradio's queue counts its events with two options that pandas is about to drop.
    "'future.no_silent_downcasting' is deprecated",
    "The copy keyword is deprecated",
    "SSR mode is not supported with multi-page apps",
)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Called for the tests of this folder alone."""
    for message in WARNINGS:
        item.add_marker(pytest.mark.filterwarnings(f"ignore:{message}"))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Ends with this folder: while Playwright runs, no other test can run an event loop."""
    from .chat_page import launched

    with launched() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Open an address in a fresh session; what must never happen is collected and checked."""
    from .chat_page import visiting

    with visiting(browser) as go:
        yield go


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of `corpus/` and of articles made up. Its tests may only converse."""
    path = tmp_path_factory.mktemp("pages") / "archive"
    with Archive.open(path, Settings()) as archive:
        assert not archive.ingest(CORPUS, LIGHTHOUSE, HOSTILE).failures
    return path


@pytest.fixture(scope="package")
def archive(folder: Path) -> Iterator[Archive]:
    with Archive.open(folder, Settings()) as archive:
        yield archive


@pytest.fixture(scope="package")
def address(archive: Archive) -> Iterator[str]:
    with served(archive, wording=False) as url:
        yield url


@pytest.fixture
def quoting(archive: Archive, address: str) -> str:
    """The address of a chat without a language model, in which nothing is saved yet."""
    forget(archive)
    return address


@pytest.fixture(scope="module")
def editable_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(folder, tmp_path_factory.mktemp("editable") / "archive")


@pytest.fixture(scope="module")
def editable(editable_folder: Path) -> Iterator[Archive]:
    """A copy of the archive, for a file whose tests change it and put it back."""
    with Archive.open(editable_folder, Settings(allow_private_urls=True)) as archive:
        yield archive


@pytest.fixture(scope="module")
def archive_address(editable: Archive) -> Iterator[str]:
    with served(editable, wording=False) as url:
        yield f"{url}archive"


@pytest.fixture
def archive_page(visit: Open, archive_address: str) -> Open:
    """Open the page about the archive, with this query."""
    return lambda query="", *view: visit(
        f"{archive_address}{query}", *view, shows=".nr-archive-head dl"
    )
