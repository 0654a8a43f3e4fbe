from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromaserver import ChromaServer
from conftest import ScriptedLLM, article
from crash import HashEmbedder, put
from typer.testing import CliRunner
from webserver import Site

from rag import Archive, ArchiveError, ArchiveMismatchError, Settings, SettingsError, maintenance
from rag.cli import app
from rag.editions import store_of
from rag.errors import ArchiveUnreachableError
from rag.reindex import ReindexReport
from rag.store import Store
from rag.vectorserver import close, connect, drop_collection
from rag.words import Filters

LONG = "The council met again about the bridge. " * 20


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    with ChromaServer(tmp_path_factory.mktemp("chroma") / "data") as server:
        yield server


@pytest.fixture
def server(shared: ChromaServer) -> Iterator[ChromaServer]:
    """The server, running again should the test have stopped it."""
    yield shared
    if shared._process is None:
        shared.start()


def fill(folder: Path, url: str, word: str = "Word", characters: int = 300) -> None:
    store = Store(folder, HashEmbedder.name, characters, store=url)
    try:
        put(store, [article(n, f"{word}{n} opens. {LONG}") for n in range(5)])
    finally:
        store.close()


def embedder_for(name: str) -> HashEmbedder:
    assert name == HashEmbedder.name
    return HashEmbedder()


def nearest(folder: Path, text: str) -> set[str]:
    store = Store(folder)
    try:
        vector = HashEmbedder().encode([text])[0]
        hits = store.vectors.search(vector, 3)
        return {row.article_id for row in store.ledger.passage_rows([i for i, _ in hits]).values()}
    finally:
        store.close()


def collections(url: str) -> list[str]:
    client = connect(url)
    try:
        return sorted(one.name for one in client.list_collections())
    finally:
        close(client)


def test_two_archives_on_one_server_keep_apart(tmp_path: Path, server: ChromaServer) -> None:
    fill(tmp_path / "one", server.url, "Harbour")
    fill(tmp_path / "two", server.url, "Ferry")
    assert len(collections(server.url)) == 2
    for name in ("one", "two"):
        assert maintenance.check(tmp_path / name) == []
        assert not (tmp_path / name / "vectors").exists()
    assert "a3" in nearest(tmp_path / "one", f"Title 3\nHarbour3 opens. {LONG[:240]}")
    store = Store(tmp_path / "one")
    store.delete("a3")
    store.close()
    assert maintenance.check(tmp_path / "one") == maintenance.check(tmp_path / "two") == []
    assert len(collections(server.url)) == 2


def test_a_reader_sees_what_another_process_has_written(
    tmp_path: Path, server: ChromaServer
) -> None:
    fill(tmp_path / "archive", server.url)
    reader = Store(tmp_path / "archive")
    vector = HashEmbedder().encode(["Title 9\nNewest9 opens."])[0]
    assert reader.search("Newest9", vector, 5, Filters())
    writer = Store(tmp_path / "archive")
    put(writer, [article(9, "Newest9 opens.")])
    writer.close()
    found = reader.search("Newest9", vector, 5, Filters())
    assert max(found, key=lambda one: one.dense).row.article_id == "a9"
    reader.close()


def test_a_new_edition_on_the_server_replaces_the_old_one(
    tmp_path: Path, server: ChromaServer
) -> None:
    fill(tmp_path / "archive", server.url)
    before = collections(server.url)

    def reindex(characters: int, store: str = "") -> ReindexReport:
        arguments = (HashEmbedder(), characters, lambda report: None, None, store)
        return maintenance.rebuild(tmp_path / "archive", *arguments)

    assert reindex(500).switched
    assert maintenance.check(tmp_path / "archive") == []
    (kept,) = [name for name in collections(server.url) if name.endswith("-1")]
    assert kept.rpartition("-")[0] in {name.rpartition("-")[0] for name in before}
    fill(tmp_path / "archive", server.url, "Later", 500)  # the next writer clears the old one
    assert f"{kept[:-2]}-0" not in collections(server.url)
    assert maintenance.check(tmp_path / "archive") == []
    # Back into the folder, and to the server once more.
    assert reindex(500, "local").switched
    assert (tmp_path / "archive" / "edition-2" / "vectors").exists()
    assert maintenance.check(tmp_path / "archive") == []
    assert reindex(500, server.url).switched
    assert maintenance.check(tmp_path / "archive") == []
    store = Store(tmp_path / "archive")
    assert store_of(store.ledger.meta(), 3) == server.url
    store.close()


def test_a_server_that_goes_away_costs_nothing(tmp_path: Path, server: ChromaServer) -> None:
    folder = tmp_path / "archive"
    fill(folder, server.url)
    store = Store(folder)
    assert store.vectors.count()
    server.stop()
    with pytest.raises(ArchiveUnreachableError, match=rf"server at {server.url} cannot be reached"):
        put(store, [article(7, f"Absent7 opens. {LONG}")])
    with pytest.raises(ArchiveUnreachableError):
        store.search("bridge", HashEmbedder().encode(["bridge"])[0], 5, Filters())
    store.close()
    for command in (["check"], ["repair"], ["ask", "bridge?", "--no-llm"]):
        result = CliRunner().invoke(app, [*command, "--archive", str(folder)])
        assert result.exit_code == 1, result.output
    with pytest.raises(ArchiveUnreachableError):
        maintenance.repair(folder, embedder_for=embedder_for)
    store = Store(folder)  # opening needs no server
    assert store.status().pending == 1
    server.start()
    put(store, [])  # the next writer does what was not done
    assert store.status().pending == 0
    store.close()
    assert maintenance.check(folder) == []
    assert "a7" in nearest(folder, f"Title 7\nAbsent7 opens. {LONG[:240]}")


def test_check_and_repair_mend_a_collection(tmp_path: Path, server: ChromaServer) -> None:
    folder = tmp_path / "archive"
    fill(folder, server.url)
    store = Store(folder)
    store.vectors.delete([2])
    store.close()
    (line,) = maintenance.check(folder)
    assert "vectors: passage 2 of article" in line
    mended, left = maintenance.repair(folder, embedder_for=embedder_for)
    assert (mended.embedded, left) == (1, [])
    store = Store(folder)
    place = store.indexes.place
    store.close()
    assert place is not None
    drop_collection(place)
    assert maintenance.check(folder)
    mended, left = maintenance.repair(folder, embedder_for=embedder_for)
    assert (mended.embedded, left) == (15, [])


def test_vectors_of_another_length_are_one_sentence(tmp_path: Path, server: ChromaServer) -> None:
    fill(tmp_path / "archive", server.url)
    store = Store(tmp_path / "archive")
    with pytest.raises(ArchiveError, match=rf"server at {server.url} refuses: .*dimension of 64"):
        store.vectors.search(HashEmbedder().encode(["x"])[0][:8], 3)
    place = store.indexes.place
    store.close()
    assert place is not None
    drop_collection(place)
    client = connect(server.url)
    other = client.create_collection(place.collection, embedding_function=None)
    other.add(["1"], [[1.0, 0.0]])
    close(client)
    assert maintenance.check(tmp_path / "archive")
    mended, left = maintenance.repair(tmp_path / "archive", embedder_for=embedder_for)
    assert (mended.rebuilt, left) == (["vectors"], [])


def test_where_the_vectors_are_is_kept(tmp_path: Path, server: ChromaServer) -> None:
    local, served = tmp_path / "local", tmp_path / "served"
    fill(local, "")
    fill(served, server.url)
    for folder, store in ((local, server.url), (served, "local")):
        with pytest.raises(ArchiveMismatchError, match=f"newsrag reindex --store {store}"):
            Store(folder, HashEmbedder.name, 300, store=store)
    other = server.url.replace("127.0.0.1", "localhost")  # a server with another address
    Store(served, HashEmbedder.name, 300, store=other).close()
    assert maintenance.check(served) == []
    store = Store(served)
    assert store_of(store.ledger.meta(), 0) == other
    store.close()


def test_a_restored_archive_shares_no_collection(tmp_path: Path, server: ChromaServer) -> None:
    fill(tmp_path / "archive", server.url)
    maintenance.back_up(tmp_path / "archive", tmp_path / "backup.zip")
    report = maintenance.restore(tmp_path / "backup.zip", tmp_path / "again", embedder_for)
    assert report.vectors == report.passages == 15
    assert (tmp_path / "again" / "vectors").exists()
    before = collections(server.url)
    store = Store(tmp_path / "again")
    store.delete("a1")
    store.close()
    assert collections(server.url) == before
    assert maintenance.check(tmp_path / "archive") == maintenance.check(tmp_path / "again") == []


def test_the_command_takes_a_server(
    tmp_path: Path, server: ChromaServer, monkeypatch: pytest.MonkeyPatch, embedder: HashEmbedder
) -> None:
    (tmp_path / "bridge.txt").write_text("The bridge\n\nThe old bridge was closed on Monday.")
    monkeypatch.chdir(tmp_path)
    ingest = ["ingest", "bridge.txt", "--store", server.url]
    result = CliRunner().invoke(app, ingest)
    assert result.exit_code == 0, result.output
    settings = Settings()
    with Archive(Store(Path("archive")), settings, embedder, ScriptedLLM()) as archive:
        answer = archive.ask("When was the old bridge closed?", wording=False)
        assert answer.passages
        assert archive.status().store == server.url


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('"0.6.3"', "has version 0.6.3, but 1.x is needed"),
        ("<html>", "does not answer as a Chroma server of version 1.x"),
    ],
)
def test_what_is_no_such_server_is_told(tmp_path: Path, body: str, sentence: str) -> None:
    site = Site()
    site.put("/api/v2/version", body)
    try:
        with pytest.raises(ArchiveError, match=sentence):
            Store(tmp_path / "archive", "m", 1000, store=site.url)
    finally:
        site.server.shutdown()
        site.server.server_close()


@pytest.mark.parametrize("store", ["localhost:8000", "ftp://x", "http://", "http://a/b c"])
def test_a_store_must_be_the_address_of_a_server(store: str) -> None:
    with pytest.raises(SettingsError, match="setting store"):
        Settings(store=store)
