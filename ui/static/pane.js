// Runs once in each part of the pane of the sources. gr.HTML provides `element` (the part), `trigger`
// (an event to the server) and `watch` (called after the part was rendered anew).
// The events are "open" (article, revision, start, end) and "back" (to the sources).

const OPENS = 'button[data-event="open"]';
const NEXT = new Set(["j", "ArrowRight"]);
const PREVIOUS = new Set(["k", "ArrowLeft"]);
const BACK = new Set(["Escape", "Backspace"]);

let pressed = null; // what the article in view was opened from, in this pane or beside it
let returning = false;

const place = ({ dataset }) =>
  JSON.stringify([dataset.article, dataset.revision, dataset.start, dataset.end]);

element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-event]");
  if (!button) return;
  const { event: kind, ...data } = button.dataset;
  returning = kind === "back";
  trigger(kind, data);
});

document.addEventListener(
  "click",
  (event) => {
    const button = event.target.closest(OPENS);
    if (button && !button.closest(".nr-bar")) pressed = button;
  },
  true,
);

element.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  if (element.querySelector(".nr-article") ? steer(event.key) : walk(event.key)) {
    event.preventDefault();
  }
});

// In an article: to the next or previous citation, or back. The arrows up and down scroll.
function steer(key) {
  const way = NEXT.has(key) ? "next" : PREVIOUS.has(key) ? "previous" : BACK.has(key) ? "back" : "";
  if (way) element.querySelector(`.nr-bar .nr-${way}`)?.click();
  return way !== "";
}

// Among the cards: to the next or previous one.
function walk(key) {
  const step =
    NEXT.has(key) || key === "ArrowDown" ? 1 : PREVIOUS.has(key) || key === "ArrowUp" ? -1 : 0;
  const titles = [...element.querySelectorAll(".nr-title")];
  const at = titles.findIndex((title) => title.closest(".nr-card").contains(document.activeElement));
  titles[Math.min(Math.max(at + step, 0), titles.length - 1)]?.focus();
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
  const usable = (button) => button?.isConnected && !button.closest("[inert]");
  if (usable(pressed)) return pressed;
  const same = [...document.querySelectorAll(OPENS)].filter(
    (button) => pressed && usable(button) && place(button) === place(pressed),
  );
  const twin = same.find((button) => button.className === pressed.className);
  return twin ?? same[0] ?? document.querySelector(".nr-sources .nr-title");
}

// Escape hides a sentence's popover until the pointer or the focus has left the sentence.
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") dismiss(".nr-sentence:is(:hover, :focus-within)");
});
document.addEventListener("click", (event) => {
  if (event.target.closest(".nr-cite")) dismiss(".nr-sentence:hover");
});
for (const arrival of ["pointerover", "focusin"]) {
  document.addEventListener(arrival, ({ target }) => {
    for (const sentence of document.querySelectorAll(".nr-dismissed")) {
      const inside = sentence.contains(target) || sentence.matches(":hover");
      if (!inside) sentence.classList.remove("nr-dismissed");
    }
  });
}

function dismiss(sentences) {
  for (const sentence of document.querySelectorAll(sentences)) {
    sentence.classList.add("nr-dismissed");
  }
}
