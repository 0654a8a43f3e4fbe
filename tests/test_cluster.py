from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, make_archive
from crash import HashEmbedder
from typer.testing import CliRunner

from rag import Archive, SettingsError
from rag.agreement import check
from rag.cli import app
from rag.cluster import _ENVIRONMENT, Delivered, over_cluster
from rag.models import SentenceTransformerEmbedder
from rag.reports import IngestReport

# Ray Data sets its own deprecated options whenever it makes its defaults.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A real Ray cluster of two workers on this machine."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=40)
    yield
    ray.shutdown()


def content(archive: Archive) -> dict[str, object]:
    """All articles with their passages."""
    return {one.id: (one, archive.passages(one.id)) for one in archive.articles()}


@pytest.mark.usefixtures("cluster")
def test_a_cluster_ingests_what_one_process_does(
    tmp_path: Path, corpus_archive: Archive, embedder: SentenceTransformerEmbedder
) -> None:
    """Interrupted, continued, and once more: every article is there exactly once, as locally."""
    seen = 0

    def interrupt(report: IngestReport) -> None:
        nonlocal seen
        seen = report.added
        if seen == 10:
            raise KeyboardInterrupt

    with make_archive(tmp_path / "archive", embedder) as archive:
        with pytest.raises(KeyboardInterrupt):
            archive.ingest(ROOT / "corpus", progress=interrupt, ray="local")
        report = archive.ingest(ROOT / "corpus", ray="local")
        assert (seen, report.unchanged, report.failures) == (10, 10, ())
        assert content(archive) == content(corpus_archive)
        assert check(archive._store) == []
        again = archive.ingest(ROOT / "corpus", ray="local")
        assert (again.added, again.changed, again.passages) == (0, 0, 0)
        assert again.unchanged == seen + report.added
        mine, theirs = (one._store.vectors for one in (archive, corpus_archive))
        ids, vectors = mine.vectors(range(1, 200))
        same, others = theirs.vectors(ids)
        rows = dict(zip(same, others, strict=True))
        cosines = [vector @ rows[number] for number, vector in zip(ids, vectors, strict=True)]
        assert min(cosines) > 0.99  # other batches round differently


@pytest.mark.usefixtures("cluster")
def test_what_a_worker_cannot_read_is_told_in_its_turn(
    tmp_path: Path, embedder: SentenceTransformerEmbedder
) -> None:
    (tmp_path / "a.txt").write_text("First\n\nThe first version of the story.")
    (tmp_path / "b.json").write_text('{"title": ')
    with make_archive(tmp_path / "archive", embedder) as archive:
        inputs = [tmp_path / "a.txt", tmp_path / "b.json"]
        local = [str(failure) for failure in archive.ingest(*inputs).failures]
        report = archive.ingest(*inputs, ray="local")
        assert [str(failure) for failure in report.failures] == local != []
        assert report.unchanged == 1
        with pytest.raises(Exception, match="does not exist"):
            archive.ingest(tmp_path / "none.txt", ray="local")


def test_vectors_are_delivered_once_and_made_where_they_lack() -> None:
    local = HashEmbedder()
    delivered = Delivered(local)
    delivered.deliver(["a", "b"], np.array([[1, 0], [0, 1]], np.float32))
    assert delivered.name == local.name
    assert delivered.encode(["b", "a"]).tolist() == [[0, 1], [1, 0]]
    vector = local.encode(["here"])
    assert (delivered.encode(["here"]) == vector).all()
    delivered.deliver(["c"], vector)
    assert (delivered.encode(["a"]) == local.encode(["a"])).all()  # the old ones are gone


def test_a_missing_ray_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "ray" else found(name)
    )
    (tmp_path / "a.txt").write_text("First\n\nThe first version of the story.")
    with make_archive(tmp_path / "archive", HashEmbedder()) as archive:
        _, reading = over_cluster(archive._store, HashEmbedder(), "local")
        with pytest.raises(SettingsError, match=r"pip install -c constraints.txt -e '.\[ray\]'"):
            list(reading([tmp_path / "a.txt"]))
    result = CliRunner().invoke(
        app,
        ["ingest", str(tmp_path / "a.txt"), "--archive", str(tmp_path / "new"), "--ray", "local"],
    )
    assert result.exit_code == 1
