// The view This service: who answers, the state of its store, the caller, and the limits.

import { hasToken, send, told, urlOf } from "./api.js";
import { ask, known } from "./caller.js";
import { bytes, duration, grouped, h, percent } from "./dom.js";
import { lookOf, marker } from "./releases.js";

const REFRESH_MS = 3000;
const STATES = {
  serving: "It answers.",
  loading: "It reads its data from disk.",
  starting: "It starts.",
  failing: "It does not answer. Requests get 503 until it does.",
};

export class ServiceView {
  #timer = 0;

  constructor(panel) {
    this.panel = panel;
    this.status = h("div", { class: "columns" });
    this.limits = h("section", { class: "card" });
    panel.append(this.status, this.limits);
  }

  show() {
    this.#refresh();
    this.#showLimits();
    this.#timer = setInterval(() => this.#refresh(), REFRESH_MS);
  }

  hide() {
    clearInterval(this.#timer);
  }

  callerChanged() {
    if (this.panel.hidden) return;
    this.#showLimits();
  }

  async #refresh() {
    const answer = await ask();
    const { version, track, pod } = answer.release;
    const cards = [
      card("Who answered", { Version: [marker(lookOf(answer.release)), version], Track: track, Pod: pod, Roles: known.status?.roles.join(", "), Status: known.status?.status }),
    ];
    if (answer.ok) cards.push(storeCard(known.status.store), callerCard(known.caller));
    else cards.push(card("No status", { Reason: told(answer) }));
    cards.push(this.#links());
    this.status.replaceChildren(...cards);
  }

  #links() {
    this.links ??= h("section", { class: "card" },
      h("h2", {}, "Read on"),
      h("ul", {},
        h("li", {}, h("a", { href: urlOf("docs").href }, "The API"), ", to read and to try"),
        h("li", {}, h("a", { href: urlOf("v1/openapi.json").href }, "OpenAPI document")),
        h("li", {}, "Metrics: ", h("code", {}, "/metrics"), " of the admin port, 9102 if nobody chose another. Browsers may not reach it."),
      ),
    );
    return this.links;
  }

  async #showLimits() {
    const answer = await send("GET", "v1/limits");
    const rows = answer.ok ? Object.entries(answer.json) : [];
    this.limits.replaceChildren(
      h("h2", {}, "Limits"),
      answer.ok
        ? h("dl", { class: "limits" }, rows.map(([name, value]) => h("div", {}, h("dt", {}, h("code", {}, name)), h("dd", { class: "number" }, withUnit(name, value)))))
        : h("p", { class: "quiet" }, told(answer)),
    );
  }
}

function card(title, facts) {
  return h("section", { class: "card" }, h("h2", {}, title),
    h("dl", { class: "facts" }, Object.entries(facts).filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
  );
}

function storeCard(store) {
  const facts = {
    State: h("span", { class: store.state === "serving" ? "good" : "bad" }, store.state),
    "": STATES[store.state] ?? "",
    Loaded: store.loaded_ratio === null ? "" : percent(store.loaded_ratio, 0),
    Error: store.error,
  };
  for (const { reason, last_seconds: last } of store.failures) facts[reason] = `${duration(last)} ago`;
  return card("Store", facts);
}

function callerCard(caller) {
  const prefixes = (list) => (list.length === 0 ? "none" : list.map((each) => each || "all").join(", "));
  return card("You", {
    Token: caller.token ?? (hasToken() ? "not asked for" : "none, and none is needed"),
    "May": caller.scopes.join(", ") || "nothing",
    Keys: prefixes(caller.keys),
    Counters: prefixes(caller.counters),
  });
}

function withUnit(name, value) {
  if (name.endsWith("_bytes")) return bytes(value);
  if (name.endsWith("_seconds")) return duration(value);
  if (name.endsWith("_ms")) return `${value} ms`;
  return grouped(value);
}
