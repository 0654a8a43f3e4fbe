from __future__ import annotations

import random
from datetime import date
from pathlib import Path

import pytest
from conftest import article, make_archive
from near_copies import WANTED, measure
from wire_stories import COPIES, NO_COPIES, story

from rag import Archive, Article, ArticleNotFoundError, groups, maintenance
from rag.copies import BANDS, Wording, bands, is_copy
from rag.serial import answer_from_dict
from rag.store import Store

_LINES = """
At least 14 people were hurt when part of the old ferry terminal in Port Ellery gave way on Monday,
the harbour board said. Olga Sandoval, who speaks for the board, put the damage at $3 million and
blamed missing permits.

Crews will work on the damaged roof until Friday, while travellers are led through the customs hall.
A survey of 212 pages had described the terminal as crowded and hard to repair.

Neighbours heard a loud noise before noon and then saw nine lorries leave for the quarry. The union
of dock workers wants the council to close two more buildings because of their age.

The council would decide about the money next month, Sandoval told reporters. Insurers expect 90
claims, most of them from shopkeepers who lost their stock in the collapse.
"""
PARAGRAPHS = [" ".join(lines.split()) for lines in _LINES.split("\n\n")]
WIRE = "\n\n".join(PARAGRAPHS)
TAIL = PARAGRAPHS[-1]


def wire(number: int, text: str = WIRE, **fields: object) -> Article:
    values = {"source": f"Paper {number}", "title": f"Headline {number}"}
    return article(number, text, **(values | fields))


def test_a_made_set_is_told_apart() -> None:
    result, _ = measure(400, 11)
    assert len(result.right) > 300
    assert result.precision > WANTED
    assert result.recall > WANTED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Monday", "Sunday"),
        ("14 people", "17 people"),
        ("14 people", "fourteen people"),
        ("Olga Sandoval, who", "Olga Marchetti, who"),
        ("$3 million", "$3m"),
        ("would decide", "would not decide"),
        ("a loud noise", "an awful noise"),
        ("At least 14 people were hurt when part", "No fewer than 14 were injured as a section"),
        (TAIL, ""),
        (TAIL, "Correction: an earlier version gave another name."),
    ],
)
def test_a_changed_fact_makes_a_story_of_its_own(old: str, new: str) -> None:
    assert old in WIRE
    changed = {"Sunday", "17 people", "Olga Marchetti, who", "would not decide"}
    is_changed = new in changed or new.startswith("Correction")
    for a, b in ((WIRE, WIRE.replace(old, new, 1)), (WIRE.replace(old, new, 1), WIRE)):
        assert is_copy(Wording(a), Wording(b)) is not is_changed


def test_two_wordings_of_one_lead_are_compared() -> None:
    def lead(count: int) -> str:
        new = f"A roof fell in Port Ellery on Monday and hurt {count} people in the ferry terminal."
        return "\n\n".join([new, *PARAGRAPHS[1:]])

    assert is_copy(Wording(WIRE), Wording(lead(14)))
    assert not is_copy(Wording(WIRE), Wording(lead(19)))


def test_bands_are_few_and_the_same_every_time() -> None:
    found = bands(Wording(WIRE))
    assert len(set(found)) == BANDS
    assert all(0 <= number < 2**63 for number in found)
    assert found == bands(Wording(WIRE.upper()))
    assert bands(Wording("Too short to be told from boilerplate.")) == []
    assert bands(Wording("")) == []
    # An archive keeps these: another library or seed would need a new `VERSION`.
    assert sum(found) % 1_000_003 == PINNED


PINNED = 143584880590539170985 % 1_000_003


@pytest.mark.parametrize(
    "text", ["", "a", "a b", "東京で列車が止まった。" * 9, "é " * 50, "\ufffd"]
)
def test_any_text_is_compared(text: str) -> None:
    assert is_copy(Wording(text), Wording(text)) is (len(text) > 3)
    assert not is_copy(Wording(text), Wording(WIRE))


@pytest.fixture
def archive(tmp_path: Path, embedder):
    with make_archive(tmp_path / "archive", embedder) as made:
        yield made


@pytest.fixture
def either(tmp_path: Path, embedder, database: str):
    """An archive in SQLite, and one in PostgreSQL."""
    with make_archive(tmp_path / "archive", embedder, database=database) as made:
        yield made


def others(count: int) -> list[Article]:
    """Other stories about accidents."""
    made = [story(random.Random(n)) for n in range(count)]
    return [article(500 + n, one.text, title=one.title) for n, one in enumerate(made)]


QUESTION = "How many people were hurt at the ferry terminal in Port Ellery?"


def test_many_copies_are_one_voice(archive: Archive) -> None:
    late = wire(299, published=date(2024, 3, 1))
    archive.ingest(*(wire(n) for n in range(130)), late, *others(6))
    status = archive.status()
    assert (status.copied, status.copies) == (1, 131)

    found = archive.search(QUESTION, k=7)
    assert len({p.article.id for p in found}) > 3
    (told,) = [p for p in found if p.article.text == WIRE]
    assert len(told.copies) == 130
    assert told.article.id not in {one.id for one in told.copies}

    (one,) = archive.search(QUESTION, k=5, source="Paper 77")
    assert (one.article.id, one.copies) == ("a77", ())
    two = archive.search(QUESTION, k=1, source=["Paper 77", "Paper 5"])
    assert {two[0].article.id, *(a.id for a in two[0].copies)} == {"a77", "a5"}
    early = archive.search(QUESTION, k=7, as_of=date(2024, 1, 10))
    assert [len(p.copies) for p in early if p.article.text == WIRE] == [129]
    since = archive.search(QUESTION, k=1, since=date(2024, 2, 1))
    assert (since[0].article.id, since[0].copies) == ("a299", ())


def test_a_copy_says_what_only_it_has(archive: Archive) -> None:
    own = "The mayor of Dunmere offered the travellers free beds in the town's sports hall."
    archive.ingest(wire(1), wire(2, f"{WIRE}\n\n{own}"), *others(2))
    assert archive.status().copies == 2
    found = archive.search("Who offered free beds to the travellers?", k=3)
    assert own in found[0].text


def test_a_cut_copy_is_none_of_what_it_lacks(archive: Archive) -> None:
    archive.ingest(wire(1), wire(2, WIRE[: WIRE.index("Neighbours")].strip()))
    assert archive.status().copies == 2
    for passage in archive.search("What did insurers expect?", k=5):
        if "Insurers" in passage.text:
            assert passage.article.id == "a1"


def test_deleting_and_revising_keep_a_group_right(either: Archive) -> None:
    either.ingest(*(wire(n) for n in range(4)))
    either.delete("a0")
    assert (either.status().copied, either.status().copies) == (1, 3)
    either.ingest(wire(1, WIRE.replace("14 people", "17 people")))
    assert (either.status().copied, either.status().copies) == (1, 2)
    found = either.search(QUESTION, k=5)
    texts = [p.text for p in found]
    assert any("14 people" in text for text in texts)
    assert any("17 people" in text for text in texts)
    assert all("a1" not in {a.id for a in p.copies} for p in found if "14 people" in p.text)
    either.ingest(wire(1))
    assert either.status().copies == 3
    either.delete("a2")
    either.delete("a3")
    assert (either.status().copied, either.status().copies) == (0, 0)
    assert groups.faults(either._store.ledger) == []
    with pytest.raises(ArticleNotFoundError):
        either.delete("a2")


def test_a_question_of_an_earlier_day_has_the_copies_of_that_day(either: Archive) -> None:
    either.ingest(*(wire(n) for n in range(3)))
    later = WIRE.replace("14 people", "17 people")
    either.ingest(wire(1, later, modified=date(2024, 3, 1)))
    told = {}
    for day in (date(2024, 2, 1), date(2024, 4, 1)):
        found = either.search(QUESTION, k=7, as_of=day)
        (one,) = [p for p in found if "14 people" in p.text]
        told[day.month] = {(a.id, a.revision) for a in (one.article, *one.copies)}
    assert told[2] == {("a0", 1), ("a1", 1), ("a2", 1)}
    assert told[4] == {("a0", 1), ("a2", 1)}


def test_old_citations_open_the_revision_that_they_quote(archive: Archive) -> None:
    archive.ingest(wire(1), wire(2))
    saved = archive.ask(QUESTION, wording=False).to_dict()
    archive.ingest(wire(1, TAIL), wire(2, PARAGRAPHS[1]))
    again = answer_from_dict(saved, archive.article)
    assert again.citations
    assert {(c.article.revision, c.article.text) for c in again.citations} == {(1, WIRE)}
    assert [p.copies[0].revision for p in again.passages if p.copies] == [1]


def test_what_a_crash_left_out_is_grouped_by_the_next_start(
    either: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    either.ingest(wire(1))
    with monkeypatch.context() as patch:
        patch.setattr(
            groups, "group", lambda ledger, keys: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            either.ingest(wire(2))
    ledger = either._store.ledger
    assert groups.faults(ledger) == ["article a2: is not compared with its copies"]
    either.ingest()
    assert groups.faults(ledger) == []
    assert either.status().copies == 2


@pytest.mark.parametrize("by_repair", [True, False])
def test_an_earlier_archive_is_grouped(either: Archive, embedder, *, by_repair: bool) -> None:
    either.ingest(*(wire(n) for n in range(3)))
    store: Store = either._store
    with store.ledger.transaction() as db:
        for table in ("copies", "copy_bands"):
            db.execute(f"DELETE FROM {table}")
        db.execute("DELETE FROM meta WHERE key = 'copies'")
    assert either.status().copies == 0
    assert len(either.search(QUESTION, k=1)[0].copies) == 2  # by the passages alone
    assert maintenance.check(store.folder) == []
    if by_repair:
        mended, left = maintenance.repair(store.folder, embedder_for=lambda name: embedder)
        assert (mended.ledger, left) == (3, [])
    else:
        either.ingest()
    assert either.status().copies == 3


def test_repair_mends_groups(either: Archive, embedder) -> None:
    either.ingest(wire(1), wire(2))
    folder = either._store.folder
    with either._store.ledger.transaction() as db:
        db.execute("INSERT INTO copies VALUES (77, 77, 1)")
        db.execute("DELETE FROM copies WHERE key = 2")
    assert maintenance.check(folder) == [
        "revision 77: is grouped, but gone",
        "article a2: is not compared with its copies",
    ]
    assert maintenance.repair(folder, embedder_for=lambda name: embedder)[1] == []
    assert either.status().copies == 2


@pytest.mark.parametrize("kind", sorted(COPIES.keys() | NO_COPIES.keys()))
def test_every_kind_of_the_made_set_differs_from_its_story(kind: str) -> None:
    first = story(random.Random(3))
    edit = (COPIES | NO_COPIES)[kind]
    made = edit(first, random.Random(4))
    assert (made.title, made.text) != (first.title, first.text)
