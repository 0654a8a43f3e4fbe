"""A text as tokens for the checks of a claim: words by stem, names and quantities as units."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rag.quantities import Quantity, quantities
from rag.words import stems

Mask = Literal["", "name", "number", "date"]


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a name of one or more words, or a quantity, at `start:end` of its text.

    `stem` is empty for function words, names and quantities. `clause` counts the clauses of the
    text, which end at punctuation and at some conjunctions; `sentence` counts its sentences.
    """

    text: str
    start: int
    end: int
    clause: int
    sentence: int
    mask: Mask = ""
    stem: str = ""
    quantity: Quantity | None = None

    @property
    def lower(self) -> str:
        """The text in lower case."""
        return self.text.lower()

    @property
    def parts(self) -> tuple[str, ...]:
        """The words of a name, each brought to one form of its country, as `name_words` does."""
        return name_words(self.text)


def word_set(text: str) -> frozenset[str]:
    """The words of a text, for tables of words."""
    return frozenset(text.split())


_HONORIFICS = word_set("mr mrs ms dr sir lady st")
_FUNCTION = word_set(
    "am i me my we us our you your he him his she her hers they them its it's were been being has "
    "have had having do does did doing would shall should can could may might must who whom whose "
    "which what when where why how than so too very also just about from up down out off over "
    "under again there here he's she's it’s he’s she’s that's that’s"
)
_ACTS = word_set(
    "is was are were will would has had have did does said says told met won lost made took got"
    " left led became ran held gave went came sent kept bought sold built began wants plans and"
)
"""Words before which a sentence's first word is likely the name of who acts."""
_OPENERS = word_set(
    "however meanwhile also yes therefore both another several most many some each all following"
    " despite although while since when after before during because if once today yesterday"
    " tomorrow no not neither police according people those"
    " moreover furthermore thus hence instead similarly there this that these they he she it we"
)
_ABBREVIATIONS = _HONORIFICS | word_set(
    "no vs rep reps sen sens gov gen col lt sgt prof rev jr sr inc corp co ltd jan feb aug sept oct"
    " nov dec ft mt ave"
)
_CONJUNCTIONS = {"and", "but", "while", "whereas", "although", "though", "because"}
_WORD = re.compile(r"(?:[A-Z]\.){2,}|[^\W_]+(?:[’'-][^\W_]+)*")
_CAPITAL = re.compile(r"(?:[A-Z]\.){2,}|[A-Z][^\W_]*(?:[’'-][^\W_]+)*")
_BREAK = re.compile(r"[,;:()—–\n]| - ")
_STOP = re.compile(r"[.!?][\"”’')]*\s")
_QUOTED_START = "“\"‘'("
_COUNTRIES = {
    "american": "us", "americans": "us", "america": "us", "usa": "us", "british": "uk",
    "britain": "uk", "britons": "uk", "french": "france", "dutch": "netherlands",
    "german": "germany", "germans": "germany", "spanish": "spain", "greek": "greece",
    "swiss": "switzerland", "danish": "denmark", "polish": "poland", "turkish": "turkey",
    "welsh": "wales", "scottish": "scotland", "irish": "ireland", "thai": "thailand",
    "swedish": "sweden", "finnish": "finland", "peruvian": "peru", "iraqi": "iraq",
}  # fmt: skip
_PHRASES = {
    "united states": "us",
    "united kingdom": "uk",
    "great britain": "uk",
    "european union": "eu",
}
_ENDINGS = ("ians", "ian", "ean", "ans", "ese", "ish", "ia", "an", "is", "i", "a", "e", "o", "y")


@lru_cache(maxsize=2048)
def tokens(text: str, ordinary: frozenset[str] = frozenset()) -> tuple[Token, ...]:
    """The tokens of a text. A capital that opens a sentence is a name unless it is `ordinary`."""
    return tuple(_tokens(text, ordinary))


def ordinary_words(*texts: str) -> frozenset[str]:
    """Words that stand somewhere in the texts without a capital, in lower case."""
    return frozenset(w for text in texts for w in _WORD.findall(text) if w[0].islower())


@lru_cache(maxsize=16384)
def stem_of(word: str) -> str:
    """The stem of a content word; empty for a function word."""
    if word.lower() in _FUNCTION:
        return ""
    found = stems(word)
    return found[0] if found else ""


@lru_cache(maxsize=4096)
def name_words(text: str) -> tuple[str, ...]:
    """The words of a name in a form in which a country and its people are one."""
    lowered = re.sub(r"\b(?:[a-z]\.){2,}", lambda m: m[0].replace(".", ""), text.lower())
    lowered = re.sub(r"[’']s?\b", "", lowered)
    for phrase, short in _PHRASES.items():
        lowered = lowered.replace(phrase, short)
    words = re.findall(r"[^\W_]+", lowered)
    return tuple(_country(word) for word in words if word not in _HONORIFICS)


def _country(word: str) -> str:
    if word in _COUNTRIES:
        return _COUNTRIES[word]
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word.removesuffix(ending)
    return word


def _tokens(text: str, ordinary: frozenset[str]) -> Iterator[Token]:
    found = {quantity.start: quantity for quantity in quantities(text)}
    clause = sentence = at = 0
    opens, last = True, ""
    while at < len(text):
        match = _WORD.search(text, at)
        first = min((s for s in found if s >= at), default=len(text))
        if match is None and first == len(text):
            return
        start = min(match.start() if match else len(text), first)
        gap = text[at:start]
        if _STOP.search(gap) and last not in _ABBREVIATIONS:
            sentence, clause, opens = sentence + 1, clause + 1, True
        elif _BREAK.search(gap):
            clause += 1
        if start in found:
            token = _quantity(found[start], clause, sentence)
        else:
            assert match is not None
            token = _word(text, match, (clause, sentence, opens), ordinary, found)
        if token.lower in _CONJUNCTIONS:
            clause += 1
        opens, last = False, token.lower.split()[-1]
        yield token
        at = token.end


def _quantity(quantity: Quantity, clause: int, sentence: int) -> Token:
    mask: Mask = "date" if quantity.is_date else "number"
    return Token(
        quantity.text, quantity.start, quantity.end, clause, sentence, mask, quantity=quantity
    )


def _word(
    text: str,
    match: re.Match[str],
    place: tuple[int, int, bool],
    ordinary: frozenset[str],
    found: dict[int, Quantity],
) -> Token:
    clause, sentence, opens = place
    word = match[0]
    after_quote = text[match.start() - 1 : match.start()] in _QUOTED_START
    start = opens or after_quote
    plain = word.lower() in ordinary or not stem_of(word)
    plain_token = Token(word, *match.span(), clause, sentence, "", stem_of(word))
    if not _CAPITAL.fullmatch(word) or word == "I" or (start and plain):
        return plain_token
    end = match.end()
    while (after := _WORD.match(text, end + 1)) and text[end] == " ":
        if not _CAPITAL.fullmatch(after[0]) or after.start() in found:
            break
        end = after.end()
    following = "," if text[end : end + 1] == "," else after[0].lower() if after else ""
    if start and end == match.end() and not _is_acting(word.lower(), following):
        return plain_token
    return Token(text[match.start() : end], match.start(), end, clause, sentence, "name")


def _is_acting(word: str, following: str) -> bool:
    """Whether a sentence's first word, alone with its capital, does something: likely a name."""
    if word.endswith(("'s", "’s")):
        return True
    plural = word.endswith("s") and len(word) > 4
    ordinary = word in _OPENERS or plural or word.endswith(("ly", "ing", "ed"))
    acts = following == "," or following in _ACTS or following.endswith("ed")
    return acts and not ordinary


def content(part: Sequence[Token]) -> set[str]:
    """What the tokens speak of: stems, words of names, and the values of quantities."""
    return {word for token in part for word in words_of(token)}


def words_of(token: Token) -> tuple[str, ...]:
    """A token's stem; for a name its words, for a quantity its value."""
    if token.mask == "name":
        return token.parts
    if token.quantity:
        return (f"{token.quantity.value:g}",)
    return (token.stem,) if token.stem else ()
