"""The data of the support model: claims against evidence, from published sets and by rule.

`DATA/train/support` holds the sets, `DATA/bench/realtimeqa/2023` the news articles from which
further pairs are made. Supported is 1; refuted, partly supported and not enough to tell are 0.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

from rag.passages import split_sentences
from rag.weights.plant_support import plant, true_variants, unattributed

SEED = 20
HELD_BACK = 0.2
WEAK = {"mrpc": 0.3, "stsb": 0.5}
"""Sets whose label is not quite support count less in the fitting."""

_ARTICLES = 2400
_MIN_SENTENCE, _MAX_SENTENCE = 50, 350


@dataclass(frozen=True, slots=True)
class Example:
    """A claim and its evidence; `label` is 1 for supported. Examples of a `group` stay together."""

    set: str
    group: str
    evidence: str
    claim: str
    label: int

    @property
    def held_back(self) -> bool:
        """Whether its group is among those that are measured on and never fitted on."""
        digest = hashlib.sha256(self.group.encode()).digest()
        return int.from_bytes(digest[:4]) / 2**32 < HELD_BACK


def load(data: Path) -> list[Example]:
    """All examples, each pair once, in a fixed order. Raises `OSError` where a set is missing."""
    folder = data / "train" / "support"
    examples = [example for read in _SETS for example in read(folder)]
    examples.extend(from_articles(data / "bench/realtimeqa/2023/articles.jsonl.gz"))
    return list(dict.fromkeys(e for e in examples if e.evidence.strip() and e.claim.strip()))


def from_articles(file: Path) -> Iterator[Example]:
    """Sentences of articles against their text: one true and up to two false claims for each."""
    articles = _lines(file)
    Random(SEED).shuffle(articles)
    for article in articles[:_ARTICLES]:
        yield from _from_article(article)


def news_sentences(text: str) -> list[str]:
    """The sentences of an article that state something: no headings, questions or long lists."""
    sentences = (" ".join(text[s.start : s.end].split()) for s in split_sentences(text))
    return [
        s for s in sentences
        if _MIN_SENTENCE <= len(s) <= _MAX_SENTENCE and s[-1] in ".”\"" and s[0].isupper()
    ]  # fmt: skip


def _from_article(article: dict[str, Any]) -> Iterator[Example]:
    random = Random(f"{SEED}:{article['id']}")
    sentences = news_sentences(article["text"])
    if len(sentences) < 4:
        return
    for at in sorted(random.sample(range(len(sentences)), 3)):
        sentence = sentences[at]
        near = sentences[max(0, at - 1) : at + 2] if random.random() < 0.4 else [sentence]
        evidence = " ".join(near)
        if random.random() < 0.5:
            evidence = f"{article['title']}. {evidence}"
        other = sentences[(at + 2) % len(sentences)]
        true = random.choice([sentence, *true_variants(sentence)])
        false = [changed for _, changed in plant(sentence, random.randrange(10**6))]
        bare = unattributed(sentence)
        if bare:
            false.append(bare)
        if other not in evidence:
            false.append(other)
        yield Example("realtimeqa", article["id"], evidence, true, 1)
        for claim in random.sample(false, min(2, len(false))):
            yield Example("realtimeqa", article["id"], evidence, claim, 0)


def _wice(folder: Path) -> Iterator[Example]:
    for part in ("claim", "oracle_chunks_claim"):
        for row in _lines(folder / "wice" / part / "dev.jsonl.gz"):
            evidence = " ".join(row["evidence"])
            label = int(row["label"] == "supported")
            yield Example("wice", row["meta"]["id"], evidence, row["claim"], label)


def _attributionbench(folder: Path) -> Iterator[Example]:
    for row in _lines(folder / "attributionbench/dev_all_subset_balanced.jsonl.gz"):
        label = int(row["attribution_label"] == "attributable")
        evidence = " ".join(row["references"])
        yield Example("attributionbench", row["question"], evidence, row["claim"], label)


def _averitec(folder: Path) -> Iterator[Example]:
    for row in _json(folder / "averitec/dev.json.gz"):
        answers = [
            f"{question['question']} {answer['answer']}"
            for question in row["questions"]
            for answer in question["answers"]
        ]
        label = int(row["label"] == "Supported")
        yield Example("averitec", row["claim"], " ".join(answers), row["claim"], label)


def _bump(folder: Path) -> Iterator[Example]:
    """Sentences of the reference summary are supported, those of the edited one that differ not."""
    for part in (1, 2):
        for row in _json(folder / f"bump/task{part}_dataset.json.gz"):
            yield from _against_original(
                "bump", row["article"], row["reference_summary"], row["edited_summary"], 0
            )


def _summedits(folder: Path) -> Iterator[Example]:
    """An edited summary differs in its edited sentences; its label is theirs."""
    for row in _json(folder / "summedits/summedits_podcast.json.gz"):
        yield from _against_original(
            "summedits", row["doc"], row["original_summary"], row["summary"], int(row["label"])
        )


def _against_original(
    name: str, text: str, original: str, edited: str, label: int
) -> Iterator[Example]:
    sentences = _sentences(original)
    for sentence in sentences:
        yield Example(name, _document(text), text, sentence, 1)
    for sentence in _sentences(edited):
        if sentence not in sentences:
            yield Example(name, _document(text), text, sentence, label)


def _qags(folder: Path) -> Iterator[Example]:
    for part in ("cnndm", "xsum"):
        for row in _lines(folder / f"qags/mturk_{part}.jsonl.gz"):
            for sentence in row["summary_sentences"]:
                votes = [response["response"] == "yes" for response in sentence["responses"]]
                label = int(2 * sum(votes) > len(votes))
                text = re.sub(r"(?<=\d)([.,]) (?=\d)", r"\1", row["article"])  # "1, 200"
                yield Example("qags", _document(text), text, sentence["sentence"], label)


def _climate_fever(folder: Path) -> Iterator[Example]:
    for row in _lines(folder / "climate_fever/climate-fever.jsonl.gz"):
        for item in row["evidences"]:
            evidence = f"{item['article']}. {item['evidence']}"
            label = int(item["evidence_label"] == "SUPPORTS")
            yield Example("climate_fever", row["claim"], evidence, row["claim"], label)


def _covidfact(folder: Path) -> Iterator[Example]:
    for row in _lines(folder / "covidfact/COVIDFACT_dataset.jsonl.gz"):
        label = int(row["label"] == "SUPPORTED")
        group = str(row["gold_source"])
        yield Example("covidfact", group, " ".join(row["evidence"]), row["claim"], label)


def _foolmetwice(folder: Path) -> Iterator[Example]:
    for part in ("dev", "test"):
        for row in _lines(folder / f"foolmetwice/{part}.jsonl.gz"):
            page = row["wikipedia_page"]
            evidence = " ".join([f"{page}.", *(item["text"] for item in row["gold_evidence"])])
            label = int(row["label"] == "SUPPORTS")
            yield Example("foolmetwice", page, evidence, row["text"], label)


def _healthver(folder: Path) -> Iterator[Example]:
    for part in ("dev", "test"):
        for row in csv.DictReader(_text(folder / f"healthver/healthver_{part}.csv.gz")):
            label = int(row["label"] == "Supports")
            group = f"healthver {row['topic_ip']}"
            yield Example("healthver", group, row["evidence"], row["claim"], label)


def _news_factor(folder: Path) -> Iterator[Example]:
    """The passage with its true last sentence supports that sentence, and none of its changes."""
    csv.field_size_limit(10**7)
    for row in csv.DictReader(_text(folder / "news_factor/news_factor.csv.gz")):
        before = _sentences(row["full_prefix"])[-3:]
        evidence = " ".join([*before, row["completion"]])
        group = f"news_factor {row['doc_id']}"
        yield Example("news_factor", group, evidence, row["completion"], 1)
        for number in range(3):
            yield Example("news_factor", group, evidence, row[f"contradiction_{number}"], 0)


def _rte(folder: Path) -> Iterator[Example]:
    with zipfile.ZipFile(folder / "rte/rte.zip") as archive:
        for name in sorted(archive.namelist()):
            if not name.endswith(".xml"):
                continue
            for pair in ElementTree.fromstring(archive.read(name)).iter("pair"):
                label = int((pair.get("entailment") or pair.get("value")) in {"YES", "TRUE"})
                evidence, claim = pair.findtext("t") or "", pair.findtext("h") or ""
                yield Example("rte", evidence[:60], evidence.strip(), claim.strip(), label)


def _stsb(folder: Path) -> Iterator[Example]:
    """Near-equal sentences support each other; those at most on one topic do not."""
    for part in ("train", "dev"):
        for line in _text(folder / f"stsb/sts-{part}.csv.gz"):
            fields = line.rstrip("\n").split("\t")
            score = float(fields[4])
            if score >= 4.5 or score <= 3:
                yield Example("stsb", fields[5], fields[5], fields[6], int(score >= 4.5))


def _mrpc(folder: Path) -> Iterator[Example]:
    """Paraphrases, which may add a little: a weak label."""
    for line in list(_text(folder / "mrpc/msr_paraphrase_train.txt.gz"))[1:]:
        label, _, _, first, second = line.rstrip("\n").split("\t")
        yield Example("mrpc", first, first, second, int(label))


_SETS: tuple[Callable[[Path], Iterator[Example]], ...] = (
    _wice,
    _attributionbench,
    _averitec,
    _bump,
    _summedits,
    _qags,
    _climate_fever,
    _covidfact,
    _foolmetwice,
    _healthver,
    _news_factor,
    _rte,
    _stsb,
    _mrpc,
)


def _sentences(text: str) -> list[str]:
    return [" ".join(text[s.start : s.end].split()) for s in split_sentences(text)]


def _document(text: str) -> str:
    """One group for an article that two sets share, whatever its case and spacing."""
    return "".join(character for character in text.lower() if character.isalpha())[:200]


def _lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in _text(file)]


def _json(file: Path) -> Any:
    return json.loads(_text(file).read())


def _text(file: Path) -> io.TextIOWrapper:
    with gzip.open(file) as stream:
        return io.TextIOWrapper(io.BytesIO(stream.read()), encoding="utf-8-sig", newline="")
