"""One writer at a time, readers beside it, and writers that are killed or run out of disk."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import ROOT, article
from crash import HashEmbedder, put, run

from rag import ArchiveError, ArchiveLockedError
from rag.agreement import check
from rag.lock import WriteLock
from rag.store import Store
from rag.words import Filters

# one writer


def test_a_second_writer_is_told_who_writes_or_waits(small_folder: Path) -> None:
    lock = WriteLock(small_folder)
    store = Store(small_folder)
    told: list[str] = []
    done = threading.Event()

    def second() -> None:
        store = Store(small_folder)
        with store.writing(told.append):
            done.set()
        store.close()

    with lock.held():
        with pytest.raises(ArchiveLockedError, match=r"pid \d+ on .+, since \d{4}-"):
            _in_thread(lambda: put(store, []))
        store.close()
        thread = threading.Thread(target=second)
        thread.start()
        assert not done.wait(0.3)
    thread.join()
    assert done.is_set()
    assert len(told) == 1
    assert told[0].startswith("Waiting: ")


def _in_thread(call) -> None:
    """Call in another thread, as the lock may be nested in the same one."""
    failures = []

    def guarded() -> None:
        try:
            call()
        except ArchiveError as error:
            failures.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def test_the_lock_of_a_dead_process_does_not_block(small_folder: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from rag.lock import WriteLock\n"
        "with WriteLock(Path(sys.argv[1])).held(): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, small_folder], cwd=ROOT, check=False)
    assert (small_folder / "write.holder").exists()
    store = Store(small_folder)
    put(store, [article(7, "Text here.")])
    store.close()
    assert not (small_folder / "write.holder").exists()


WRITES = """
import sys
sys.path.insert(0, "tests")
from pathlib import Path
from conftest import article
from crash import HashEmbedder, put, small_batches
from rag.store import Store
small_batches()  # so that the graph is written often
store = Store(Path(sys.argv[1]), HashEmbedder.name, 300)
for version in range(25):
    put(store, [article(n, f"Version{version} of it. " * 60) for n in range(8)])
    print("stored", flush=True)
"""


def test_a_reader_sees_whole_articles_while_another_process_writes(tmp_path: Path) -> None:
    vector = HashEmbedder().encode(["version of it"])[0]
    seen = set()
    with subprocess.Popen(
        [sys.executable, "-c", WRITES, tmp_path], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"stored\n"
        reader = Store(tmp_path)
        while process.poll() is None:
            # A search may miss what is replaced ten times a second, but never shows half of it.
            for hit in reader.search("version of it", vector, 20, Filters()):
                row = hit.row
                text = reader.ledger.article(row.article_id, row.revision).text
                assert text.startswith("Version")
                assert len(set(text.split()[::3])) == 1
                seen.add(text)
            assert len(reader.ledger.articles()) == 8
    assert process.returncode == 0
    assert len(seen) > 2
    reader.close()


# crashes and a full disk


def test_three_kills_lose_nothing(tmp_path: Path) -> None:
    findings = run(tmp_path, seed=3, kills=3)
    assert findings.kills == 3
    assert (findings.lost, findings.duplicated, findings.disagreements) == (0, 0, 0)


FULL = """
import resource, signal, sys
sys.path.insert(0, "tests")
from pathlib import Path
from conftest import article
from crash import put
from rag.errors import ArchiveError
from rag.store import Store
store = Store(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    for n in range(10, 400):
        put(store, [article(n, f"Word{n} opens. " * 200)])
except ArchiveError as error:
    print("error:", error)
else:
    print("nothing was full")
"""


@pytest.mark.parametrize("limit", [300_000, 700_000, 1_500_000])
def test_a_full_disk_is_one_error_and_loses_nothing(small_folder: Path, limit: int) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FULL, small_folder, str(limit)],
        cwd=ROOT, text=True, capture_output=True, check=False, timeout=240,
    )  # fmt: skip
    assert result.stdout.startswith("error: "), result.stderr[-2000:]
    assert "Traceback" not in result.stderr
    store = Store(small_folder)
    put(store, [])
    assert check(store) == []
    assert {f"a{n}" for n in range(5)} <= {one.id for one in store.ledger.articles()}
    store.close()
