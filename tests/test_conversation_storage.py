"""Saved conversations under many writers, crashes and damage, and in an archive that changes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT, make_archive
from talks import PIER, answered, asked, find

from rag import ArchiveError, Conversations, Feedback
from rag.conversationfile import SCHEMA_VERSION, ConversationFile

GONE = "An article that this answer cites has been deleted from the archive."


def test_threads_write_at_once(mine: Conversations) -> None:
    talk = mine.new("Fires")

    def work(thread: int) -> None:
        own = mine.new(f"Thread {thread}")
        for n in range(10):
            exchange = asked(f"e{thread}-{n}", answer=answered())
            mine.save(talk.id, exchange)
            mine.save(own.id, exchange)
            mine.rate(talk.id, exchange.id, Feedback("up"))
            assert len(mine.get(own.id).exchanges) == n + 1
            assert mine.list("dawn")

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(12)))
    saved = mine.get(talk.id).exchanges
    assert len({exchange.id for exchange in saved}) == len(saved) == 120
    assert all(exchange.feedback.thumb == "up" for exchange in saved)
    assert {summary.exchanges for summary in mine.list("thread")} == {10}


SCRIPT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from rag import Asked, Conversations, Exchange, conversations
from rag.conversationfile import ConversationFile

mine = Conversations(ConversationFile(Path(sys.argv[1])), "ada", None)
def save(key, name):
    mine.save(key, Exchange(name, "Why?", Asked(), datetime.now(UTC)))
"""


def run(file: Path, code: str, *values: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT + code, str(file), *values]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def test_processes_start_and_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "conversations.sqlite"
    code = """
key = mine.new(sys.argv[2]).id
for n in range(20):
    save(key, f"e{n}")
"""
    workers = [run(path, code, f"Process {n}") for n in range(4)]
    for worker in workers:
        _, errors = worker.communicate()
        assert (worker.returncode, errors) == (0, "")
    file = ConversationFile(path)
    found = Conversations(file, "ada", find).list()
    file.close()
    assert sorted((s.title, s.exchanges) for s in found) == [(f"Process {n}", 20) for n in range(4)]


def test_a_crash_in_the_middle_of_a_save_leaves_all_or_nothing(
    conversation_file: ConversationFile, mine: Conversations, tmp_path: Path
) -> None:
    talk = mine.new("")
    code = """
import os
conversations._stamp = lambda: os._exit(9)  # the exchange is inserted, the rest is not
save(sys.argv[2], "e1")
"""
    worker = run(tmp_path / "conversations.sqlite", code, talk.id)
    _, errors = worker.communicate()
    assert (worker.returncode, errors) == (9, "")
    assert mine.get(talk.id) == talk
    mine.save(talk.id, asked("e1"))
    assert len(mine.get(talk.id).exchanges) == 1


def test_an_error_in_the_middle_undoes_all(
    conversation_file: ConversationFile, mine: Conversations
) -> None:
    with pytest.raises(KeyboardInterrupt), conversation_file.transaction() as db:
        db.execute("INSERT INTO conversations VALUES (9, 'x', 'ada', 't', 't', '', '')")
        raise KeyboardInterrupt
    assert mine.list() == []
    mine.new("Still works")


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "conversations.sqlite"
    path.write_bytes(b"not a database, and long enough to be looked at" * 20)
    with pytest.raises(ArchiveError, match="cannot be opened"):
        Conversations(ConversationFile(path), "", find).list()
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(ArchiveError, match="newer newsrag"):
        Conversations(ConversationFile(path), "", find).list()
    path.unlink()
    file = ConversationFile(path)
    mine = Conversations(file, "", find)
    mine.new("Fires")
    file.close()
    with pytest.raises(ArchiveError, match="is closed"):
        mine.list()


def test_one_answer_that_cannot_be_read_does_not_hide_the_others(
    conversation_file: ConversationFile, mine: Conversations
) -> None:
    talk = mine.new("Fires")
    for name in ("e1", "e2"):
        mine.save(talk.id, asked(name, answer=answered()))
    with conversation_file.transaction() as db:
        db.execute("UPDATE exchanges SET data = json_remove(data, '$.answer.trace') WHERE id='e1'")
    first, second = mine.get(talk.id).exchanges
    assert (first.answer, first.question) == (None, "When did the fire begin?")
    assert first.error == "This answer was saved by another version of newsrag and cannot be shown."
    assert second.answer == answered()
    with conversation_file.transaction() as db:
        db.execute("UPDATE exchanges SET data = 'torn' WHERE id='e1'")
    with pytest.raises(ArchiveError, match="a saved conversation is damaged"):
        mine.get(talk.id)


def test_citations_open_as_long_as_their_text_is_stored(tmp_path: Path, embedder) -> None:
    folder = tmp_path / "archive"
    with make_archive(folder, embedder) as archive:
        archive.ingest(PIER)
        talks = archive.conversations("ada")
        talk = talks.new("Fires")
        first = asked("e1", answer=answered())
        stopped = asked("e2", stopped=True, sentences=answered().sentences)
        for exchange in (first, stopped):
            talks.save(talk.id, exchange)
        archive.ingest(replace(PIER, text="The fire began at 4 a.m., it is said now."))
    with make_archive(folder, embedder) as archive:
        talks = archive.conversations("ada")
        assert archive.article(PIER.id).revision == 2
        assert talks.get(talk.id).exchanges == (first, stopped)
        assert archive.conversations("").list() == []
        archive.delete(PIER.id)
        gone = talks.get(talk.id).exchanges
        assert gone == (
            replace(first, answer=None, error=GONE),
            replace(stopped, sentences=(), error=GONE),
        )
        archive.ingest(replace(PIER, text="Another text under the id, again as revision one."))
        assert talks.get(talk.id).exchanges == gone
        archive.delete(PIER.id)
        archive.ingest(PIER)
        assert talks.get(talk.id).exchanges == (first, stopped)


def test_chatting_goes_on_while_another_process_ingests(tmp_path: Path, embedder) -> None:
    with make_archive(tmp_path, embedder) as archive, archive._store.writing():
        talks = archive.conversations()
        talks.save(talks.new("Fires").id, asked("e1"))
        assert [summary.exchanges for summary in talks.list()] == [1]
