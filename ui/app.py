"""The web pages around an archive: the chat and the archive itself. ui/server.py serves them."""

from __future__ import annotations

import gradio as gr
from gradio.components import Navbar

from rag import Archive
from ui import archive_page, timeline_page
from ui.answering import Answering
from ui.chat_page import ChatPage
from ui.limits import Limits


def build(archive: Archive, *, wording: bool = True, limits: Limits | None = None) -> gr.Blocks:
    """The pages, not yet served. Without `wording` no language model is asked."""
    pages = gr.Blocks(title="newsrag", analytics_enabled=False, fill_width=True)
    with pages:
        Navbar(main_page_name="Chat")
        ChatPage(pages, archive, Answering(archive, wording, limits))
    with pages.route("Archive", "/archive"):
        Navbar(main_page_name="Chat")
        archive_page.lay_out(archive)
    with pages.route("Timeline", "/timeline"):
        Navbar(main_page_name="Chat")
        timeline_page.lay_out(archive)
    return pages
