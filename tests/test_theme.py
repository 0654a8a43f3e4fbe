"""The colours of ui/static/pane.css have enough contrast, and Gradio's parts take them."""

from __future__ import annotations

import re

import pytest
from conftest import ROOT

from ui.theme import theme

CSS = (ROOT / "ui" / "static" / "pane.css").read_text(encoding="utf-8")
TEXT_AA, EDGE_AA = 4.5, 3.0  # WCAG 2.2, 1.4.3 and 1.4.11

GROUNDS = ("surface", "raised", "tint")
TEXTS = [(ink, ground) for ink in ("text", "soft", "accent", "warn") for ground in GROUNDS]
MARKS = [("text", "mark"), ("text", "mark-focus")]
REVERSED = [("surface", "accent"), ("surface", "text"), ("raised", "accent"), ("surface", "warn")]
EDGES = [(edge, ground) for edge in ("edge", "accent", "warn") for ground in GROUNDS[:2]]

Colours = dict[str, str]


def colours(selector: str) -> Colours:
    (block,) = re.findall(rf"^{re.escape(selector)} \{{(.*?)^\}}", CSS, re.DOTALL | re.MULTILINE)
    return dict(re.findall(r"--nr-([a-z-]+): (#[0-9a-f]{6});", block))


MODES = {"light": colours(":root"), "dark": colours(":root.dark, :root .dark")}


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_ratio_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    assert contrast("#ff0000", "#0000ff") == pytest.approx(2.15, abs=0.005)


def test_both_modes_have_the_same_colours() -> None:
    assert set(MODES["light"]) == set(MODES["dark"])
    used = {ink for pair in (*TEXTS, *MARKS, *REVERSED, *EDGES) for ink in pair}
    assert set(MODES["light"]) == used | {"line"}, "a line only decorates"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ink, ground", [*TEXTS, *MARKS, *REVERSED])
def test_text_can_be_read(mode: str, ink: str, ground: str) -> None:
    assert contrast(MODES[mode][ink], MODES[mode][ground]) >= TEXT_AA


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("edge, ground", EDGES)
def test_edges_of_what_can_be_used_can_be_seen(mode: str, edge: str, ground: str) -> None:
    assert contrast(MODES[mode][edge], MODES[mode][ground]) >= EDGE_AA


def test_gradio_takes_our_colours_in_both_modes_and_fetches_no_font() -> None:
    css = theme()._get_theme_css()
    light, dark = css.split(":root.dark, :root .dark", 1)
    for block in (light, dark):
        for name, ours in (
            ("body-background-fill", "surface"),
            ("body-text-color", "text"),
            ("button-primary-background-fill", "accent"),
            ("input-border-color", "edge"),
        ):
            assert re.search(rf"--{name}: var\(--nr-{ours}\);", block), name
    assert "@font-face" not in css
    assert css.count("url(") == css.count('url("data:')
    assert "--color-accent: var(--nr-accent)" in CSS


def test_every_property_that_the_pages_use_is_defined() -> None:
    styles = [file.read_text(encoding="utf-8") for file in (ROOT / "ui" / "static").glob("*.css")]
    used = {name for css in styles for name in re.findall(r"var\((--nr-[a-z-]+)\)", css)}
    defined = {name for css in styles for name in re.findall(r"(--nr-[a-z-]+):", css)}
    assert used <= defined
    assert "url(" not in "".join(styles)
