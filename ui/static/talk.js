// Runs once in each component of the conversation's side. gr.HTML provides `element` (the component),
// `trigger` (an event to the server) and `watch` (called after the component was rendered anew).
// The events that it sends, which Gradio has to find here by name:
// "open" "show_sources" "alter" "reword" "retry" "example" "copy_answer" "rate" (of an exchange)
// "cancel" (an edit) "export" "select" "rename" "erase" (a conversation)

const wide = () => matchMedia("(min-width: 900px)").matches;
/** @param {boolean} on */
const covered = (on) => {
  document.body.classList.toggle("nr-pane-open", on);
  const left = document.querySelector("#nr-left");
  if (left) left.inert = on && !wide();
};
/** @param {boolean} open */
const put = (open) => {
  const drawer = document.querySelector("#nr-sidebar");
  if (drawer && drawer.classList.contains("open") !== open) {
    drawer.querySelector(".toggle-button")?.click();
  }
};
/** What an event happened to: the page, where it happened to no element. @param {Event} event */
const at = ({ target }) => (target instanceof Element ? target : document.body);

element.addEventListener("click", (event) => {
  const button = at(event).closest("button");
  if (!button) return;
  const turn = button.closest(".nr-turn");
  if (turn && button.matches(".nr-thumb, .nr-save-note")) rate(button, turn);
  else if (button.matches(".nr-close")) uncover();
  else if (button.dataset.dialog) ask(button);
  else if (button.dataset.event) send(button, turn);
  /** @type {HTMLDetailsElement | null} */
  const menu = button.closest(".nr-menu");
  if (menu) menu.open = false;
});

/** @param {HTMLElement} button @param {HTMLElement | null} turn */
function send(button, turn) {
  const { event: kind = "", ...data } = button.dataset;
  if (turn) data.exchange = turn.dataset.exchange;
  if (kind === "open" || kind === "show_sources") {
    window.newsrag.pressed = button;
    window.newsrag.focus(data.exchange ?? "");
    covered(true);
  }
  if (kind === "select" && !wide()) put(false);
  if (kind === "alter" || kind === "reword") {
    document.querySelector("#nr-question textarea")?.focus();
  }
  trigger(kind, { ...data, reword: kind === "reword" });
}

function uncover() {
  covered(false);
  window.newsrag.pressed?.focus();
}

// A thumb that is pressed again is taken back; the note goes along, as both are kept as one.
/** @param {HTMLElement} button @param {HTMLElement} turn */
function rate(button, turn) {
  const thumbs = [...turn.querySelectorAll(".nr-thumb")];
  if (button.matches(".nr-thumb")) {
    const pressed = button.getAttribute("aria-pressed") !== "true";
    for (const thumb of thumbs) {
      thumb.setAttribute("aria-pressed", String(thumb === button && pressed));
    }
  }
  const noting = turn.querySelector(".nr-noting");
  const note = noting?.querySelector("textarea")?.value.trim() ?? "";
  const told = noting?.querySelector("summary");
  if (told) told.textContent = note ? "Note ✓" : "Note";
  const chosen = thumbs.find((thumb) => thumb.getAttribute("aria-pressed") === "true");
  const thumb = chosen ? chosen.dataset.thumb : "";
  trigger("rate", { exchange: turn.dataset.exchange, thumb, note });
}

// The dialogs to rename and to delete a conversation: a button opens one, its form sends the event.
/** @param {HTMLElement} button */
function ask(button) {
  const { dialog: kind, conversation = "", title = "" } = button.dataset;
  /** @type {HTMLDialogElement | null} */
  const dialog = document.querySelector(`#nr-${kind}`);
  if (!dialog) return;
  dialog.dataset.conversation = conversation;
  const field = dialog.querySelector("input");
  if (field) field.value = title;
  const erased = dialog.querySelector(".nr-erased");
  if (erased) erased.textContent = title;
  dialog.returnValue = "";
  dialog.showModal();
}

for (const dialog of element.querySelectorAll("dialog")) {
  dialog.addEventListener("close", () => {
    const data = { conversation: dialog.dataset.conversation };
    if (dialog.returnValue === "rename") {
      trigger("rename", { ...data, title: dialog.querySelector("input")?.value });
    } else if (dialog.returnValue === "erase") trigger("erase", data);
  });
}

// A question that was asked comes to the top, once; what streams in then moves nothing.
let shown = "";
watch("value", () => {
  const turn = element.querySelector(".nr-turn:last-child");
  if (!element.closest("#nr-latest") || !turn) return;
  window.newsrag.mark();
  if (turn.dataset.exchange === shown) return;
  shown = turn.dataset.exchange ?? "";
  window.newsrag.focus(shown);
  requestAnimationFrame(() => turn.scrollIntoView({ block: "start" }));
});

// What belongs to the page as a whole, set up by whichever component comes first.
window.newsrag ??= (() => {
  let inFocus = "";

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    /** @type {HTMLDetailsElement | null} */
    const menu = document.querySelector(".nr-menu[open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary")?.focus();
    } else if (document.querySelector(".nr-running") && !at(event).closest("#nr-right")) {
      document.querySelector("#nr-stop")?.click();
    }
  });
  document.addEventListener("click", (event) => {
    /** @type {NodeListOf<HTMLDetailsElement>} */
    const menus = document.querySelectorAll(".nr-menu[open]");
    for (const menu of menus) {
      if (!menu.contains(at(event))) menu.open = false;
    }
  });
  matchMedia("(min-width: 900px)").addEventListener("change", () => covered(false));

  return {
    // The answer in focus is marked: its sources are in the other pane.
    focus(exchange) {
      inFocus = exchange;
      this.mark();
    },
    mark() {
      for (const turn of document.querySelectorAll(".nr-turn")) {
        turn.classList.toggle("nr-in-focus", turn.dataset.exchange === inFocus);
      }
    },
    // The address names what is shown, so that a link shows it again. Gives the heading of the
    // filters, with how many are set, as Gradio takes it.
    address([conversation, asOf, since, until, outlets]) {
      const address = new URL(location.href);
      const named = { c: conversation, as_of: asOf, since, until };
      for (const [name, value] of Object.entries(named)) {
        if (value) address.searchParams.set(name, value);
        else address.searchParams.delete(name);
      }
      address.searchParams.delete("source");
      for (const outlet of outlets ?? []) address.searchParams.append("source", outlet);
      if (address.href !== location.href) history.replaceState(history.state, "", address);
      const set = [asOf, since, until, (outlets ?? []).length].filter(Boolean).length;
      return { __type__: "update", label: set ? `Filters (${set})` : "Filters" };
    },
    // What the server made to take along: a file with a name, or something for the clipboard.
    async take(given) {
      if (!given) return;
      /** @type {Handover} */
      const { kind, words, plain = "", file } = JSON.parse(given);
      const type = { text: "text/plain", markdown: "text/markdown", html: "text/html" }[kind];
      if (file) {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([words], { type: `${type};charset=utf-8` }));
        link.download = file;
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 1000);
        return;
      }
      copy(kind === "html" ? { "text/html": words, "text/plain": plain } : { "text/plain": words });
      say("Copied");
    },
  };
})();

// A copy event of our own: unlike navigator.clipboard it needs neither TLS nor a permission.
/** @param {Record<string, string>} flavours by media type */
function copy(flavours) {
  /** @param {ClipboardEvent} event */
  const fill = (event) => {
    for (const [type, words] of Object.entries(flavours)) event.clipboardData?.setData(type, words);
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  document.addEventListener("copy", fill, { capture: true, once: true });
  document.execCommand("copy");
  document.removeEventListener("copy", fill, { capture: true });
}

/** @param {string} words */
function say(words) {
  const told = document.createElement("p");
  told.className = "nr-said";
  told.setAttribute("role", "status");
  document.body.append(told);
  told.textContent = words;
  setTimeout(() => told.remove(), 2000);
}

// Gradio's date fields have no labels that a screen reader finds, so they get them here.
if (element.closest("#nr-talk")) {
  const label = () => {
    for (const field of document.querySelectorAll("#nr-narrow .timebox")) {
      const name = field.previousElementSibling?.textContent.trim();
      if (!name) continue;
      field.querySelector("input")?.setAttribute("aria-label", `${name}, as year-month-day`);
      field.querySelector("button")?.setAttribute("aria-label", `${name}: choose a day`);
    }
  };
  new MutationObserver(label).observe(document.querySelector("#nr-narrow") ?? document.body, {
    childList: true,
    subtree: true,
  });
  label();
  if (matchMedia("(min-width: 1200px)").matches) put(true);
}
