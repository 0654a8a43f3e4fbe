// Runs once in the list of articles and once in the article's pane. gr.HTML provides `element` (the
// pane), `trigger` (an event to the server) and `watch` (called after the pane was rendered anew).

const named = () => new URL(location.href).searchParams.get("article") ?? "";

/** What an event happened to: the page, where it happened to no element. @param {Event} event */
const at = ({ target }) => (target instanceof Element ? target : document.body);

element.addEventListener("click", (event) => {
  const pressed = at(event).closest("[data-event]");
  if (!pressed || event.ctrlKey || event.metaKey || event.shiftKey) return; // a link in a new tab
  event.preventDefault();
  if (pressed.dataset.event === "more") trigger("more");
  else {
    window.newsragPressed = pressed;
    trigger("open", { article: pressed.dataset.article });
  }
});

// gr.DateTime names neither its field nor its button for a screen reader.
function nameDays() {
  for (const box of document.querySelectorAll("#nr-archive .timebox:not([data-named])")) {
    const label = box.parentElement?.querySelector("[data-testid=block-info]")?.textContent.trim();
    if (!label) continue;
    box.querySelector("input")?.setAttribute("aria-label", `${label}, as year-month-day`);
    box.querySelector("button")?.setAttribute("aria-label", `${label}: choose a day`);
    box.dataset.named = "";
  }
}

if (element.id === "nr-stored" || element.closest("#nr-stored")) {
  nameDays();
  new MutationObserver(nameDays).observe(document.querySelector("#nr-archive") ?? document.body, {
    childList: true,
    subtree: true,
  });

  // The address names the open article, so that it can be kept, sent and gone back to.
  addEventListener("popstate", () => trigger("open", { article: named() }));
  watch("value", () => {
    const article = element.querySelector("article");
    const id = article?.dataset.article ?? "";
    if (id !== named()) {
      const address = new URL(location.href);
      if (id) address.searchParams.set("article", id);
      else address.searchParams.delete("article");
      history.pushState(null, "", address);
    }
    if (article) {
      article.querySelector("h2")?.focus({ preventScroll: true });
      document.querySelector("#nr-controls")?.scrollIntoView({ block: "nearest" });
    } else if (window.newsragPressed?.isConnected) window.newsragPressed.focus();
  });
}
