// Runs once in each part of the pane of the sources. gr.HTML provides `element` (the part), `trigger`
// (an event to the server) and `watch` (called after the part was rendered anew).
// The events are "open" (article, revision, start, end) and "back" (to the sources).

const OPENS = 'button[data-event="open"]';
const NEXT = new Set(["j", "ArrowRight"]);
const PREVIOUS = new Set(["k", "ArrowLeft"]);
const BACK = new Set(["Escape", "Backspace"]);

/** @type {HTMLElement | null} what the article in view was opened from, here or beside the pane */
let pressed = null;
let returning = false;

/** What an event happened to: the page, where it happened to no element. @param {Event} event */
const at = ({ target }) => (target instanceof Element ? target : document.body);

/** @param {HTMLElement} button */
const place = ({ dataset }) =>
  JSON.stringify([dataset.article, dataset.revision, dataset.start, dataset.end]);

element.addEventListener("click", (event) => {
  const button = at(event).closest("button[data-event]");
  if (!button) return;
  const { event: kind = "", ...data } = button.dataset;
  returning = kind === "back";
  trigger(kind, data);
});

document.addEventListener(
  "click",
  (event) => {
    const button = at(event).closest(OPENS);
    if (button && !button.closest(".nr-bar")) pressed = button;
  },
  true,
);

element.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (at(event).closest("input, textarea, select, [contenteditable]")) return;
  if (element.querySelector(".nr-article") ? steer(event.key) : walk(event.key)) {
    event.preventDefault();
  }
});

// In an article: to the next or previous citation, or back. The arrows up and down scroll.
/** @param {string} key */
function steer(key) {
  const way = NEXT.has(key) ? "next" : PREVIOUS.has(key) ? "previous" : BACK.has(key) ? "back" : "";
  if (way) element.querySelector(`.nr-bar .nr-${way}`)?.click();
  return way !== "";
}

// Among the cards: to the next or previous one.
/** @param {string} key */
function walk(key) {
  const step =
    NEXT.has(key) || key === "ArrowDown" ? 1 : PREVIOUS.has(key) || key === "ArrowUp" ? -1 : 0;
  const titles = [...element.querySelectorAll(".nr-title")];
  const focused = document.activeElement;
  const here = titles.findIndex((title) => title.closest(".nr-card")?.contains(focused));
  titles[Math.min(Math.max(here + step, 0), titles.length - 1)]?.focus();
  return step !== 0;
}

watch("value", () => {
  const mark = element.querySelector("#nr-mark");
  if (mark) {
    mark.focus({ preventScroll: true });
    const tall = mark.getBoundingClientRect().height > window.innerHeight / 2;
    mark.scrollIntoView({ block: tall ? "start" : "center" });
  } else if (returning) {
    const origin = findOrigin();
    origin?.focus({ preventScroll: true });
    origin?.scrollIntoView({ block: "nearest" });
  }
  returning = false;
});

// The button that was pressed, or what opens the same place now that it is gone or covered.
function findOrigin() {
  /** @param {HTMLElement} button */
  const usable = (button) => button.isConnected && !button.closest("[inert]");
  const from = pressed;
  if (from && usable(from)) return from;
  const same = [...document.querySelectorAll(OPENS)].filter(
    (button) => from && usable(button) && place(button) === place(from),
  );
  const twin = same.find((button) => button.className === from?.className);
  return twin ?? same[0] ?? document.querySelector(".nr-sources .nr-title");
}

// Escape hides a sentence's popover until the pointer or the focus has left the sentence.
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") dismiss(".nr-sentence:is(:hover, :focus-within)");
});
document.addEventListener("click", (event) => {
  if (at(event).closest(".nr-cite")) dismiss(".nr-sentence:hover");
});
for (const arrival of ["pointerover", "focusin"]) {
  document.addEventListener(arrival, (event) => {
    for (const sentence of document.querySelectorAll(".nr-dismissed")) {
      const inside = sentence.contains(at(event)) || sentence.matches(":hover");
      if (!inside) sentence.classList.remove("nr-dismissed");
    }
  });
}

/** @param {string} sentences */
function dismiss(sentences) {
  for (const sentence of document.querySelectorAll(sentences)) {
    sentence.classList.add("nr-dismissed");
  }
}
