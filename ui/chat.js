// Runs once in each of the two panes. gr.HTML provides `element` (the pane), `trigger` (an event
// to the server) and `watch` (called after the pane was rendered anew).

element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-event]");
  if (!button) return;
  const { event: kind, ...data } = button.dataset;
  if (kind === "open") {
    window.newsragPressed = button;
    trigger("open", data);
  } else if (kind === "ask") {
    trigger("ask", data);
  } else if (kind === "back") {
    const pressed = window.newsragPressed; // gone if its answer has changed since
    const target = pressed?.isConnected ? pressed : document.querySelector(".nr-turn:last-child");
    target?.focus({ preventScroll: true });
    target?.scrollIntoView({ block: "center" });
  }
});

let turns = 0;
watch("value", () => {
  const mark = element.querySelector("#nr-mark"); // an article was opened: go to the passage
  if (mark) {
    mark.focus({ preventScroll: true });
    mark.scrollIntoView({ block: "center" });
  }
  const asked = element.querySelectorAll(".nr-turn"); // a question was asked: bring it to the top
  if (asked.length > turns) asked[asked.length - 1].scrollIntoView({ block: "start" });
  turns = asked.length;
});
