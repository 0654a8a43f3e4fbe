"""ui.answering: an answer goes on without a reader, is followed by several, and is kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import article, make_archive

from rag import (
    Answer,
    Archive,
    Asked,
    Citation,
    Conversation,
    Event,
    Evidence,
    Exchange,
    NewsragError,
    Sentence,
    Trace,
    Waiting,
)
from rag.models import SentenceTransformerEmbedder
from ui.answering import BUSY, Answering, Progress, Question, Running, history
from ui.limits import Limits, TooManyQuestions

SECONDS = 20
BRIDGE = article(1, "Rosa Lind opened the bridge.")
QUOTE = Sentence(BRIDGE.text, (Citation(BRIDGE, 0, len(BRIDGE.text)),), 1.0)
WORDED = Sentence("It was Rosa Lind.", QUOTE.citations, 0.9)


class Script:
    """Stands in for `Archive.stream`: tells its events, and waits where None stands among them."""

    def __init__(self, *events: Event | Exception | None) -> None:
        self.events = events
        self.go = threading.Event()
        self.closed = threading.Event()
        self.asked: list[dict[str, Any]] = []

    def __call__(self, question: str, **options: Any) -> Iterator[Event]:
        self.asked.append({"question": question, **options})
        try:
            for event in self.events:
                if event is None:
                    assert self.go.wait(SECONDS)
                elif isinstance(event, Exception):
                    raise event
                else:
                    yield event
        finally:
            self.closed.set()


def evidence(query: str = "who?") -> Evidence:
    return Evidence(query, (), (QUOTE,))


def answer(question: str = "who?") -> Answer:
    return Answer(question, "answered", (WORDED,), (), Trace(query=question))


@pytest.fixture
def archive(tmp_path: Path, embedder: SentenceTransformerEmbedder) -> Iterator[Archive]:
    with make_archive(tmp_path / "archive", embedder) as archive:
        archive.ingest(BRIDGE)
        yield archive


@pytest.fixture
def script(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Script:
    script = Script(evidence(), None, WORDED, answer())
    monkeypatch.setattr(archive, "stream", script)
    return script


def kept(archive: Archive, user: str = "") -> Conversation:
    conversations = archive.conversations(user)
    return conversations.get(conversations.list()[0].id)


def begin(
    answering: Answering, archive: Archive, user: str = "", **fields: Any
) -> tuple[str, Running]:
    conversation = archive.conversations(user).new("who?").id
    return conversation, answering.begin(user, conversation, Question("who?", Asked(), **fields))


async def read(running: Running, until: int = 0) -> list[Progress]:
    """What a reader sees: all of it, or the first `until`."""
    seen: list[Progress] = []
    async with asyncio.timeout(SECONDS):
        async for progress in running.follow():
            seen.append(progress)
            if len(seen) == until:
                break
    return seen


def finish(running: Running) -> Exchange:
    return asyncio.run(read(running))[-1].exchange


def test_an_answer_is_told_in_steps_and_kept(archive: Archive, script: Script) -> None:
    answering = Answering(archive, wording=True)
    conversation, running = begin(answering, archive)
    assert answering.of("", conversation) is running
    assert answering.of("another", conversation) is None
    script.go.set()
    ended = finish(running)
    assert ended.answer == answer()
    assert ended.query == "who?"
    assert not ended.stopped
    assert not ended.error
    (saved,) = kept(archive).exchanges
    assert (saved.id, saved.question) == (ended.id, "who?")
    assert saved.answer is not None
    assert saved.answer.sentences == (WORDED,)


def test_several_readers_see_the_same_end_and_a_late_one_sees_what_was(
    archive: Archive, script: Script
) -> None:
    async def watch(running: Running) -> list[list[Progress]]:
        first = asyncio.create_task(read(running))
        (begun,) = await read(running, until=1)
        while begun.evidence is None:
            begun = running.progress
            await asyncio.sleep(0)
        late = asyncio.create_task(read(running))
        await asyncio.sleep(0)
        script.go.set()
        return list(await asyncio.gather(first, late))

    _, running = begin(Answering(archive, wording=True), archive)
    first, late = asyncio.run(watch(running))
    assert first[-1] == late[-1]
    assert first[-1].ended
    assert late[0].evidence == evidence()
    assert asyncio.run(read(running)) == [first[-1]]


def test_an_answer_without_a_reader_is_kept(archive: Archive, script: Script) -> None:
    answering = Answering(archive, wording=True)
    _, running = begin(answering, archive)
    asyncio.run(read(running, until=1))  # the browser leaves
    script.go.set()
    assert script.closed.wait(SECONDS)
    finish(running)
    assert kept(archive).exchanges[0].answer is not None


def test_from_its_first_evidence_on_a_killed_server_leaves_a_stopped_answer(
    archive: Archive, script: Script
) -> None:
    _, running = begin(Answering(archive, wording=True), archive)
    while not (exchanges := kept(archive).exchanges):
        assert not script.closed.is_set()
    assert exchanges[0].stopped
    assert exchanges[0].sentences == (QUOTE,)
    script.go.set()
    finish(running)
    (saved,) = kept(archive).exchanges
    assert not saved.stopped


def test_stop_ends_it_at_once_and_closes_the_model_when_it_speaks(
    archive: Archive, script: Script
) -> None:
    answering = Answering(archive, wording=True)
    conversation, running = begin(answering, archive)
    while running.progress.evidence is None:
        pass
    answering.stop("", conversation)
    ended = finish(running)
    assert ended.stopped
    assert ended.sentences == (QUOTE,)
    assert kept(archive).exchanges == (ended,)
    assert answering.of("", conversation) is None
    script.go.set()
    assert script.closed.wait(SECONDS)
    assert kept(archive).exchanges == (ended,)


def test_a_stopped_answer_that_lingers_does_not_end_the_next(
    archive: Archive, script: Script
) -> None:
    answering = Answering(archive, wording=True)
    conversation, first = begin(answering, archive)
    answering.stop("", conversation)
    second = answering.begin("", conversation, Question("who?", Asked()))
    assert answering.of("", conversation) is second
    script.go.set()
    assert finish(first).stopped
    assert finish(second).answer is not None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    "error, told",
    [
        (NewsragError("the disk is full"), "the disk is full"),
        (ZeroDivisionError("x"), "unexpected"),
    ],
)
def test_an_error_is_a_sentence_and_is_kept_with_what_was_shown(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    monkeypatch.setattr(archive, "stream", Script(evidence(), error))
    answering = Answering(archive, wording=True)
    _, running = begin(answering, archive)
    assert told in finish(running).error
    (saved,) = kept(archive).exchanges
    assert told in saved.error
    assert saved.sentences == (QUOTE,)
    assert saved.answer is None


def test_a_place_in_the_queue_is_told_until_words_come(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(evidence(), Waiting(2), Waiting(2), None, WORDED, answer())
    monkeypatch.setattr(archive, "stream", script)
    _, running = begin(Answering(archive, wording=True), archive)
    while running.progress.place != 2:
        pass
    script.go.set()
    ended = asyncio.run(read(running))[-1]
    assert ended.place == 0


def test_one_answer_at_a_time_in_a_conversation(archive: Archive, script: Script) -> None:
    answering = Answering(archive, wording=True)
    conversation, running = begin(answering, archive)
    with pytest.raises(NewsragError, match=BUSY):
        answering.begin("", conversation, Question("and?", Asked()))
    script.go.set()
    finish(running)


def test_a_question_over_the_limit_drops_nothing(archive: Archive, script: Script) -> None:
    limits = Limits(per_user=1)
    answering = Answering(archive, wording=True, limits=limits)
    script.go.set()
    conversation, first = begin(answering, archive, user="ada")
    ended = finish(first)
    while limits.under_way:
        pass
    script.go.clear()
    _, other = begin(answering, archive, user="ada")
    with pytest.raises(TooManyQuestions):
        answering.begin("ada", conversation, Question("again?", Asked(), instead=ended.id))
    assert [one.id for one in archive.conversations("ada").get(conversation).exchanges] == [
        ended.id
    ]
    script.go.set()
    finish(other)
    while limits.under_way:
        pass


def test_an_edited_question_takes_the_place_of_its_answer_and_all_later(
    archive: Archive, script: Script
) -> None:
    answering = Answering(archive, wording=True)
    script.go.set()
    conversation, running = begin(answering, archive)
    ids = [finish(running).id]
    for text in ("and then?", "and after that?"):
        ids.append(finish(answering.begin("", conversation, Question(text, Asked()))).id)
    edit = Question("and before?", Asked(), query="what was before?", instead=ids[1])
    ended = finish(answering.begin("", conversation, edit))
    assert [one.id for one in kept(archive).exchanges] == [ids[0], ended.id]
    assert script.asked[-1]["history"] == [("who?", WORDED.text)]
    assert script.asked[-1]["query"] == "what was before?"
    assert script.asked[0]["history"] == []
    assert script.asked[0]["query"] is None


def test_a_follow_up_leans_on_the_last_question_as_it_was_understood(archive: Archive) -> None:
    answering = Answering(archive, wording=False)
    conversation, running = begin(answering, archive)
    first = finish(running)
    assert history((first,)) == [(first.query, first.text)]
    question = Question("And when did she do it?", Asked())
    assert finish(answering.begin("", conversation, question)).query.startswith("who?")


def test_the_filters_reach_the_search(archive: Archive) -> None:
    answering = Answering(archive, wording=False)
    conversation = archive.conversations().new("x").id
    asked = Asked(sources=("Nobody's Paper",))
    ended = finish(answering.begin("", conversation, Question("Who opened the bridge?", asked)))
    assert ended.answer is not None
    assert ended.answer.passages == ()
    assert kept(archive).exchanges[0].asked == asked


def test_a_deleted_conversation_takes_its_answer_along(archive: Archive, script: Script) -> None:
    answering = Answering(archive, wording=True)
    conversation, running = begin(answering, archive)
    archive.conversations().delete(conversation)
    script.go.set()
    assert not finish(running).error
    assert archive.conversations().list() == []


def test_another_users_conversation_is_not_asked_in(archive: Archive, script: Script) -> None:
    conversation = archive.conversations("ada").new("mine").id
    with pytest.raises(NewsragError, match="does not exist"):
        Answering(archive, wording=True).begin("bob", conversation, Question("who?", Asked()))
    assert script.asked == []


def test_a_closing_server_ends_an_answer_that_waits_for_the_model(
    archive: Archive, script: Script
) -> None:
    limits = Limits()
    _, running = begin(Answering(archive, wording=True, limits=limits), archive)
    while running.progress.evidence is None:
        pass
    limits.close()
    assert finish(running).stopped
    assert kept(archive).exchanges[0].stopped
    script.go.set()
    assert script.closed.wait(SECONDS)
