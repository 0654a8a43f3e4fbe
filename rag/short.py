"""The short answer: the phrase that was asked for, as it stands in the evidence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from rag.evidence import EvidenceSentence
from rag.reader import Reader
from rag.retrieve import Window, sigmoid
from rag.types import Citation, Sentence, Short
from rag.words import stems

Wanted = Literal["phrase", "yes or no"]

_YES_OR_NO = re.compile(
    r"(?:is|are|was|were|am|do|does|did|has|have|had|can|could|will|would|should|must|may|might)"
    r"(?:n[’']t)?\s",
    re.IGNORECASE,
)
_LONG = re.compile(
    r"\b(?:why|explain|describe|summari[sz]e|compare|tell me|how come|what happened"
    r"|what (?:is|are|was|were) (?:known|the (?:reasons?|causes?|differences?|arguments?))"
    r"|what (?:do|does|did|has|have|had|is|are|was|were|will|would|can|could|should)\b.*"
    r"\b(?:say|said|think|argue|mean|do|doing|done|about|like|happen(?:ed)?))\b",
    re.IGNORECASE,
)
_HOW = re.compile(
    r"\bhow (?:many|much|old|long|far|often|big|high|tall|deep|fast|heavy|large|wide|soon|late"
    r"|early|young|likely|expensive)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\b(?:who|whom|whose|when|where|which|what|name)\b|_{2,}|\.{3}\s*\Z", re.IGNORECASE
)
_COUNTED = re.compile(r"\bhow (?:many|much)\b", re.IGNORECASE)
_PAID = re.compile(
    r"\bhow much\b.*\b(?:pay|pays|paid|costs?|spend|spends|spent|earn|earns|earned|owes?|charges?"
    r"|charged|worth)\b",
    re.IGNORECASE,
)
_MONEY = re.compile(
    r"[$£€¥₹]|\d ?%|\b(?:percent|per cent|dollars?|pounds?|euros?|cents?|pence|yen|yuan|rubles?"
    r"|rupees?|crowns?|francs?|pesos?|won|free|nothing|half|double|twice|million|billion|trillion)\b",
    re.IGNORECASE,
)
_WHEN = re.compile(r"\bwhen\b|\b(?:what|which) (?:year|month|day|date|century)\b", re.IGNORECASE)
_WHO_OR_WHERE = re.compile(
    r"\b(?:who|whom|whose|where)\b|\b(?:what|which) (?:\w+ )?(?:country|state|city|company|team"
    r"|actor|singer|president|senator|nation|network)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|hundreds?"
    r"|thousands?|millions?|billions?|none|half|twice)\b",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?:in )?(?:19|20)\d\d")
_TIME = re.compile(
    r"\d|\b(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)(?:day)?\b|\b(?:today|yesterday|tomorrow|week|month|year"
    r"|morning|night)\b"
)
_EDGES = " \t\n,.;:!?\"'“”‘’()[]–—-"

LONGEST_PHRASE = 12
"""Words of a phrase at most: what is longer is a sentence."""

MIN_PHRASE = 0.5
"""A phrase below this probability against "no answer" is not shown."""


def wanted(question: str) -> Wanted | None:
    """What kind of short answer a question asks for; None where it asks for an explanation."""
    words = question.strip()
    if _LONG.search(words):
        return None
    if _YES_OR_NO.match(words):
        return None if " or " in words else "yes or no"
    if _HOW.search(words) or _ASKS.search(words):
        return "phrase"
    return None


def fits(question: str, phrase: str) -> bool:
    """Whether a phrase can be what the question asks for: a number, a time, a name, something new.

    A phrase of which the question has every word tells nothing.
    """
    if set(stems(phrase)) <= set(stems(question)):
        return False
    is_year = _COUNTED.search(question) and _YEAR.fullmatch(phrase)
    if is_year or (_PAID.search(question) and not _MONEY.search(phrase)):
        return False
    if _HOW.search(question):
        return _NUMBER.search(phrase) is not None
    if _WHEN.search(question):
        return _TIME.search(phrase) is not None
    if _WHO_OR_WHERE.search(question):
        return any(letter.isupper() for letter in phrase)
    return True


def from_windows(question: str, windows: Sequence[Window]) -> Short | None:
    """The phrase that the read windows speak for together, cited where it is clearest.

    Windows that name the same phrase add up, as far as each is relevant.
    """
    votes: dict[str, float] = {}
    best: dict[str, tuple[float, Window, int, int]] = {}
    for window in windows:
        for start, end, score in window.phrases:
            weight = sigmoid(score) * sigmoid(window.relevance)
            phrase = window.article.text[start:end].strip(_EDGES)
            if not fits(question, phrase):
                continue
            key = " ".join(phrase.lower().split())
            votes[key] = votes.get(key, 0.0) + weight
            if key not in best or weight > best[key][0]:
                best[key] = (weight, window, start, end)
    if not votes:
        return None
    chosen = max(votes, key=lambda key: votes[key])
    weight, window, start, end = best[chosen]
    if weight < MIN_PHRASE:
        return None
    return _cited(Citation(window.article, start, end))


def from_phrase(
    question: str, phrase: str, evidence: Sequence[EvidenceSentence]
) -> tuple[Short | None, EvidenceSentence | None]:
    """A phrase that a language model gave, where it stands in the evidence, and the sentence.

    The best sentence that has it counts. Neither is given where none has it, or where the phrase
    cannot be what the question asks for.
    """
    words = phrase.strip(_EDGES)
    if len(words.split()) > LONGEST_PHRASE:
        return None, None
    for one in evidence:
        found = _find(words, [Citation(one.article, one.start, one.end)])
        if found is not None and fits(question, found.quote):
            return _cited(found), one
    return None, None


def from_sentence(reader: Reader, question: str, kind: Wanted, sentence: Sentence) -> Short | None:
    """The phrase of a checked sentence that answers, where its cited text has that phrase too."""
    if kind == "yes or no":
        return _yes_or_no(sentence)
    (reading,) = reader.read(question, [("", sentence.text)])
    for phrase in reading.phrases:
        words = sentence.text[phrase.start : phrase.end].strip(_EDGES)
        found = _find(words, sentence.citations)
        if found is not None and fits(question, found.quote):
            return _cited(found)
    return None


def _yes_or_no(sentence: Sentence) -> Short | None:
    match = re.match(r"\s*(yes|no)\b", sentence.text, re.IGNORECASE)
    if match is None or not sentence.citations:
        return None
    return Short(match.group(1).lower(), sentence.citations[0])


def _find(words: str, citations: Sequence[Citation]) -> Citation | None:
    """Where a phrase stands in the cited text, letter case and white space apart."""
    if not words:
        return None
    pattern = r"\s+".join(re.escape(word) for word in words.split())
    for citation in citations:
        match = re.search(rf"(?<!\w){pattern}(?!\w)", citation.quote, re.IGNORECASE)
        if match:
            start = citation.start + match.start()
            return Citation(citation.article, start, citation.start + match.end())
    return None


def _cited(citation: Citation) -> Short:
    """The phrase as it stands in the article, without the quotes and stops around it."""
    text = citation.quote
    start = citation.start + len(text) - len(text.lstrip(_EDGES))
    end = citation.end - (len(text) - len(text.rstrip(_EDGES)))
    trimmed = Citation(citation.article, start, end)
    return Short(" ".join(trimmed.quote.split()), trimmed)
