"""ui.turns: the conversation as HTML. tests/test_hostile.py sends hostile text through it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from markup import parse, texts, words

from rag import (
    Answer,
    ArchiveStatus,
    Article,
    Asked,
    Citation,
    ConversationSummary,
    Evidence,
    Exchange,
    Feedback,
    Looked,
    RankedPassage,
    Sentence,
    Short,
    Trace,
)
from ui import turns
from ui.answering import Progress

TEXT = "Rosa Lind opened the bridge. It cost 40 crowns."
BRIDGE = Article("b1", "The bridge", TEXT, "Callow Herald", None, date(2024, 3, 9))
NOW = datetime(2024, 5, 6, 12, tzinfo=UTC)


def cited(start: int, end: int, text: str = "", support: float = 1.0) -> Sentence:
    return Sentence(text or TEXT[start:end], (Citation(BRIDGE, start, end),), support)


QUOTES = (cited(0, 28), cited(29, 47))
WORDED = cited(0, 28, "The bridge was opened by Rosa Lind.", 0.9)
EVIDENCE = Evidence("who?", (RankedPassage(1, BRIDGE, 0, 47, 1.0),), QUOTES)


def exchange(**fields: object) -> Exchange:
    return Exchange("x1", "who?", Asked(), NOW, **fields)  # type: ignore[arg-type]


def answer(*sentences: Sentence, **fields: object) -> Answer:
    given = {"status": "answered", "passages": EVIDENCE.passages, "trace": Trace(query="who?")}
    return Answer("who?", sentences=sentences, **{**given, **fields})  # type: ignore[arg-type]


def ended(**fields: object) -> str:
    return turns.turn_html(Progress(exchange(**fields), ended=True), latest=True)


def buttons(html: str) -> list[str]:
    return [b.get("data-event") for b in parse(html).iter("button") if b.get("data-event")]


@pytest.mark.parametrize(
    "progress, status",
    [
        (Progress(exchange()), "Searching the archive…"),
        (Progress(exchange(), replace(EVIDENCE, quotes=())), "Reading what was found…"),
        (Progress(exchange(), EVIDENCE), "Evidence found – wording it…"),
        (Progress(exchange(), EVIDENCE, place=1), "1 question before yours at the language model"),
        (Progress(exchange(), EVIDENCE, place=3), "3 questions before yours at the language model"),
        (
            Progress(exchange(sentences=(WORDED,)), EVIDENCE),
            "Wording the rest… 1 sentence checked",
        ),
    ],
)
def test_each_stage_says_what_is_going_on(progress: Progress, status: str) -> None:
    html = turns.turn_html(progress)
    assert texts(html, "nr-status") == [status]
    assert parse(html).find_class("nr-turn")[0].get("aria-busy") == "true"
    assert not parse(html).find_class("nr-actions")


def test_what_is_worded_lies_over_the_quotes_which_are_then_out_of_reach() -> None:
    before = parse(turns.turn_html(Progress(exchange(), EVIDENCE)))
    (quotes,) = before.find_class("nr-quotes")
    assert quotes.get("inert") is None
    assert len(quotes.findall("blockquote")) == 2
    after = parse(turns.turn_html(Progress(exchange(sentences=(WORDED,)), EVIDENCE)))
    (quotes,) = after.find_class("nr-quotes")
    assert quotes.get("inert") is not None
    assert [child.get("class") for child in quotes.getparent()] == [
        "nr-quotes nr-covered",
        "nr-answer",
    ]


def test_the_end_has_the_frame_of_the_stages() -> None:
    """The same elements in the same order, so that nothing moves: see talk.css."""
    for progress in (
        Progress(exchange(), EVIDENCE),
        Progress(exchange(sentences=(WORDED,)), EVIDENCE),
        Progress(exchange(answer=answer(WORDED)), EVIDENCE, ended=True),
    ):
        (body,) = parse(turns.turn_html(progress)).find_class("nr-body")
        assert [child.get("class") for child in body][:2] == ["nr-top", "nr-stage"]


def test_an_answer_has_its_phrase_words_and_what_is_missing() -> None:
    phrase = Short("Rosa Lind", Citation(BRIDGE, 0, 9))
    told = answer(WORDED, QUOTES[1], short=phrase, probability=0.866, missing="since when?")
    html = ended(answer=told)
    assert texts(html, "nr-short") == ["Rosa Lind3"]
    assert [e.tag for e in parse(html).find_class("nr-answer")[0]] == ["p", "blockquote"]
    assert texts(html, "nr-missing") == ["Not in the archive: since when?"]
    assert texts(html, "nr-probability") == ["Probability that the archive answers this: 87 %"]
    assert "3 sources" in words(html)


def test_without_a_phrase_the_probability_is_on_top_and_only_there() -> None:
    html = ended(answer=answer(WORDED, probability=0.5))
    (top,) = parse(html).find_class("nr-top")
    assert top.text_content() == "Probability that the archive answers this: 50 %"
    assert words(html).count("Probability") == 1


def test_an_abstention_looks_like_one() -> None:
    looked = Looked("who?", ("Lisbon",), 3, date(2024, 1, 2), date(2024, 5, 6))
    html = ended(answer=answer(status="abstained", looked=looked))
    assert texts(html, "nr-abstained") == ["The archive does not say."]
    assert texts(html, "nr-looked") == ["".join(looked.lines)]
    assert "1 passage comes closest" in words(html)
    assert not parse(html).find_class("nr-cite")


@pytest.mark.parametrize(
    "fields, told",
    [
        ({"stopped": True, "sentences": QUOTES}, "Stopped."),
        ({"error": "the disk is full"}, "The disk is full."),
    ],
)
def test_a_broken_answer_says_so_and_can_be_asked_again(
    fields: dict[str, object], told: str
) -> None:
    html = ended(**fields)
    assert told in words(html)
    assert {"alter", "retry"} <= set(buttons(html))
    assert "copy_answer" not in buttons(html)
    assert not parse(html).find_class("nr-thumb")


def test_only_the_latest_can_be_retried_as_no_later_one_is_lost() -> None:
    html = turns.turns_html([exchange(answer=answer(WORDED))])
    assert "retry" not in buttons(html)
    assert "alter" in buttons(html)


def test_the_question_as_understood_is_shown_where_it_differs() -> None:
    assert "Understood as" not in ended(query=" who? ", answer=answer(WORDED))
    html = ended(query="Who opened the bridge?", answer=answer(WORDED))
    assert texts(html, "nr-understood") == ["Understood as: Who opened the bridge? Edit"]
    assert "reword" in buttons(html)


def test_the_filters_that_were_asked_with_are_shown() -> None:
    asked = Asked(date(2024, 5, 6), date(2024, 1, 2), None, ("Callow Herald", "B & C"))
    assert texts(turns.asked_html(asked), "nr-asked") == [
        "As of 6 May 2024Since 2 January 2024Only Callow HeraldOnly B & C"
    ]
    assert turns.asked_html(Asked()) == ""


def test_what_was_thought_of_an_answer_is_pressed() -> None:
    html = ended(answer=answer(WORDED), feedback=Feedback("down", "it rained"))
    pressed = {b.get("data-thumb"): b.get("aria-pressed") for b in parse(html).iter("button")}
    assert (pressed["up"], pressed["down"]) == ("false", "true")
    assert [area.text for area in parse(html).iter("textarea")] == ["it rained"]


def test_the_sources_follow_the_answer() -> None:
    assert "are shown here" in turns.sources_of(Progress(exchange()))
    quoted = turns.sources_of(Progress(exchange(), EVIDENCE))
    assert texts(quoted, "nr-number") == ["1", "2"]
    worded = turns.sources_of(Progress(exchange(sentences=(QUOTES[1],)), EVIDENCE))
    assert texts(worded, "nr-number") == ["1"]
    assert "40 crowns" in words(worded)
    done = turns.sources_of(Progress(exchange(answer=answer(WORDED)), ended=True))
    assert texts(done, "nr-number") == ["1"]
    assert "Rosa Lind" in words(done)


def test_ages_count_to_the_day_that_was_asked_as_of() -> None:
    asked = replace(exchange(answer=answer(WORDED)), asked=Asked(as_of=date(2024, 3, 12)))
    assert "3 days ago" in words(turns.sources_of(Progress(asked, ended=True)))


def test_citations_are_those_of_what_is_shown() -> None:
    quotes = tuple(c for quote in QUOTES for c in quote.citations)
    assert turns.citations_of(Progress(exchange(), EVIDENCE)) == quotes
    assert turns.citations_of(Progress(exchange(sentences=(WORDED,)), EVIDENCE)) == quotes[:1]
    told = answer(QUOTES[1])
    assert turns.citations_of(Progress(exchange(answer=told), EVIDENCE)) == quotes[1:]


def test_the_list_marks_the_present_conversation() -> None:
    kept = [
        ConversationSummary("c1", "The bridge", NOW, 2),
        ConversationSummary("c2", "The lamp", NOW - timedelta(days=40), 1),
    ]
    html = turns.list_html(kept, "c2", "", NOW)
    current = [b.get("aria-current") for b in parse(html).find_class("nr-open-kept")]
    assert current == [None, "page"]
    assert "27 March 2024" in words(html)
    assert words(turns.list_html([], "", "bridge", NOW)) == "No conversation has these words."
    assert words(turns.list_html([], "", " ", NOW)) == "Nothing saved yet."


def test_an_empty_archive_says_how_to_fill_it() -> None:
    empty = ArchiveStatus("archive", 0, 0, 0, None, None, 0, {}, "model", 0)
    assert "newsrag ingest" in turns.welcome_html(empty, [])
    full = replace(empty, articles=1200, first=date(2023, 1, 2), last=date(2024, 3, 4))
    html = turns.welcome_html(full, ["Who?"])
    assert "1,200 articles, 2 January 2023 to 4 March 2024." in words(html)
    assert texts(html, "nr-example") == ["Who?"]


def test_who_is_logged_in_can_log_out() -> None:
    assert turns.user_html("") == ""
    assert "<bdi>&lt;b&gt;ada</bdi>" in turns.user_html("<b>ada")
    assert 'href="/logout"' in turns.user_html("ada")
