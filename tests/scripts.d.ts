// The types around ui/static/*.js: what gr.HTML hands to `js_on_load`, and what the scripts leave on
// the page for one another and for the `js` of Gradio's events. Each script runs as the body of a
// function of its own, so that these are parameters there, not globals.
// See https://www.gradio.app/docs/gradio/html

/** The HTML element of the component. */
declare const element: HTMLElement;

/** Sends an event to the server: to Python it is `gr.EventData`, with `data` in it. */
declare function trigger(event: string, data?: Record<string, unknown>): void;

/** Calls `then` when the server has changed the property and the component is rendered anew. */
declare function watch(property: "value", then: () => void): void;

interface Window {
  /** What belongs to the chat page as a whole; talk.js sets it up. */
  newsrag: Newsrag;
  /** In the archive page, the link that opened the article in view. */
  newsragPressed?: HTMLElement;
}

interface Newsrag {
  /** The button that opened the pane of the sources. */
  pressed?: HTMLElement;
  focus(exchange: string): void;
  mark(): void;
  address(shown: Shown): { __type__: "update"; label: string };
  take(given: string): Promise<void>;
}

/** The conversation that is shown, and its filters; days are written as year-month-day. */
type Shown = [
  conversation: string | null,
  asOf: string | null,
  since: string | null,
  until: string | null,
  outlets: string[] | null,
];

/** What `ui/keeping.py` hands over to be saved under a name, or copied where there is none. */
interface Handover {
  kind: "text" | "markdown" | "html";
  words: string;
  plain?: string;
  file?: string;
}

// What the scripts look for by class or name is HTML, never the SVG that the DOM's own types allow.
interface ParentNode {
  querySelector<Tag extends keyof HTMLElementTagNameMap>(
    selector: Tag,
  ): HTMLElementTagNameMap[Tag] | null;
  querySelector<Found extends Element = HTMLElement>(selector: string): Found | null;
  querySelectorAll<Tag extends keyof HTMLElementTagNameMap>(
    selector: Tag,
  ): NodeListOf<HTMLElementTagNameMap[Tag]>;
  querySelectorAll<Found extends Element = HTMLElement>(selector: string): NodeListOf<Found>;
}
interface Element {
  closest<Tag extends keyof HTMLElementTagNameMap>(
    selector: Tag,
  ): HTMLElementTagNameMap[Tag] | null;
  closest<Found extends Element = HTMLElement>(selector: string): Found | null;
}
