"""The components of the chat page and where they stand; what they do is in chat_page.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from ui import sources, turns
from ui.answering import Progress

MAX_QUESTION = 2000
"""Characters of a question that are read."""

_STATIC = Path(__file__).parent / "static"


def html(name: str, value: str = "", script: str = "talk.js") -> gr.HTML:
    """A component for HTML of ours, with the script that sends its events."""
    source = (_STATIC / script).read_text(encoding="utf-8") if script else None
    return gr.HTML(value, elem_id=name, apply_default_css=False, js_on_load=source)


def _kept_in_browser(name: str) -> gr.Textbox:
    """A value that the browser holds, so that it outlives the server's memory of a session."""
    return gr.Textbox(visible=False, show_label=False, elem_id=name)


def _day(label: str) -> gr.DateTime:
    return gr.DateTime(
        label=label, include_time=False, type="string", min_width=150, interactive=True
    )


@dataclass(slots=True)
class View:
    """What one browser tab shows. It may be lost: then nothing is in focus, and nothing is edited.

    `shows` counts what was put on the page, so that an answer of an earlier conversation knows that
    it is no longer looked at. `editing` is the exchange whose question is in the box, and `asked`
    that question where the box holds it as it was understood.
    """

    focus: Progress | None = None
    shows: int = 0
    editing: str = ""
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Sidebar:
    """The saved conversations: a column on a wide screen, a drawer on a phone."""

    new: gr.Button = field(
        default_factory=lambda: gr.Button("New conversation", elem_id="nr-new", size="sm")
    )
    search: gr.Textbox = field(
        default_factory=lambda: gr.Textbox(
            label="Search conversations",
            show_label=False,
            container=False,
            placeholder="Search conversations",
            max_lines=1,
            max_length=200,
            elem_id="nr-find",
            html_attributes=gr.InputHTMLAttributes(autocomplete="off", enterkeyhint="search"),
        )
    )
    kept: gr.HTML = field(default_factory=lambda: html("nr-kept"))
    dialogs: gr.HTML = field(default_factory=lambda: html("nr-dialogs", turns.dialogs_html()))
    user: gr.HTML = field(default_factory=lambda: html("nr-user", script=""))


@dataclass(frozen=True, slots=True)
class Filters:
    """Which articles may answer; empty is all of them."""

    as_of: gr.DateTime = field(default_factory=lambda: _day("As of"))
    since: gr.DateTime = field(default_factory=lambda: _day("Since"))
    until: gr.DateTime = field(default_factory=lambda: _day("Until"))
    outlets: gr.Dropdown = field(
        default_factory=lambda: gr.Dropdown(
            [], label="Outlets", multiselect=True, interactive=True, min_width=260
        )
    )

    @property
    def all(self) -> list[Any]:
        """As of, since, until, outlets: the order in which handlers take them."""
        return [self.as_of, self.since, self.until, self.outlets]


@dataclass(frozen=True, slots=True)
class Composer:
    """The question box, its buttons and the filters. talk.css shows Ask or Stop, as is needed."""

    question: gr.Textbox
    ask: gr.Button
    stop: gr.Button
    box: gr.Accordion
    filters: Filters
    editing: gr.HTML


@dataclass(frozen=True, slots=True)
class Parts:
    """All components of the page."""

    sidebar: Sidebar
    composer: Composer
    bar: gr.HTML
    talk: gr.HTML
    latest: gr.HTML
    notice: gr.HTML
    sources: gr.HTML
    article: gr.HTML
    conversation: gr.Textbox
    handover: gr.Textbox


def lay_out() -> Parts:
    """Make the components; called inside the page's Blocks."""
    with gr.Sidebar(label="Conversations", open=False, width=272, elem_id="nr-sidebar"):
        sidebar = Sidebar()
    with gr.Row(elem_id="nr-panes"):
        with gr.Column(elem_id="nr-left"):
            bar = html("nr-bar")
            with gr.Column(elem_id="nr-scroll"):
                talk = html("nr-talk")
                latest = html("nr-latest")
            notice = html("nr-notice", script="")
            composer = _composer()
        with gr.Column(elem_id="nr-right"):
            html("nr-close", turns.close_html())
            shown = html("nr-sources", sources.no_sources_html(), "pane.js")
            article = html("nr-article", script="pane.js")
    return Parts(
        sidebar,
        composer,
        bar,
        talk,
        latest,
        notice,
        shown,
        article,
        _kept_in_browser("nr-conversation"),
        _kept_in_browser("nr-handover"),
    )


def _composer() -> Composer:
    with gr.Column(elem_id="nr-composer"):
        editing = html("nr-edited")
        with gr.Row(elem_id="nr-ask"):
            question = gr.Textbox(
                label="Question",
                show_label=False,
                container=False,
                placeholder="Ask the archive",
                lines=1,
                max_lines=6,
                max_length=MAX_QUESTION,
                autofocus=True,
                elem_id="nr-question",
                html_attributes=gr.InputHTMLAttributes(autocomplete="off", enterkeyhint="send"),
            )
            ask = gr.Button("Ask", variant="primary", scale=0, min_width=88, elem_id="nr-send")
            stop = gr.Button("Stop", variant="stop", scale=0, min_width=88, elem_id="nr-stop")
        with (
            gr.Accordion("Filters", open=False, elem_id="nr-narrow") as box,
            gr.Row(elem_id="nr-narrow-row"),
        ):
            filters = Filters()
    return Composer(question, ask, stop, box, filters, editing)
