from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from conftest import ROOT, ScriptedLLM, article, make_archive

from rag import Answer, Archive, ArchiveError, Evidence, Sentence, Settings, SourceError
from rag.models import EndpointLLM, SentenceTransformerEmbedder

WHY = "why is Kim boosting production?"


@pytest.fixture
def ask_with(corpus_archive: Archive):
    """The corpus with a scripted LLM in place of the local one; `accepted_error` 1: no refusals."""

    def with_llm(llm: ScriptedLLM, accepted_error: float = 0.22) -> Archive:
        settings = replace(corpus_archive.settings, accepted_error=accepted_error)
        return Archive(corpus_archive._store, settings, corpus_archive._embedder, llm)

    return with_llm


def assert_citations_hold(archive: Archive, answer: Answer) -> None:
    for sentence in answer.sentences:
        assert sentence.citations
        for citation in sentence.citations:
            stored = archive.article(citation.article.id, citation.article.revision)
            assert stored.text[citation.start : citation.end] == citation.quote != ""


def test_without_a_model_the_evidence_is_quoted(ask_with) -> None:
    llm = ScriptedLLM("never asked")
    archive = ask_with(llm)
    answer = archive.ask(WHY, wording=False)
    assert answer.status == "answered"
    assert_citations_hold(archive, answer)
    assert all(s.text == " ".join(s.citations[0].quote.split()) for s in answer.sentences)
    assert llm.asked == []
    assert set(answer.trace.timings) == {"embed", "search", "select"}
    assert set(answer.trace.models) == {"embedding", "reranker"}


def test_the_evidence_comes_before_the_model_is_asked(ask_with) -> None:
    llm = ScriptedLLM("NO ANSWER")
    events = ask_with(llm).stream(WHY)
    first = next(events)
    assert isinstance(first, Evidence)
    assert first.quotes
    assert llm.asked == []
    *rest, last = events
    assert len(llm.asked) == 1
    assert isinstance(last, Answer)
    assert tuple(e for e in rest if isinstance(e, Sentence)) in ((), last.sentences)


def test_supported_wording_is_shown_and_the_rest_is_not(ask_with) -> None:
    quote = ask_with(ScriptedLLM()).ask(WHY, wording=False).sentences[0].text
    llm = ScriptedLLM(f"{quote} [1] ", "He also bought 99 zeppelins in Peru. [2]")
    archive = ask_with(llm)
    answer = archive.ask(WHY)
    assert answer.sentences[0].text == quote
    assert_citations_hold(archive, answer)
    kept, other = answer.trace.checks
    assert (kept.outcome, kept.reason) == ("kept", "")
    assert "zeppelins" in other.text
    assert "99" in other.reason
    assert not any("zeppelins" in sentence.text for sentence in answer.sentences)


def test_an_unsupported_draft_is_written_once_more_from_its_evidence(ask_with) -> None:
    quote = ask_with(ScriptedLLM()).ask(WHY, wording=False).sentences[0].text

    class Learns(ScriptedLLM):
        def stream(self, messages, max_tokens):
            self.asked.append(messages)
            yield "He bought 99 zeppelins in Peru. [1]" if len(self.asked) == 1 else f"{quote} [1]"

    llm = Learns()
    answer = ask_with(llm, accepted_error=1.0).ask(WHY)
    (check,) = answer.trace.checks
    assert len(llm.asked) == 2
    if check.outcome == "rewritten":  # what came closest is the quoted sentence itself
        assert [s.text for s in answer.sentences] == [quote]
    else:
        assert check.outcome == "quoted"


def test_a_sentence_that_the_model_itself_denies_is_replaced_by_the_quote(ask_with) -> None:
    draft = (
        "Many outside experts think Kim is building the arsenal to gain leverage over Washington."
    )
    answers = {}
    for said in ("Yes", "No"):
        llm = ScriptedLLM(f"{draft} [1]", phrase=said)
        answers[said] = ask_with(llm, accepted_error=1.0).ask(WHY)
        judged = [asked for asked in llm.asked if asked[-1][1].endswith("Answer Yes or No.")]
        assert all(draft in asked[-1][1] for asked in judged)
        assert len(judged) == {"Yes": 1, "No": 2}[said]  # once more for what is written anew
    (kept,) = answers["Yes"].trace.checks
    assert (kept.outcome, answers["Yes"].sentences[0].text) == ("kept", draft)
    (denied,) = answers["No"].trace.checks
    assert denied.outcome == "quoted"
    assert denied.reason == "the language model does not find it in the cited text"
    quote = answers["No"].sentences[0]
    assert quote.text == " ".join(quote.citations[0].quote.split()) != draft


def test_an_unsupported_draft_is_replaced_by_the_quote(ask_with) -> None:
    archive = ask_with(ScriptedLLM("He bought 99 zeppelins in Peru. [1]"), accepted_error=1.0)
    answer = archive.ask("How much is the stolen Halloran chronometer insured for?")
    (check,) = answer.trace.checks
    assert check.outcome == "quoted"
    (sentence,) = answer.sentences
    assert sentence.text == " ".join(sentence.citations[0].quote.split())
    assert_citations_hold(archive, answer)


def test_what_the_model_declines_is_less_probable(ask_with) -> None:
    quoted = ask_with(ScriptedLLM()).ask(WHY, wording=False)
    declined = ask_with(ScriptedLLM("NO ANSWER")).ask(WHY)
    assert declined.trace.signals["declined"] == 1.0
    assert declined.probability < quoted.probability
    assert declined.passages


def test_a_refusal_says_what_was_looked_for(ask_with) -> None:
    answer = ask_with(ScriptedLLM("NO ANSWER")).ask(
        "Did Zubrowka win the curling cup?", as_of=date(2023, 6, 1)
    )
    assert (answer.status, answer.citations, answer.short) == ("abstained", (), None)
    assert answer.probability is not None
    assert answer.looked.query == "Did Zubrowka win the curling cup?"
    assert "Zubrowka" in answer.looked.missing
    assert 0 < answer.looked.articles < 38
    assert answer.looked.first < answer.looked.last <= date(2023, 6, 2)


def test_a_part_without_an_answer_is_named(ask_with) -> None:
    question = "Who made the stolen chronometer, and which admiral of Zubrowka owned it in 1745?"
    answer = ask_with(ScriptedLLM()).ask(question, wording=False)
    assert answer.status == "answered"
    assert "Halloran" in answer.text
    assert answer.missing == "which admiral of Zubrowka owned it in 1745?"


def test_the_short_answer_stands_in_the_archive(ask_with) -> None:
    archive = ask_with(ScriptedLLM())
    answer = archive.ask("Who made the stolen Halloran chronometer?", wording=False)
    stored = archive.article(answer.short.citation.article.id)
    assert stored.text[answer.short.citation.start : answer.short.citation.end] == (
        answer.short.citation.quote
    )
    assert archive.ask(WHY, wording=False).short is None


def test_the_phrase_of_the_model_is_shown_where_the_evidence_has_it(ask_with) -> None:
    question = "Who made the stolen Halloran chronometer?"
    plain = ask_with(ScriptedLLM()).ask(question, wording=False)
    other = next(w for w in plain.text.split() if w.istitle() and w.lower() not in question.lower())
    said = ask_with(ScriptedLLM("NO ANSWER", phrase=f'"{other}".'), accepted_error=1.0)
    answer = said.ask(question)
    assert answer.short.text == other.strip(".,'’")
    assert answer.short.citation.quote == answer.short.text
    assert answer.short.text in answer.sentences[0].text
    assert_citations_hold(said, answer)
    wrong = "The chronometer was made of 99 zeppelins. [1]"
    quoted = ask_with(ScriptedLLM(wrong, phrase=other), accepted_error=1.0).ask(question)
    assert [check.outcome for check in quoted.trace.checks] == ["quoted"]
    assert quoted.short.text in quoted.sentences[0].text
    invented = ask_with(ScriptedLLM("NO ANSWER", phrase="Zubrowka"), accepted_error=1.0)
    assert invented.ask(question).short == plain.short


def test_the_support_check_is_open_to_users(corpus_archive: Archive) -> None:
    evidence = "The council voted six to one to repair the Harbor Bridge for 14 million crowns."
    right = corpus_archive.supports("The council voted to repair the Harbor Bridge.", evidence)
    dearer = "The council voted to repair the bridge for 40 million."
    assert corpus_archive.supports(dearer, evidence) == 0.0
    assert 0.5 < right <= 1.0


def test_a_question_may_be_put_to_several_outlets(corpus_archive: Archive) -> None:
    first, second, *others = corpus_archive.sources()
    assert others
    both = (first, second)
    found = corpus_archive.search("What was decided?", k=40, source=both)
    assert {passage.article.source for passage in found} == set(both)
    answer = corpus_archive.ask("What was decided?", source=both, wording=False)
    held = corpus_archive.status().sources
    assert answer.looked.articles == held[first] + held[second]
    assert {passage.article.source for passage in answer.passages} <= set(both)


def test_the_question_as_understood_may_be_given(corpus_archive: Archive) -> None:
    history = [("Who made the stolen Halloran chronometer?", "A clockmaker.")]
    asked = "And what is it insured for?"
    understood = corpus_archive.ask(asked, history, wording=False)
    assert understood.trace.query == f"{history[0][0]} {asked}"
    given = corpus_archive.ask(asked, history, wording=False, query=f" {WHY} ")
    assert (given.question, given.trace.query) == (asked, WHY)
    assert given.sentences == corpus_archive.ask(WHY, wording=False).sentences
    assert corpus_archive.ask(asked, history, wording=False, query=" ").trace.query == (
        understood.trace.query
    )


def test_a_question_of_broken_text_is_answered_as_text(ask_with) -> None:
    broken = "\ud800 why is Kim \x00 boosting production?"
    archive = ask_with(ScriptedLLM("NO ANSWER"))
    answer = archive.ask(broken, [(broken, broken)], source=archive.sources(), query=broken)
    assert answer.question == broken.replace("\ud800", "\ufffd").replace("\x00", "\ufffd")
    assert json.dumps(answer.to_dict(), ensure_ascii=False).encode()
    assert archive.search(broken)


def test_a_failing_model_costs_the_wording_only(ask_with) -> None:
    archive = ask_with(ScriptedLLM(error="the language model at X cannot be reached"))
    answer = archive.ask(WHY)
    assert answer.sentences == archive.ask(WHY, wording=False).sentences != ()
    assert answer.trace.notes == (
        "The language model at X cannot be reached. The evidence is quoted instead.",
    )


def test_what_the_archive_does_not_hold_is_not_answered(ask_with) -> None:
    llm = ScriptedLLM("Argentina won. [1]")
    answer = ask_with(llm).ask("Who won the 2022 World Cup?")
    assert (answer.status, answer.sentences, answer.citations) == ("abstained", (), ())
    assert answer.passages
    assert llm.asked == []


def test_closing_the_stream_stops_the_model(ask_with) -> None:
    quote = ask_with(ScriptedLLM()).ask(WHY, wording=False).sentences[0].text
    states = []

    class Endless(ScriptedLLM):
        def stream(self, messages, max_tokens):
            states.append("open")
            try:
                while True:
                    yield f"{quote} [1] "
            finally:
                states.append("closed")

    events = ask_with(Endless()).stream(WHY)
    assert isinstance(next(events), Evidence)
    assert isinstance(next(events), Sentence)
    events.close()
    assert states == ["open", "closed"]


def test_aask_is_ask(corpus_archive: Archive) -> None:
    answer = asyncio.run(corpus_archive.aask(WHY, wording=False))
    assert answer.sentences == corpus_archive.ask(WHY, wording=False).sentences


def test_an_endpoint_that_is_down_gives_quotes_and_one_line(corpus_archive: Archive) -> None:
    llm = EndpointLLM("http://127.0.0.1:9/v1", "m", "", 5)
    archive = Archive(corpus_archive._store, corpus_archive.settings, corpus_archive._embedder, llm)
    answer = archive.ask(WHY)
    assert answer.status == "answered"
    assert answer.trace.notes == (
        "The language model at http://127.0.0.1:9/v1 cannot be reached. "
        "The evidence is quoted instead.",
    )


def test_the_scraped_seed_is_ingested_as_it_is(
    tmp_path: Path, embedder: SentenceTransformerEmbedder
) -> None:
    """A page of the seed's shape, in our own words."""
    page = tmp_path / "page.txt"
    page.write_text(
        "Dam repairs to start in May after cracks are found\n\n53\n\n"
        "Engineers will start to repair the Corley dam in May because cracks were found in it.\n\n"
        "The work costs $3 million.\n\n"
        "Original Story at www.valley-post.example – 2023-08-14 03:02:30\n\n"
        "Comments are closed.\n\n×"
    )
    with make_archive(tmp_path / "archive", embedder) as archive:
        assert archive.ingest(page).added == 1
        (stored,) = archive.articles()
        assert stored.title == "Dam repairs to start in May after cracks are found"
        assert (stored.source, stored.published) == ("www.valley-post.example", date(2023, 8, 14))
        answer = archive.ask("Why will the dam be repaired?", wording=False)
        assert answer.status == "answered"
        for stray in ("53", "Comments are closed", "×", "Original Story"):
            assert stray not in stored.text


def test_open_refuses_a_folder_without_an_archive(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"there is no archive in .*newsrag ingest"):
        Archive.open(tmp_path / "nothing", Settings(), create=False)
    assert not (tmp_path / "nothing").exists()


def test_a_missing_path_is_said_before_anything_is_stored(
    tmp_path: Path, embedder: SentenceTransformerEmbedder
) -> None:
    with make_archive(tmp_path / "archive", embedder) as archive:
        with pytest.raises(SourceError, match=r"nothing\.txt: does not exist"):
            archive.ingest(article(1, "Text."), tmp_path / "nothing.txt")
        assert archive.status().articles == 0


def test_the_status_counts(corpus_archive: Archive) -> None:
    status = corpus_archive.status()
    assert status.articles == len(corpus_archive.articles()) == sum(status.sources.values())
    assert status.passages >= status.articles
    assert (status.pending, status.undated) == (0, 0)
    assert status.first is not None
    assert status.last is not None
    assert status.first < status.last


def test_example_questions_are_answered(corpus_archive: Archive) -> None:
    questions = corpus_archive.example_questions(4)
    assert len(questions) == 4 == len(set(questions))
    for question in questions:
        assert corpus_archive.ask(question, wording=False).status == "answered"


def test_llama_index_users_get_nodes_with_spans(corpus_archive: Archive) -> None:
    nodes = corpus_archive.as_retriever(k=3).retrieve(WHY)
    assert len(nodes) == 3
    for scored in nodes:
        node = scored.node
        stored = corpus_archive.article(node.metadata["article_id"])
        assert stored.text[node.start_char_idx : node.end_char_idx] == node.text
    response = corpus_archive.as_query_engine(wording=False).query(WHY)
    assert response.metadata["status"] == "answered"
    assert str(response) == corpus_archive.ask(WHY, wording=False).text
    assert response.source_nodes


def test_the_readme_snippet_prints_spans(corpus_archive: Archive) -> None:
    answer = corpus_archive.ask(WHY, wording=False)
    assert str(answer)
    for citation in answer.citations:
        assert citation.article.text[citation.start : citation.end] == citation.quote
    assert (ROOT / "README.md").exists()
