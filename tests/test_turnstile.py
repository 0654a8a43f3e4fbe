from __future__ import annotations

import threading
from itertools import count
from queue import SimpleQueue

from conftest import ScriptedLLM

from rag import Answer, Archive, Evidence, Sentence, Settings, Waiting
from rag.turnstile import Place, Turnstile

WHY = "why is Kim boosting production?"
SECONDS = 60


_THREADS = count(1)


def elsewhere(turnstile: Turnstile) -> Place:
    """A place of a question that another thread asks."""
    place = turnstile.place()
    place.thread = -next(_THREADS)
    return place


def test_questions_pass_in_the_order_in_which_they_came() -> None:
    turnstile = Turnstile()
    first, second, third = (elsewhere(turnstile) for _ in range(3))
    with first, second, third:
        assert list(first.wait()) == []
        waiting_second, waiting_third = second.wait(), third.wait()
        assert next(waiting_second) == Waiting(1)
        assert next(waiting_third) == Waiting(2)
        turnstile.leave(first)
        assert list(waiting_second) == []
        assert next(waiting_third) == Waiting(1)
        assert list(second.wait()) == []  # its turn is not over
        turnstile.leave(second)
        assert list(waiting_third) == []


def test_a_question_that_leaves_the_line_is_not_waited_for() -> None:
    turnstile = Turnstile()
    first, second, third = (elsewhere(turnstile) for _ in range(3))
    with third:
        with first:
            list(first.wait())
            with second:
                assert next(second.wait()) == Waiting(1)
                assert next(third.wait()) == Waiting(2)
            assert next(third.wait()) == Waiting(1)
        assert list(third.wait()) == []


def test_a_question_that_waits_speaks_up_although_nothing_moves() -> None:
    turnstile = Turnstile()
    first, second = elsewhere(turnstile), elsewhere(turnstile)
    with first, second:
        list(first.wait())
        waiting = second.wait()
        assert [next(waiting), next(waiting)] == [Waiting(1), Waiting(1)]


def test_as_many_pass_as_there_are_places() -> None:
    turnstile = Turnstile(2)
    first, second, third, fourth = (elsewhere(turnstile) for _ in range(4))
    with first, second, third, fourth:
        assert list(first.wait()) == list(second.wait()) == []
        assert next(third.wait()) == Waiting(1)
        assert next(fourth.wait()) == Waiting(2)
        turnstile.leave(first)
        third.stand()
        assert next(fourth.wait()) == Waiting(1)


def test_an_endpoint_has_no_queue() -> None:
    turnstile = Turnstile(None)
    first, second = elsewhere(turnstile), elsewhere(turnstile)
    with first, second:
        assert list(first.wait()) == list(second.wait()) == []


def test_who_asks_again_while_reading_does_not_wait_for_himself() -> None:
    turnstile = Turnstile()
    with turnstile.place() as first, turnstile.place() as second:
        assert list(first.wait()) == list(second.wait()) == []


class Gated(ScriptedLLM):
    """Begins to answer, and ends when the gate opens."""

    def __init__(self, *pieces: str) -> None:
        super().__init__(*pieces)
        self.gate = threading.Event()
        self.at_once = self.most = 0

    def stream(self, messages, max_tokens):
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            yield from super().stream(messages, max_tokens)
            assert self.gate.wait(SECONDS)
        finally:
            self.at_once -= 1


def ask_apart(archive: Archive, events: SimpleQueue[object]) -> threading.Thread:
    def ask() -> None:
        for event in archive.stream(WHY):
            events.put(event)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread


def queued(corpus_archive: Archive, llm: ScriptedLLM, **values: object) -> Archive:
    settings = Settings(**values)  # type: ignore[arg-type]
    return Archive(corpus_archive._store, settings, corpus_archive._embedder, llm)


def test_evidence_does_not_wait_but_wording_does(corpus_archive: Archive) -> None:
    quote = corpus_archive.ask(WHY, wording=False).sentences[0].text
    llm = Gated(f"{quote} [1] ", "More follows.")
    archive = queued(corpus_archive, llm)
    before: SimpleQueue[object] = SimpleQueue()
    thread = ask_apart(archive, before)
    assert isinstance(before.get(timeout=SECONDS), Evidence)
    assert isinstance(before.get(timeout=SECONDS), Sentence)
    events = archive.stream(WHY)
    assert isinstance(next(events), Evidence)
    assert next(events) == Waiting(1)
    assert archive.ask(WHY, wording=False).status == "answered"  # quotes never wait
    llm.gate.set()
    rest = list(events)
    thread.join(SECONDS)
    assert isinstance(rest[-1], Answer)
    assert rest[-1].sentences
    assert llm.most == 1


def test_closing_the_stream_frees_the_place(corpus_archive: Archive) -> None:
    quote = corpus_archive.ask(WHY, wording=False).sentences[0].text
    llm = Gated(f"{quote} [1] ", "More follows.")
    archive = queued(corpus_archive, llm)
    reading = archive.stream(WHY)
    assert isinstance(next(reading), Evidence)
    assert isinstance(next(reading), Sentence)
    waiting: SimpleQueue[object] = SimpleQueue()
    thread = ask_apart(archive, waiting)
    assert isinstance(waiting.get(timeout=SECONDS), Evidence)
    assert waiting.get(timeout=SECONDS) == Waiting(1)
    llm.gate.set()
    reading.close()
    thread.join(SECONDS)
    assert not thread.is_alive()


def test_ask_passes_over_the_waiting(corpus_archive: Archive) -> None:
    llm = Gated("NO ANSWER")
    archive = queued(corpus_archive, llm)
    first = ask_apart(archive, SimpleQueue())
    second: SimpleQueue[object] = SimpleQueue()
    asking = threading.Thread(target=lambda: second.put(archive.ask(WHY)), daemon=True)
    asking.start()
    llm.gate.set()
    assert isinstance(second.get(timeout=SECONDS), Answer)
    first.join(SECONDS)
    asking.join(SECONDS)


def test_the_archive_of_an_endpoint_asks_at_once(corpus_archive: Archive) -> None:
    quote = corpus_archive.ask(WHY, wording=False).sentences[0].text
    llm = Gated(f"{quote} [1] ", "More follows.")
    archive = queued(corpus_archive, llm, model="http://127.0.0.1:9/v1")
    before: SimpleQueue[object] = SimpleQueue()
    thread = ask_apart(archive, before)
    assert isinstance(before.get(timeout=SECONDS), Evidence)
    assert isinstance(before.get(timeout=SECONDS), Sentence)
    events = archive.stream(WHY)
    assert isinstance(next(events), Evidence)
    assert isinstance(next(events), Sentence)
    llm.gate.set()
    events.close()
    thread.join(SECONDS)
    assert llm.most == 2
