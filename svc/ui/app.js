// The page: its views, the keyboard, and who the caller is. Start reading here.

import { ask, enterToken, known, onCaller } from "./caller.js";
import { CountersView } from "./counters.js";
import { h } from "./dom.js";
import { EntriesView } from "./entries.js";
import { ServiceView } from "./service.js";
import { TrafficView } from "./traffic.js";

const NAMES = ["traffic", "entries", "counters", "service"];
const tabs = Object.fromEntries(NAMES.map((name) => [name, document.getElementById(`tab-${name}`)]));
const panels = Object.fromEntries(NAMES.map((name) => [name, document.getElementById(name)]));
const views = {
  traffic: new TrafficView(panels.traffic),
  entries: new EntriesView(panels.entries),
  counters: new CountersView(panels.counters),
  service: new ServiceView(panels.service),
};
let shown = null;
let usesShortcuts = true;

function show(name) {
  if (shown === name) return;
  if (shown !== null) views[shown].hide();
  shown = name;
  for (const each of NAMES) {
    tabs[each].setAttribute("aria-selected", String(each === name));
    tabs[each].tabIndex = each === name ? 0 : -1;
    panels[each].hidden = each !== name;
  }
  history.replaceState(null, "", `#${name}`);
  views[name].show();
}

for (const [at, name] of NAMES.entries()) {
  tabs[name].addEventListener("click", () => show(name));
  tabs[name].addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const to = event.key === "Home" ? 0 : event.key === "End" ? NAMES.length - 1 : at + (step ?? 0);
    if (step === undefined && event.key !== "Home" && event.key !== "End") return;
    event.preventDefault();
    const next = NAMES[(to + NAMES.length) % NAMES.length];
    show(next);
    tabs[next].focus();
  });
}

const SHORTCUTS = [
  ["1 2 3 4", "show a view"],
  ["← →", "go from tab to tab"],
  ["Space", "Traffic: start and pause"],
  ["/", "Entries, Counters: the prefix"],
  ["↑ ↓ ← →", "Entries: go through the tree, open and close a branch"],
  ["n", "Entries: a new entry"],
  ["e", "Entries: edit the one that is open"],
  ["Esc", "leave the editor or a dialog"],
  ["t", "enter a token"],
  ["?", "this list"],
];

function showHelp() {
  const toggle = h("input", { type: "checkbox", checked: usesShortcuts, change: () => (usesShortcuts = toggle.checked) });
  const dialog = h(
    "dialog",
    { "aria-label": "Keyboard shortcuts", close: () => dialog.remove() },
    h("form", { method: "dialog" },
      h("h2", {}, "Keyboard"),
      h("table", {}, h("tbody", {}, SHORTCUTS.map(([keys, what]) => h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, keys)), h("td", {}, what))))),
      h("label", { class: "inline" }, toggle, " single keys are shortcuts"),
      h("div", { class: "buttons" }, h("button", {}, "Close")),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}

document.getElementById("help").addEventListener("click", showHelp);
document.getElementById("token").addEventListener("click", enterToken);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key !== "Escape" && (event.target.closest("input:not([type=checkbox],[type=range]), textarea, select") || !usesShortcuts)) return;
  if (event.key === " " && event.target.closest("button, input, a, [role=treeitem]")) return;
  const name = NAMES[Number(event.key) - 1];
  if (name) show(name);
  else if (event.key === "t") enterToken();
  else if (event.key === "?") showHelp();
  else if (!views[shown].press?.(event.key)) return;
  event.preventDefault();
});

onCaller(() => {
  for (const view of Object.values(views)) view.callerChanged();
});

await ask();
const wanted = location.hash.slice(1);
show(NAMES.includes(wanted) ? wanted : "traffic");
if (known.needsToken) enterToken();
