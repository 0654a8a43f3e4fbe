"""The chat page: Gradio components and events around an Archive.

The browser is trusted with nothing. What it sends back, to open a passage, is looked up in the
archive and checked against the article before it is shown. State belongs to one browser tab.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import gradio as gr

from rag import Answer, Archive, Event, Evidence, NewsragError, Sentence
from ui import render
from ui.render import Turn

POLL_SECONDS = 0.1
"""How long a press on Stop may take to be seen."""

MAX_QUESTION = 2000
"""Characters of a question that are read."""

_HERE = Path(__file__).parent
_LOCAL_ONLY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:"
)
_UNFINISHED = "The answer broke off with an unexpected error; the terminal shows the details."

Updates = dict[Any, Any]
"""New values by component, as Gradio takes them."""


def build(archive: Archive, *, wording: bool = True) -> gr.Blocks:
    """The page, not yet served. Without `wording` no language model is asked."""
    return _Chat(archive, wording).page


def start(
    archive: Archive,
    host: str = "127.0.0.1",
    port: int = 7860,
    *,
    open_browser: bool = False,
    wording: bool = True,
) -> gr.Blocks:
    """Serve the page in threads of its own and return; `local_url` is its address.

    Raises `NewsragError` when the port is taken.
    """
    chat = _Chat(archive, wording)
    _launch(chat.page, host, port, open_browser)
    return chat.page


def serve(
    archive: Archive,
    host: str = "127.0.0.1",
    port: int = 7860,
    open_browser: bool = True,
    *,
    wording: bool = True,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve the page until Ctrl-C. `started` is called with its address once it is up."""
    chat = _Chat(archive, wording)
    _launch(chat.page, host, port, open_browser)
    try:
        if started and chat.page.local_url:
            started(chat.page.local_url)
        while chat.page.is_running:
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        pass
    finally:
        chat.close()


@dataclass
class Conversation:
    """What one browser tab has asked, and whether an answer is under way."""

    turns: list[Turn] = field(default_factory=list)
    answering: bool = False
    stopping: bool = False

    @property
    def html(self) -> str:
        """The conversation as it stands."""
        return render.conversation_html(self.turns)

    def update(self, **changes: Any) -> None:
        """Change the last turn."""
        self.turns[-1] = replace(self.turns[-1], **changes)

    def add(self, event: Event) -> None:
        """Take in what the archive has to say next."""
        if isinstance(event, Evidence):
            self.update(evidence=event)
        elif isinstance(event, Sentence):
            self.update(sentences=(*self.turns[-1].sentences, event))
        elif isinstance(event, Answer):
            self.update(answer=event)


class _Feed(threading.Thread):
    """Reads events in one thread of its own, so that Stop does not wait for the language model."""

    def __init__(self, events: Callable[[], Iterator[Event]]) -> None:
        super().__init__(name="newsrag-answer", daemon=True)
        self._events = events
        self._queue: SimpleQueue[Event | NewsragError | None] = SimpleQueue()
        self._left = False

    def run(self) -> None:
        """Hand over each event until the end, an error, or the reader has left."""
        try:
            for event in self._events():
                self._queue.put(event)
                if self._left:
                    break
        except NewsragError as error:
            self._queue.put(error)
        finally:
            self._queue.put(None)

    def read(self, stopping: Callable[[], bool]) -> Iterator[Event | NewsragError]:
        """The events as they come, until `stopping` says so."""
        try:
            while not stopping():
                try:
                    item = self._queue.get(timeout=POLL_SECONDS)
                except Empty:
                    continue
                if item is None:
                    return
                yield item
        finally:
            self._left = True


class _Chat:
    """The page's components and what their events do."""

    def __init__(self, archive: Archive, wording: bool) -> None:
        self._archive = archive
        self._wording = wording
        self._closing = threading.Event()
        self.page = gr.Blocks(title="newsrag", analytics_enabled=False, fill_width=True)
        with self.page:
            self._state = gr.State(Conversation())
            self._lay_out()
            self._wire()

    def _lay_out(self) -> None:
        script = (_HERE / "chat.js").read_text(encoding="utf-8")
        with gr.Row(elem_id="nr-header"):
            gr.HTML("<h1>newsrag</h1>", apply_default_css=False, js_on_load=None)
            self._new = gr.Button("New conversation", size="sm", scale=0, elem_id="nr-new")
        with gr.Row(elem_id="nr-panes"):
            with gr.Column(elem_id="nr-left"):
                self._talk = gr.HTML(elem_id="nr-talk", apply_default_css=False, js_on_load=script)
                with gr.Row(elem_id="nr-ask"):
                    self._question = gr.Textbox(
                        label="Question",
                        show_label=False,
                        container=False,
                        placeholder="Ask a question",
                        lines=1,
                        max_lines=4,
                        max_length=MAX_QUESTION,
                        autofocus=True,
                        elem_id="nr-question",
                        html_attributes=gr.InputHTMLAttributes(autocomplete="off"),
                    )
                    self._ask = gr.Button("Ask", variant="primary", scale=0, min_width=88)
                    self._stop = gr.Button(
                        "Stop", variant="stop", scale=0, min_width=88, visible=False
                    )
            with gr.Column(elem_id="nr-right"):
                self._article = gr.HTML(
                    render.no_article_html(),
                    elem_id="nr-article",
                    apply_default_css=False,
                    js_on_load=script,
                )

    def _wire(self) -> None:
        """Connect the events; none of them is offered as a public API."""
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        controls = [self._talk, self._question, self._ask, self._stop, self._new]
        asking = {**quiet, "outputs": controls, "concurrency_limit": None}
        self.page.load(self.welcome, None, [self._talk, self._article], **quiet)
        gr.on(
            [self._question.submit, self._ask.click],
            self.answer,
            [self._question, self._state],
            **asking,
        )
        self._talk.ask(self.answer_example, [self._state], **asking)
        self._stop.click(self.stop, [self._state], None, **quiet)
        self._new.click(self.reset, [self._state], [self._talk, self._article], **quiet)
        for pane in (self._talk, self._article):
            pane.open(self.open_article, None, self._article, **quiet)

    def welcome(self) -> tuple[str, str]:
        """Both panes of a page just opened."""
        try:
            status = self._archive.status()
            examples = self._archive.example_questions() if status.articles else []
        except NewsragError as error:
            return render.error_html(str(error)), render.no_article_html()
        return render.welcome_html(status, examples), render.no_article_html()

    def reset(self, conversation: Conversation) -> tuple[str, str]:
        """Forget the conversation. The button is off while an answer is under way."""
        conversation.turns.clear()
        return self.welcome()

    def stop(self, conversation: Conversation) -> None:
        """Leave the answer under way at what is shown."""
        conversation.stopping = conversation.answering

    def answer_example(self, conversation: Conversation, event: gr.EventData) -> Iterator[Updates]:
        """Answer an example question."""
        yield from self.answer(str(_data(event).get("question", "")), conversation)

    def answer(self, question: str, conversation: Conversation) -> Iterator[Updates]:
        """Ask the archive and show what comes, piece by piece."""
        if not (question := question.strip()[:MAX_QUESTION]) or conversation.answering:
            yield {}
            return
        history = [(turn.question, turn.text) for turn in conversation.turns]
        conversation.turns.append(Turn(question))
        conversation.answering, conversation.stopping = True, False
        try:
            yield {self._talk: conversation.html, self._question: "", **self._controls(True)}
            feed = _Feed(
                lambda: self._archive.stream(question, history=history, wording=self._wording)
            )
            feed.start()
            for item in feed.read(lambda: conversation.stopping or self._closing.is_set()):
                if isinstance(item, NewsragError):
                    conversation.update(error=str(item))
                else:
                    conversation.add(item)
                yield {self._talk: conversation.html}
            conversation.stopping |= self._closing.is_set()
            _end(conversation)
        finally:
            conversation.answering = False
        yield {self._talk: conversation.html, **self._controls(False)}

    def open_article(self, event: gr.EventData) -> str:
        """The article of a citation or a passage, with its span highlighted."""
        data = _data(event)
        try:
            revision, start, end = (int(data[key]) for key in ("revision", "start", "end"))
            article = self._archive.article(str(data["article"]), revision)
        except (KeyError, TypeError, ValueError):
            return render.error_html("This passage cannot be opened: its address is not valid.")
        except NewsragError as error:
            return render.error_html(str(error))
        if not 0 <= start < end <= len(article.text):
            return render.error_html("This passage cannot be opened: it is outside its article.")
        return render.article_html(article, start, end, time.monotonic_ns())

    def close(self) -> None:
        """End the answers under way, then the server: it would wait for them for seconds."""
        self._closing.set()
        time.sleep(3 * POLL_SECONDS)
        self.page.close(verbose=False)

    def _controls(self, answering: bool) -> Updates:
        """Ask or Stop, as the moment needs."""
        return {
            self._ask: gr.update(visible=not answering),
            self._stop: gr.update(visible=answering),
            self._new: gr.update(interactive=not answering),
        }


def _launch(page: gr.Blocks, host: str, port: int, open_browser: bool) -> None:
    """Serve the page in threads of its own, and nothing but the page."""
    _check_free(host, port)
    style = (_HERE / "chat.css").read_text(encoding="utf-8")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_LOCAL_ONLY}">'
    page.launch(
        server_name=host,
        server_port=port,
        inbrowser=open_browser,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        ssr_mode=False,
        mcp_server=False,
        run_history=False,
        enable_monitoring=False,
        footer_links=[],
        theme=_theme(),
        head=f"{policy}<style>{style}</style>",
    )


def _check_free(host: str, port: int) -> None:
    """Raise `NewsragError` when nothing can listen there. Gradio's own error names no remedy."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise NewsragError(
            f"the chat cannot listen on {host}:{port} ({error.strerror}); "
            "choose another port with --port"
        ) from error


def _end(conversation: Conversation) -> None:
    """Say how the last answer ended, where it did not end with an answer."""
    turn = conversation.turns[-1]
    if turn.answer or turn.error:
        return
    if conversation.stopping:
        conversation.update(stopped=True)
    else:
        conversation.update(error=_UNFINISHED)


def _data(event: gr.EventData) -> dict[str, Any]:
    """What the browser sent along with an event: anything at all, so only a dict is taken."""
    data = event._data
    return data if isinstance(data, dict) else {}


def _theme() -> gr.themes.Base:
    """Calm colours, and fonts that are on the reader's machine: nothing is fetched."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.slate,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_sm,
        font=[gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")],
        font_mono=[gr.themes.Font("ui-monospace"), gr.themes.Font("monospace")],
    )
