"""How a thing is said: negated, turned into its opposite, told by somebody, or merely possible."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from rag.tokens import Token, content, word_set, words_of

_NEGATORS = word_set(
    "not never no none neither nor nobody nothing without cannot unable barely hardly"
)
_NEGATING = re.compile(
    r"(?:den(?:y|ies|ied|ying)|refus\w+|fail(?:s|ed|ing)?|declin(?:ed?|es|ing) to)"
)
_NO_NEGATION_BEFORE = word_set("only just merely least doubt more fewer less later sooner")
_SCOPE = 4
"""Content words after a negation that it is taken to reach."""

_OPPOSITES = [
    (word_set(a), word_set(b))
    for a, b in (
        ("rise rises rose risen rising increase increases increased increasing grew grow grown"
         " climbed climb jumped surged soared gained gain gains up",
         "fall falls fell fallen falling decrease decreases decreased decreasing declined decline"
         " drop dropped shrank sank plunged tumbled lost lose loses loss down"),
        ("win wins won winning beat victory", "lose loses lost losing defeat"),
        ("approve approves approved approval accept accepts accepted backed passed",
         "reject rejects rejected rejection refuse refuses refused vetoed"),
        ("support supports supported supporting backed backs", "oppose opposes opposed opposing"),
        ("begin begins began begun start starts started", "end ends ended finish finished stopped"),
        ("open opens opened opening", "close closes closed closing shut"),
        ("guilty convicted", "acquitted innocent cleared"),
        ("buy buys bought", "sell sells sold"),
        ("allow allows allowed permit permits permitted legal", "ban bans banned prohibit prohibits"
         " prohibited forbidden illegal blocked"),
        ("before", "after"),
        ("more", "less fewer"),
        ("first", "last"),
        ("higher highest", "lower lowest"),
        ("most", "least fewest"),
        ("largest biggest larger bigger", "smallest smaller"),
        ("best better", "worst worse"),
        ("early earlier earliest", "late later latest"),
        ("arrive arrives arrived entered", "leave leaves left departed"),
        ("alive survived", "dead died killed"),
        ("majority", "minority"),
        ("above", "below"),
        ("north northern", "south southern"),
        ("east eastern", "west western"),
        ("strengthen strengthened stronger", "weaken weakened weaker"),
        ("male man men father son brother husband",
         "female woman women mother daughter sister wife"),
    )
]  # fmt: skip

_UNITS = {
    form: number
    for number, unit in enumerate(
        ("second", "minute", "hour", "day", "week", "month", "year", "decade", "century",
         "thousand", "million", "billion", "trillion")
    )
    for form in (unit, f"{unit}s")
}  # fmt: skip

_SIDES = {
    word: (number, side)
    for number, pair in reversed(list(enumerate(_OPPOSITES)))
    for side in (0, 1)
    for word in pair[side]
} | {form: (len(_OPPOSITES), unit) for form, unit in _UNITS.items()}

_SAYS = word_set(
    "said say says saying told tell tells claimed alleges alleged alleging argued argues"
    " arguing believe believes believed think thinks suggested suggests suggesting warned warns"
    " predicted predicts estimated contends contended insisted insists asserted asserts suspects"
    " suspected accused accuses wrote tweeted testified added stated speculated hinted"
)
_SAYS_THAT = word_set("claim claims fear fears thought reported report reports estimates feared")
"""Verbs where "that" follows, else mostly nouns."""
_AFTERWARDS = word_set(
    "said says told added wrote argued warned claimed believe believes suggested predicted stated"
    " insisted tweeted testified asserted contended reported"
)
"""Verbs that may follow what is said: "..., police said"."""
_TELLING = word_set(
    "reportedly allegedly apparently purportedly unconfirmed denied denies described announced"
    " confirmed noted acknowledged explained"
)
_POSSIBLE = word_set(
    "might could likely possibly perhaps potentially probably possible possibility would"
)
_INTENDING = word_set(
    "plan plans planned planning hope hopes hoped expected aims intends intend want wants wanted"
    " threatened proposed considering proposal"
)
_FUTURE = word_set("will shall would going")
_REACH = 3
"""Content words after "may" or "plans to" that are not certain."""


def negation(claim: Sequence[Token], text: Sequence[Token]) -> str:
    """What differs in negation, or "". A negation counts where its next words are in both.

    So a negation elsewhere in the text says nothing about the claim.
    """
    in_claim, in_text = _reach(claim), _reach(text)
    spoken = content(text)
    for heads in _heads(claim):
        shared = [head for head in heads if head in spoken]
        if (not shared and not in_text) or (shared and in_claim[shared[0]] > in_text[shared[0]]):
            return "a negation is not in the cited text"
    reached = {n for scope in _scopes(text) for n in scope}
    free = content([t for n, t in enumerate(text) if n not in reached])
    stated = content(claim)
    for heads in _heads(text):
        head = heads[0] if heads else ""
        dropped = head in stated and head not in in_claim and head not in free
        if dropped and (len(heads) < 2 or heads[1] in stated):
            return "a negation of the cited text is missing"
    return ""


def _is_negator(part: Sequence[Token], at: int) -> bool:
    word = part[at].lower
    after = part[at + 1].lower if at + 1 < len(part) else ""
    if after in _NO_NEGATION_BEFORE or (word == "no" and part[at].text == "No" and after.isdigit()):
        return False
    return (
        word in _NEGATORS
        or word.endswith(("n't", "n’t"))
        or _NEGATING.fullmatch(f"{word} {after}" if word.startswith("declin") else word) is not None
    )


def _scopes(part: Sequence[Token]) -> Iterator[list[int]]:
    """For each negation, the positions of the content words that it reaches, nearest first."""
    for at in range(len(part)):
        if _is_negator(part, at):
            follow = [
                n
                for n in range(at + 1, len(part))
                if part[n].clause == part[at].clause
                and part[n].sentence == part[at].sentence
                and words_of(part[n])
            ]
            yield follow[: 1 if part[at].lower == "without" else _SCOPE]


def _heads(part: Sequence[Token]) -> list[list[str]]:
    return [[words_of(part[n])[-1] for n in scope[:2]] for scope in _scopes(part)]


def _reach(part: Sequence[Token]) -> Counter[str]:
    """How many negations reach each word."""
    return Counter(word for scope in _scopes(part) for word in content([part[n] for n in scope]))


def opposite(claim: Sequence[Token], text: Sequence[Token]) -> str:
    """A word of the claim whose opposite stands in the text in its place, as a reason, or ""."""
    said, cited = _lowered(claim), _lowered(text)
    for pair in _OPPOSITES:
        for one, other in (pair, pair[::-1]):
            if said & one and not said & other and cited & other and not cited & one:
                ours, theirs = sorted(said & one)[0], sorted(cited & other)[0]
                return f"the cited text says {theirs}, not {ours}"
    units = {_UNITS[word] for word in cited if word in _UNITS}
    for word in sorted(said):
        if units and word in _UNITS and _UNITS[word] not in units:
            return f"the cited text has no {word}"
    return ""


def _lowered(part: Sequence[Token]) -> set[str]:
    return {word for token in part if token.mask != "name" for word in token.lower.split()}


def opposite_side(word: str) -> tuple[int, int] | None:
    """The group of opposites, or of units, that has a word, and which of its members it is."""
    return _SIDES.get(word)


def attribution(claim: Sequence[Token], text: Sequence[Token]) -> str:
    """Why the claim states as fact what the text attributes, calls possible or foretells, or "".

    Only the sentence of the text that shares most with the claim is looked at.
    """
    cited = _closest_sentence(claim, text)
    hedges = {t.lower for t in claim if _is_hedge(t)} - {t.lower for t in cited}
    telling = any(t.lower in _TELLING for t in claim) or any(True for _ in _told_scopes(claim))
    if not hedges and not telling and _told(claim, cited):
        return "the cited text attributes this to somebody"
    if not hedges and _supposed(claim, cited):
        return "the cited text calls this possible, not certain"
    if _foretold(claim, cited):
        return "the cited text says that this will happen, not that it has"
    return ""


def _foretold(claim: Sequence[Token], cited: Sequence[Token]) -> bool:
    """Whether a verb behind "will" stands in the claim as past ("approved"), and nowhere else."""
    if any(token.lower in _FUTURE for token in claim):
        return False
    ahead = [
        following[0]
        for at, token in enumerate(cited)
        if token.lower == "will" and (following := _following(cited, at))
    ]
    told = content([token for n, token in enumerate(cited) if n not in ahead])
    past = content([t for t in claim if not t.mask and t.lower.endswith("ed")])
    return any(word in past - told for n in ahead for word in words_of(cited[n]))


def _closest_sentence(claim: Sequence[Token], text: Sequence[Token]) -> list[Token]:
    stated = content(claim)
    sentences: dict[int, list[Token]] = {}
    for token in text:
        sentences.setdefault(token.sentence, []).append(token)
    return max(sentences.values(), key=lambda part: len(stated & content(part)), default=[])


def _told(claim: Sequence[Token], cited: Sequence[Token]) -> bool:
    """Whether most of what claim and sentence share is found only in what somebody says."""
    inside = {n for scope in _told_scopes(cited) for n in scope}
    free = content([t for n, t in enumerate(cited) if n not in inside])
    shared = content(claim) & content(cited)
    only = shared - free
    return bool(only) and len(only) >= 0.5 * len(shared)


def _told_scopes(part: Sequence[Token]) -> Iterator[Sequence[int]]:
    """The positions of what is said, for each verb of saying and each "according to"."""
    for at, token in enumerate(part):
        sentence = [n for n in range(len(part)) if part[n].sentence == token.sentence]
        after = part[at + 1].lower if at + 1 < len(part) else ""
        if token.lower == "according" and after == "to":
            clause = {n for n in sentence if part[n].clause == token.clause and n >= at}
            yield [n for n in sentence if n not in clause]
        elif token.lower in _AFTERWARDS and after != "that" and _ends_report(part, at):
            yield [n for n in sentence if part[n].clause != token.clause]
        elif token.lower in _SAYS or (token.lower in _SAYS_THAT and after == "that"):
            yield [n for n in sentence if n > at]


def _ends_report(part: Sequence[Token], at: int) -> bool:
    """Whether the verb at `at` stands in a short clause behind what is said."""
    mine = [n for n, token in enumerate(part) if token.clause == part[at].clause]
    front = [
        token
        for token in part[: mine[0]]
        if token.sentence == part[at].sentence and token.clause < part[at].clause
    ]
    before = [token.lower for token in front if token.clause == part[at].clause - 1]
    aside = bool(before) and before[0] in {"who", "which", "whose"}
    short = at - mine[0] <= 5 and mine[-1] - at <= 6
    return len(front) >= 4 and short and not aside


def _is_hedge(token: Token) -> bool:
    return not token.mask and (
        token.lower in _POSSIBLE or token.lower in _INTENDING or token.text == "may"
    )


def _supposed(claim: Sequence[Token], cited: Sequence[Token]) -> bool:
    """Whether a word that the sentence calls possible stands in the claim as certain."""
    supposed = {n for reached in _hedged(cited) for n in reached}
    free = content([t for n, t in enumerate(cited) if n not in supposed])
    kept = content([claim[n] for reached in _hedged(claim) for n in reached])
    stated = content(claim)
    heads = [words_of(cited[reached[0]])[0] for reached in _hedged(cited) if reached]
    return any(head in stated and head not in free | kept for head in heads)


def _hedged(part: Sequence[Token]) -> Iterator[list[int]]:
    """The positions of the words that each hedge reaches, nearest first."""
    for at, token in enumerate(part):
        to_follows = at + 1 < len(part) and part[at + 1].lower == "to"
        if _is_hedge(token) and (to_follows or token.lower not in _INTENDING):
            yield _following(part, at)[:_REACH]


def _following(part: Sequence[Token], at: int) -> list[int]:
    """The positions of the content words behind a token in its clause."""
    return [
        n
        for n in range(at + 1, len(part))
        if words_of(part[n]) and part[n].clause == part[at].clause
    ]
