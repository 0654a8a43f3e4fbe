"""What the browser tests serve: articles, made up beside those of `corpus/`, and the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from conftest import ROOT

from rag import Archive, Article, Citation
from ui import server

CORPUS = ROOT / "corpus"

LAMP = "Engineer Odile Brandt replaced the lamp of the Tamarisk lighthouse in March."
LIGHTHOUSE = Article(
    id="lighthouse",
    title="Tamarisk lighthouse 🗼 has a new lamp",
    text="\n\n".join([f"Paragraph {n} is about the weather." for n in range(60)] + [LAMP, "End."]),
    source="Callow Herald",
    url="https://callow.example/lamp",
    published=date(2024, 3, 9),
)
LAMP_CITATION = Citation(
    LIGHTHOUSE, LIGHTHOUSE.text.index(LAMP), LIGHTHOUSE.text.index(LAMP) + len(LAMP)
)
LOOT = 'The Quillfeather heist loot was 40 crowns of "gold" & <b>silver</b>.'
HOSTILE = Article(
    id='"><script>alert(1)</script>',
    title='<script>alert(2)</script><img src=x onerror="alert(3)"> Quillfeather heist',
    text=(
        "**Bob** planned it, [a link](https://evil.example/x) says. "
        "![i](https://evil.example/p.png) `${alert(4)}` {{alert}} $x^2$\n\n"
        f'{LOOT}\n\n<img src="https://evil.example/q.png" onerror="alert(5)"> '
        '<script src="https://evil.example/s.js"></script>'
    ),
    source="<iframe src=https://evil.example></iframe>",
    url="javascript:alert(6)",
    published=date(2024, 1, 1),
)
LAMP_QUESTION = "Who replaced the lamp of the Tamarisk lighthouse?"
LOOT_QUESTION = "How large was the Quillfeather heist loot?"


@contextmanager
def served(archive: Archive, wording: bool = True) -> Iterator[str]:
    page = server.start(archive, port=0, wording=wording)
    try:
        yield page.url
    finally:
        page.close()


def forget(archive: Archive) -> None:
    """Delete what is saved, for the next test."""
    kept = archive.conversations()
    for one in kept.list():
        kept.delete(one.id)
