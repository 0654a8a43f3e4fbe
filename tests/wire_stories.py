"""Made news stories, and what outlets make of them: copies of many kinds, and what is none.

Everything follows from a seed. A story is facts (names, figures, days) in sentences of a grammar;
`family` is equal for the versions that are copies of each other.
"""
# ruff: noqa: SIM905

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

NAMES = (
    "Aldana Barrow Castell Dorran Eversley Farquhar Galloway Hartigan Ibsen Jarrett Kessler Lomax"
    " Marchetti Novak Okafor Pellew Quintero Rasmussen Sandoval Thackeray Ueda Vasquez Whitlock"
    " Yarrow Zeller Abara Bellweather Corrigan Delacroix Endicott"
).split()
FIRST = (
    "Ana Boris Clara Dinesh Elena Farid Greta Hugo Ines Jonas Kirsten Leo Mara Nils Olga".split()
)
PLACES = (
    "Port Ellery,Marrow Bay,Stonegate,East Harrow,Vellmar,Tarn Hollow,Brightwater,Kestrel Point,"
    "Old Sarum,Ashby Ferry,Dunmere,Lakeside,Corvane,Wexcombe,Northmoor,Saltmarsh,Pinefield"
).split(",")
NOUNS = (
    "bridge ferry hospital school pipeline tunnel refinery harbour library stadium reservoir tram"
    " airport market museum prison quarry railway shelter warehouse mill dam clinic depot theatre"
    " orchard wharf lighthouse causeway terminal courthouse archive laboratory greenhouse"
).split()
GROUPS = (
    "council,union,water board,port authority,fire brigade,health ministry,transport agency,"
    "teachers' association,residents' committee,planning office,auditors,energy regulator,"
    "coast guard,building inspectors,finance committee,prosecutors,farmers' league,ombudsman"
).split(",")
VERBS = (
    "inspect reopen repair close fund demolish expand lease sell flood insure survey defend"
    " modernise evacuate subsidise rebuild privatise audit rename relocate guard heat abandon"
).split()
ADJECTIVES = (
    "ageing disputed flooded crowded costly unfinished historic damaged neglected popular empty"
    " regional private temporary leaking renovated remote municipal narrow overdue"
).split()
REASONS = (
    "safety rules,a budget gap,falling demand,a court ruling,storm damage,rising rents,"
    "a labour dispute,missing permits,a cracked foundation,poor air,a long drought,new tariffs,"
    "a shortage of staff,an unpaid loan,noise complaints,a cyber attack,soil pollution"
).split(",")
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
OUTLETS = [f"The {place} {paper}" for place in PLACES for paper in ("Courier", "Gazette", "Post")]

LEADS = (
    "At least {n1} people were hurt when part of the {adj} {noun} in {place} gave way on {day},"
    " the {group} said.",
    "The {group} said on {day} that no fewer than {n1} people had been injured as a section of"
    " {place}'s {adj} {noun} collapsed.",
    "A collapse at the {adj} {noun} of {place} injured {n1} or more on {day}, according to the"
    " {group}.",
    "Rescuers in {place} treated {n1} injured people on {day} after a piece of the {adj} {noun}"
    " broke off, as the {group} reported.",
)
SECOND = (
    "{first} {name}, who speaks for the {group}, put the damage at ${n2} million and blamed"
    " {reason}.",
    "The cause was {reason}, and repairs may cost ${n2} million, said spokesperson {first} {name}.",
    "Spokesperson {first} {name} named {reason} as the cause; the bill could come to"
    " ${n2} million.",
)
SENTENCES = (
    "{name2} told reporters that the {group2} would {verb} the {noun2} before the end of the year.",
    "Plans to {verb} the {adj2} {noun2} had been delayed by {reason2}.",
    "About {n} households near {place2} depend on the {noun2}, a survey by the {group2} found.",
    '"Nobody asked us whether to {verb} it," said {first2} {name2}, who runs a shop in {place2}.',
    "The {group2} has spent ${n} million on the {adj2} {noun2} since {year}.",
    "In {year}, the {group2} decided not to {verb} the {noun2}, citing {reason2}.",
    "A report of {n} pages by the {group2} described the {noun2} as {adj2} and hard to {verb}.",
    "Opponents in {place2} collected {n} signatures against the plan to {verb} the {adj2} {noun2}.",
    "{first2} {name2}, an engineer at the {group2}, warned of {reason2} as early as {year}.",
    "The {noun2} stays shut until {day2}, while crews {verb} what is left of its {adj2} roof.",
    "Insurers expect {n} claims, most of them from {place2}, according to the {group2}.",
    "The {group2} and the {group3} disagree about who should {verb} the {noun2}.",
    "Traffic was led past the {adj2} {noun2} through {place2}, adding {n} minutes to journeys.",
    "A hearing on {reason2} is set for {day2} in {place2}.",
    "Since {reason2}, only {n} of the workers at the {noun2} have kept their posts, {name2} said.",
    "The {adj2} {noun2} was built in {year} and never meant to {verb} anything, {name2} added.",
    "Neighbours of the {noun2} heard a noise, then saw {n} lorries leave for {place2}.",
    "{name2} wants the {group2} to {verb} two more sites because of {reason2}.",
)
TITLES = (
    "{n1} hurt at {place} {noun}",
    "{place}: {noun} gives way, {group} blames {reason}",
    "Part of {noun} collapses in {place}",
    "{group} counts {n1} injured after {noun} accident",
)
OWN = (
    "Readers of this paper who were nearby can send pictures to the newsdesk of {place3}.",
    "Here in {place3}, the {group3} said that local services were not affected by the events.",
    "Our newsroom reported in {year} on a similar case at the {noun3} around the corner.",
)
FOOTERS = (
    "Sign up for our morning newsletter and never miss a story. All rights reserved.",
    "Read more: the week in pictures. Follow us for updates around the clock.",
    "This article was supplied by an agency and has been edited for length.",
)


@dataclass(frozen=True)
class Story:
    """A text with what it was made of."""

    title: str
    lead: str
    paragraphs: tuple[str, ...]
    facts: dict[str, str] = field(hash=False)
    outlet: str = ""

    @property
    def text(self) -> str:
        """The text as it is stored."""
        return "\n\n".join((self.lead, *self.paragraphs))


@dataclass(frozen=True)
class Made:
    """One article of the set: the family that it is a copy in, and how it was made."""

    story: Story
    family: int
    kind: str


def slots(chance: random.Random) -> dict[str, str]:
    """Values for all slots of a sentence."""
    values = {
        "first": FIRST, "name": NAMES, "place": PLACES, "noun": NOUNS, "group": GROUPS,
        "verb": VERBS, "adj": ADJECTIVES, "reason": REASONS, "day": DAYS,
    }  # fmt: skip
    made = {f"{key}{n}": chance.choice(pool) for key, pool in values.items() for n in ("", 2, 3)}
    made |= {f"n{n}": str(chance.randrange(3, 980)) for n in ("", 1, 2)}
    return made | {"year": str(chance.randrange(1960, 2023))}


def sentences(chance: random.Random, order: random.Random, count: int) -> str:
    """A paragraph: `order` picks the patterns, `chance` the words in them."""
    patterns = order.sample(SENTENCES, count)
    return " ".join(pattern.format(**slots(chance)) for pattern in patterns)


def story(chance: random.Random, order: random.Random | None = None) -> Story:
    """A story of its own; the same `order` gives the same patterns."""
    order = order or chance
    facts = slots(chance)
    lengths = [order.choice((1, 2, 2, 3)) for _ in range(order.randrange(8, 18))]
    lead = f"{LEADS[0].format(**facts)} {SECOND[0].format(**facts)}"
    body = tuple(sentences(chance, order, length) for length in lengths)
    return Story(TITLES[0].format(**facts), lead, body, facts, chance.choice(OUTLETS))


# -- copies ---------------------------------------------------------------------------------------


def with_headline(one: Story, chance: random.Random) -> Story:
    title = chance.choice(TITLES[1:]).format(**one.facts)
    return replace(one, title=title, outlet=chance.choice(OUTLETS))


def with_lead(one: Story, chance: random.Random) -> Story:
    lead = f"{chance.choice(LEADS[1:])} {chance.choice(SECOND[1:])}".format(**one.facts)
    return replace(one, lead=lead)


def cut(one: Story, chance: random.Random) -> Story:
    kept = max(2, round(len(one.paragraphs) * chance.uniform(0.4, 0.8)))
    return replace(one, paragraphs=one.paragraphs[:kept])


def moved(one: Story, chance: random.Random) -> Story:
    return replace(one, paragraphs=tuple(chance.sample(one.paragraphs, len(one.paragraphs))))


def restyled(one: Story, chance: random.Random) -> Story:
    """As a house style has it: other spellings, quotation marks, dashes and verbs of saying."""
    swaps = [
        ("ise ", "ize "), ("labour", "labor"), ("harbour", "harbor"), (" told reporters", " said"),
        ("theatre", "theater"), ('"', "“"), ("About ", "Some "), (" added.", " said."),
        ("according to", "said"), (" as early as ", " back in "), ("On ", "on "),
    ]  # fmt: skip
    chosen = [swap for swap in swaps if chance.random() < 0.8]
    text = one.text
    for old, new in chosen:
        text = text.replace(old, new)
    lead, *body = text.split("\n\n")
    return replace(one, lead=lead, paragraphs=tuple(body))


def extended(one: Story, chance: random.Random) -> Story:
    own = " ".join(chance.sample(OWN, 2)).format(**slots(chance))
    place = chance.randrange(len(one.paragraphs) + 1)
    body = (*one.paragraphs[:place], own, *one.paragraphs[place:])
    return replace(one, paragraphs=body)


def framed(one: Story, chance: random.Random) -> Story:
    byline = f"By {chance.choice(FIRST)} {chance.choice(NAMES)}, {chance.choice(OUTLETS)}"
    dateline = f"{one.facts['place'].upper()} (Agency) - {one.lead}"
    return replace(one, lead=f"{byline}\n\n{dateline}", paragraphs=(*one.paragraphs, *FOOTERS[:2]))


def all_at_once(one: Story, chance: random.Random) -> Story:
    for edit in (with_headline, with_lead, cut, framed):
        one = edit(one, chance)
    return one


Edit = Callable[[Story, random.Random], Story]
COPIES: dict[str, Edit] = {
    "changed headline": with_headline,
    "edited lead": lambda one, chance: with_headline(with_lead(one, chance), chance),
    "cut tail": lambda one, chance: with_headline(cut(one, chance), chance),
    "reordered paragraphs": lambda one, chance: with_headline(moved(one, chance), chance),
    "house style": lambda one, chance: with_headline(restyled(one, chance), chance),
    "own paragraphs": lambda one, chance: with_headline(extended(one, chance), chance),
    "byline, dateline, footer": lambda one, chance: with_headline(framed(one, chance), chance),
    "lead, tail, headline, frame": all_at_once,
}


# -- no copies ------------------------------------------------------------------------------------


def _other(pool: tuple[str, ...] | list[str], value: str, chance: random.Random) -> str:
    return chance.choice([one for one in pool if one != value])


def _lead_again(one: Story, **changed: str) -> Story:
    facts = one.facts | changed
    lead = f"{LEADS[0]} {SECOND[0]}".format(**facts)
    return replace(one, lead=lead, facts=facts, title=TITLES[0].format(**facts))


def corrected_figure(one: Story, chance: random.Random) -> Story:
    key = chance.choice(("n1", "n2"))
    return _lead_again(one, **{key: str(int(one.facts[key]) + chance.randrange(1, 9))})


def corrected_name(one: Story, chance: random.Random) -> Story:
    return _lead_again(one, name=_other(NAMES, one.facts["name"], chance))


def corrected_day(one: Story, chance: random.Random) -> Story:
    return _lead_again(one, day=_other(DAYS, one.facts["day"], chance))


def corrected_deep(one: Story, chance: random.Random) -> Story:
    """A figure somewhere in the body."""
    places = [n for n, text in enumerate(one.paragraphs) if re.search(r"\d+", text)]
    if not places:
        return corrected_figure(one, chance)
    body = list(one.paragraphs)
    place = chance.choice(places)
    body[place] = re.sub(r"\d+", lambda match: str(int(match[0]) + 2), body[place], count=1)
    return replace(one, paragraphs=tuple(body))


def denied(one: Story, chance: random.Random) -> Story:
    body = list(one.paragraphs)
    for place, text in enumerate(body):
        if " would " in text or " had been " in text:
            body[place] = text.replace(" would ", " would not ", 1).replace(
                " had been ", " had not been ", 1
            )
            return replace(one, paragraphs=tuple(body))
    return corrected_figure(one, chance)


def labelled(one: Story, chance: random.Random) -> Story:
    """It says that it corrects, and words what it corrects anew."""
    reason = _other(REASONS, one.facts["reason"], chance)
    note = f"Correction: an earlier version named {one.facts['reason']} as the cause."
    again = _lead_again(one, reason=reason)
    return replace(again, paragraphs=(*again.paragraphs, note))


def risen(one: Story, chance: random.Random) -> Story:
    """The same story a day later: another lead with a new count, hardly anything else."""
    facts = one.facts | {"n1": str(int(one.facts["n1"]) + chance.randrange(1, 40))}
    lead = f"{chance.choice(LEADS[1:])} {chance.choice(SECOND[1:])}".format(**facts)
    return replace(one, lead=lead, facts=facts, title=TITLES[1].format(**facts))


def followed_up(one: Story, chance: random.Random) -> Story:
    """Another day's news with some paragraphs of background from the story before."""
    new = story(chance)
    share = chance.uniform(0.15, 0.4)
    background = one.paragraphs[: max(1, round(len(one.paragraphs) * share))]
    return replace(new, paragraphs=(*new.paragraphs, *background), title=f"{new.title}: inquiry")


NO_COPIES: dict[str, Edit] = {
    "correction: figure in the lead": corrected_figure,
    "correction: name": corrected_name,
    "correction: day": corrected_day,
    "correction: figure in the body": corrected_deep,
    "correction: negation": denied,
    "correction: labelled": labelled,
    "update: rewritten lead, new count": risen,
    "follow-up with background": followed_up,
}


def made_set(size: int, seed: int) -> list[Made]:
    """So many articles in the order of their arrival.

    Copies arrive within a day of their original. What corrects or follows a story comes later than
    the story itself, but among its copies; hundreds of stories are under way at once.
    """
    chance = random.Random(seed)
    made: list[tuple[float, Made]] = []
    family = 0

    def add(one: Story, kind: str, at: float, *, is_copy: bool = False) -> None:
        nonlocal family
        family += not is_copy
        made.append((at, Made(one, family, kind)))

    while len(made) < size:
        day = chance.uniform(0, 5)
        pattern = chance.random()
        first = story(chance, random.Random(pattern))
        add(first, "original", day)
        for kind in chance.sample(sorted(COPIES), chance.choice((0, 1, 1, 2, 3, 5))):
            add(COPIES[kind](first, chance), kind, day + chance.random(), is_copy=True)
        for kind in chance.sample(sorted(NO_COPIES), chance.choice((0, 1, 1, 2))):
            changed, later = NO_COPIES[kind](first, chance), day + chance.random()
            add(changed, kind, later)
            if chance.random() < 0.3:  # which is copied itself
                copy = with_headline(changed, chance)
                add(copy, "changed headline", later + chance.random(), is_copy=True)
        if chance.random() < 0.3:
            twin = story(chance, random.Random(pattern))
            add(twin, "another story in the same sentences", chance.uniform(0, 5))
    return [one for _, one in sorted(made[:size], key=lambda pair: pair[0])]
