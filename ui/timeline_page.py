"""The page that tells a topic day by day. Its address may name the topic: `timeline?topic=...`."""

from __future__ import annotations

from typing import Any

import gradio as gr

from rag import Archive, NewsragError
from ui.keeping import day_of
from ui.render import error_html
from ui.timeline_html import timeline_html

MAX_TOPIC = 200
_MAX_DAY = 40
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def lay_out(archive: Archive) -> None:
    """Put the page into the `gr.Blocks` that is open, and connect its events."""

    def tell(topic: str, since: str, until: str) -> str:
        topic = (topic or "").strip()[:MAX_TOPIC]
        if not topic:
            return ""
        try:
            first, last = day_of("from day", since or ""), day_of("to day", until or "")
            return timeline_html(archive.timeline(topic, since=first, until=last))
        except NewsragError as error:
            return error_html(str(error))

    def open_page(request: gr.Request) -> tuple[str, str]:
        topic = str(request.query_params.get("topic", ""))[:MAX_TOPIC]
        return topic, tell(topic, "", "")

    with gr.Column(elem_id="nr-timeline"):
        _html("<h1>Timeline</h1>")
        topic = gr.Textbox(
            label="Topic",
            placeholder="A few words",
            max_length=MAX_TOPIC,
            submit_btn="Tell",
            elem_id="nr-topic",
        )
        with gr.Row():
            days = [
                gr.Textbox(label=label, placeholder="YYYY-MM-DD", max_length=_MAX_DAY)
                for label in ("From day", "To day")
            ]
        told = _html("")
    asked = [topic.submit, *(day.submit for day in days)]
    gr.on(asked, tell, [topic, *days], told, trigger_mode="always_last", **_QUIET)
    gr.on(None, open_page, None, [topic, told], **_QUIET)


def _html(value: str) -> gr.HTML:
    return gr.HTML(value, apply_default_css=False, js_on_load=None)
