"""The page about the archive: what is in it, one article, and adding and deleting articles.

The browser is trusted with nothing: ids and days that it sends are looked up and checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from rag import Archive, Failure, NewsragError
from ui import bars
from ui import overview_html as html
from ui.adding import Adding, Item, addresses, pasted, uploaded
from ui.render import error_html

PAGE = 20
"""Articles that the list shows at first, and that "Show more" adds."""

MAX_LISTED = 1000
MAX_WORDS = 500
MAX_ADDRESSES = 10_000

_KINDS = (
    "Files: .txt .md .html .json .jsonl .csv .tsv .pdf .docx .eml .mbox .warc, "
    "any of them in .zip, .gz or .zst"
)
_SCRIPT = Path(__file__).parent / "static" / "archive.js"
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_UNFINISHED = "The adding broke off with an unexpected error; the terminal shows the details."

Updates = dict[Any, Any]
"""New values by component, as Gradio takes them."""


def lay_out(archive: Archive) -> None:
    """Put the page into the `gr.Blocks` that is open, and connect its events."""
    _Page(archive)


class _Page:
    """The page's components and what their events do."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._opened = gr.State("")
        self._limit = gr.State(PAGE)
        with gr.Row(elem_id="nr-archive-head"):  # it keeps the room until its part is loaded
            self._head = _plain()
        with gr.Row(elem_id="nr-archive"):
            with gr.Column(elem_id="nr-index"):
                self._lay_out_index()
            with gr.Column(elem_id="nr-detail"):
                self._told = _plain(elem_id="nr-told")
                with gr.Column(elem_id="nr-open"):
                    self._lay_out_article()
                with gr.Column(elem_id="nr-overview"):
                    self._lay_out_plots()
                    self._lay_out_adding()
        self._wire()

    # -- layout -------------------------------------------------------------------------------

    def _lay_out_index(self) -> None:
        with gr.Column(elem_id="nr-search"):
            self._words = gr.Textbox(
                label="Search titles and texts",
                placeholder="All these words",
                max_length=MAX_WORDS,
                submit_btn="Search",
                html_attributes=gr.InputHTMLAttributes(autocomplete="off", enterkeyhint="search"),
                elem_id="nr-words",
            )
            with gr.Row(elem_id="nr-filters"):
                self._outlets = gr.Dropdown(
                    [], multiselect=True, label="Outlets", elem_id="nr-outlets"
                )
                self._since = _day_field("From day")
                self._until = _day_field("To day")
        self._list = _scripted("nr-list")

    def _lay_out_article(self) -> None:
        with gr.Row(elem_id="nr-controls"):
            self._back = gr.Button("Back", size="sm", scale=0, min_width=100)
            self._delete = gr.Button("Delete article", size="sm", scale=0, min_width=140)
        with gr.Row(elem_id="nr-confirm", visible=False) as self._confirm:
            _plain(
                '<p role="alert">Delete this article for good? '
                "Answers that cite it will have lost their source.</p>"
            )
            self._sure = gr.Button("Delete", variant="stop", size="sm", scale=0, min_width=110)
            self._keep = gr.Button("Keep it", size="sm", scale=0, min_width=110, elem_id="nr-keep")
        self._article = _scripted("nr-stored")

    def _lay_out_plots(self) -> None:
        self._plots = []
        with gr.Column(elem_id="nr-by-time-place"):  # it keeps the room until the plot is drawn
            by_time = _plot("nr-by-time", "Articles over time", "x", 230)
            time_table = _plain(elem_id="nr-by-time-table")
        with gr.Column(elem_id="nr-by-outlet-place"):
            by_outlet = _plot("nr-by-outlet", "Articles by outlet", "-y", 290)
            outlet_table = _plain(elem_id="nr-by-outlet-table")
        self._plots = [(by_time, time_table), (by_outlet, outlet_table)]

    def _lay_out_adding(self) -> None:
        _plain("<h2>Add articles</h2>", elem_id="nr-add")
        with gr.Tabs():
            with gr.Tab("Files"):
                self._files = gr.File(
                    file_count="multiple",
                    label=_KINDS,
                    height=150,
                    elem_id="nr-files",
                )
            with gr.Tab("Paste"):
                self._title = gr.Textbox(label="Title", max_length=1000)
                with gr.Row():
                    self._outlet = gr.Textbox(label="Outlet", max_length=1000)
                    self._published = gr.Textbox(
                        label="Date", placeholder="YYYY-MM-DD", max_length=40
                    )
                self._text = gr.Textbox(label="Text", lines=6, max_lines=12)
                self._paste = gr.Button("Add this article", variant="primary")
            with gr.Tab("Web address"):
                self._urls = gr.Textbox(
                    label="Addresses of articles or feeds, one a line",
                    placeholder="https://",
                    lines=3,
                    max_lines=8,
                    max_length=MAX_ADDRESSES,
                )
                self._fetch = gr.Button("Fetch and add", variant="primary")
        self._progress = _plain(elem_id="nr-progress")

    # -- events -------------------------------------------------------------------------------

    def _wire(self) -> None:
        """Connect the events; none of them is offered as a public API."""
        filters: list[Any] = [self._words, self._outlets, self._since, self._until]
        listed = {**_QUIET, "outputs": [self._list, self._limit]}
        overview = [self._head, self._outlets, *(part for pair in self._plots for part in pair)]
        article = [self._article, self._opened, self._delete, self._confirm, self._told]
        gr.on(
            None,
            self.open_page,
            [],
            [*overview, self._list, self._limit, *article],
            **_QUIET,
        )
        gr.on(
            [self._words.submit, *(part.change for part in filters[1:])],
            self.search,
            filters,
            trigger_mode="always_last",
            **listed,
        )
        self._list.more(self.show_more, [self._limit, *filters], **listed)
        for pane in (self._list, self._article):
            pane.open(self.open_article, None, article, **_QUIET)
        self._back.click(self.close_article, None, article, **_QUIET)
        self._wire_deletion(filters, listed, overview, article)
        self._wire_adding(filters, listed, overview)

    def _wire_deletion(
        self, filters: list[Any], listed: dict[str, Any], overview: list[Any], article: list[Any]
    ) -> None:
        focus = "() => setTimeout(() => document.querySelector('#nr-keep')?.focus(), 50)"
        asked = self._delete.click(lambda: gr.update(visible=True), None, self._confirm, **_QUIET)
        asked.then(None, None, None, js=focus)
        self._keep.click(lambda: gr.update(visible=False), None, self._confirm, **_QUIET)
        deleted = self._sure.click(self.delete, self._opened, article, **_QUIET)
        deleted.then(self.overview, None, overview, **_QUIET).then(self.search, filters, **listed)

    def _wire_adding(self, filters: list[Any], listed: dict[str, Any], overview: list[Any]) -> None:
        form = [self._title, self._outlet, self._published, self._text]
        outputs = [self._progress, self._files, self._paste, self._fetch, self._urls, *form]
        adding: dict[str, Any] = {**_QUIET, "outputs": outputs, "concurrency_limit": None}
        for added in (
            self._files.upload(self.add_files, self._files, **adding),
            self._paste.click(self.add_pasted, form, **adding),
            self._fetch.click(self.add_addresses, self._urls, **adding),
        ):
            added.then(self.overview, None, overview, **_QUIET).then(self.search, filters, **listed)

    def open_page(self, request: gr.Request) -> Updates:
        """All of the page, with the article that its address names."""
        article_id = str(request.query_params.get("article", ""))
        listed = dict(zip((self._list, self._limit), self.search("", [], None, None), strict=True))
        return {**self.overview(), **listed, **self._show(article_id)}

    def overview(self) -> Updates:
        """What is in the archive: the head, the outlets to choose from, the plots."""
        try:
            status, days = self._archive.status(), self._archive.days()
            outlets = self._archive.sources()
        except NewsragError as error:
            return {self._head: error_html(str(error))}
        updates: Updates = {
            self._head: html.summary_html(status, len(outlets)),
            self._outlets: gr.update(choices=outlets),
        }
        counted = (bars.by_time(days), bars.by_outlet(days))
        for (plot, table), counts in zip(self._plots, counted, strict=True):
            updates[plot] = _drawn(counts)
            updates[table] = html.table_html(counts)
        return updates

    def search(
        self, words: str, outlets: list[str], since: str | None, until: str | None
    ) -> tuple[str, int]:
        """The list from its beginning."""
        return self.show_more(0, words, outlets, since, until)

    def show_more(
        self, limit: int, words: str, outlets: list[str], since: str | None, until: str | None
    ) -> tuple[str, int]:
        """The list with one page of articles more than `limit`."""
        limit = min(limit + PAGE, MAX_LISTED)
        words = (words or "").strip()[:MAX_WORDS]
        try:
            first, last = _day(since), _day(until)
            found = self._archive.find(
                words, limit + 1, source=outlets or None, since=first, until=last
            )
        except NewsragError as error:
            return error_html(str(error)), limit
        searched = bool(words or outlets or first or last)
        more = limit < min(len(found), MAX_LISTED)
        return html.list_html(found[:limit], searched=searched, more=more), limit

    def open_article(self, event: gr.EventData) -> Updates:
        """The article that the browser names; without a name, the overview."""
        data = event._data
        return self._show(str(data.get("article", "")) if isinstance(data, dict) else "")

    def close_article(self) -> Updates:
        """The overview in place of the article."""
        return self._show("")

    def delete(self, article_id: str) -> Updates:
        """Remove the open article; it was confirmed."""
        try:
            title = self._archive.article(article_id).title
            self._archive.delete(article_id)
        except NewsragError as error:
            return {self._told: error_html(str(error)), self._confirm: gr.update(visible=False)}
        return {**self._show(""), self._told: html.deleted_html(title)}

    def add_files(self, paths: list[str] | None) -> Iterator[Updates]:
        """Add what was dropped. The files are removed once they are read."""
        yield from self._add(uploaded(paths or []))

    def add_pasted(
        self, title: str, outlet: str, published: str | None, text: str
    ) -> Iterator[Updates]:
        """Add one article that was typed or pasted."""
        try:
            when = _day(published)
        except NewsragError as error:
            yield {self._progress: error_html(str(error))}
            return
        form = [self._title, self._outlet, self._published, self._text]
        item = pasted(title, outlet, when.isoformat() if when else "", text)
        yield from self._add([item], clears=form)

    def add_addresses(self, lines: str) -> Iterator[Updates]:
        """Fetch articles from the web and add them."""
        items, failures = addresses((lines or "")[:MAX_ADDRESSES])
        yield from self._add(items, failures, clears=[self._urls])

    def _add(
        self, items: Sequence[Item], failures: Sequence[Failure] = (), clears: Sequence[Any] = ()
    ) -> Iterator[Updates]:
        """Add the items and say how far it is; `clears` are emptied if all of them were added."""
        if not items and not failures:
            yield {self._progress: error_html("There is nothing to add.")}
            return
        adding = Adding(self._archive, items, failures)
        adding.start()
        yield {self._files: gr.update(value=None, interactive=False), **self._buttons(False)}
        for progress in adding.watch():
            yield {self._progress: html.progress_html(progress)}
        last = adding.progress
        complete = last.over and not last.failed and not last.error
        yield {
            **({} if last.over else {self._progress: error_html(_UNFINISHED)}),
            **(dict.fromkeys(clears, None) if complete else {}),
            self._files: gr.update(interactive=True),
            **self._buttons(True),
        }

    def _show(self, article_id: str) -> Updates:
        """One article, or the overview where `article_id` is empty."""
        shown, opened = "", ""
        if article_id:
            try:
                article = self._archive.article(article_id)
                shown = html.article_html(article, self._archive.passages(article_id))
                opened = article_id
            except NewsragError as error:
                shown = html.no_article_html(str(error))
        return {
            self._article: shown,
            self._opened: opened,
            self._delete: gr.update(visible=bool(opened)),
            self._confirm: gr.update(visible=False),
            self._told: "",
        }

    def _buttons(self, interactive: bool) -> Updates:
        return {button: gr.update(interactive=interactive) for button in (self._paste, self._fetch)}


def _plain(value: str = "", *, elem_id: str | None = None) -> gr.HTML:
    return gr.HTML(value, elem_id=elem_id, apply_default_css=False, js_on_load=None)


def _scripted(elem_id: str) -> gr.HTML:
    script = _SCRIPT.read_text(encoding="utf-8")
    return gr.HTML(elem_id=elem_id, apply_default_css=False, js_on_load=script)


def _day_field(label: str) -> gr.DateTime:
    return gr.DateTime(label=label, include_time=False, type="string", min_width=120)


def _plot(elem_id: str, title: str, sort: Literal["x", "-y"], height: int) -> gr.BarPlot:
    return gr.BarPlot(
        elem_id=elem_id,
        title=title,
        x="label",
        y="articles",
        x_title=" ",
        y_title="Articles",
        y_lim=[0, None],
        x_label_angle=-60,
        sort=sort,
        height=height,
    )


def _drawn(counted: bars.Bars) -> Any:
    """The plot of these bars, in their order; the table beside it tells the same."""
    rows = [list(row) for row in zip(counted.short_labels, counted.counts, strict=True)]
    data = {
        "columns": ["label", "articles"],
        "data": rows,
        "datatypes": {"label": "nominal", "articles": "quantitative"},
        "mark": "bar",
    }
    return gr.update(value=data)  # no other property: the plot would be drawn with the old value


def _day(value: str | None) -> date | None:
    """The day that was typed. Raises `NewsragError` where it is none."""
    typed = (value or "").strip()
    try:
        return date.fromisoformat(typed) if typed else None
    except ValueError as error:
        raise NewsragError(f'"{typed[:40]}" is not a day such as 2024-03-09') from error
