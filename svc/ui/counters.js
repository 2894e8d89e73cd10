// The view Counters: live values, increments that can be sent again, and how each has moved.

import { counterPath, send, told } from "./api.js";
import { allow, may } from "./caller.js";
import { confirmed, duration, grouped, h, note, randomId, setText } from "./dom.js";
import { PrefixList, showState } from "./prefix_list.js";
import { Sparkline } from "./sparkline.js";

const compare = new Intl.Collator("en", { numeric: true }).compare;

export class CountersView {
  #rows = new Map();
  #timer = 0;

  constructor(panel) {
    this.panel = panel;
    this.state = h("span", { class: "state", role: "status" });
    this.list = new PrefixList(
      "v1/counters",
      (item) => item.name,
      (name, item) => this.#change(name, item),
      (state, text) => showState(this.state, state, text),
    );
    this.prefix = h("input", { id: "counter-prefix", type: "search", placeholder: "all counters", autocomplete: "off", spellcheck: false, input: () => this.#later(), "aria-keyshortcuts": "/" });
    this.more = h("button", { hidden: true, click: () => this.#more() }, "Load more");
    this.body = h("tbody");
    this.none = h("p", { class: "quiet", hidden: true }, "There are no counters here. An increment makes one.");
    panel.append(
      h("div", { class: "tools" }, h("label", { htmlFor: "counter-prefix" }, "Prefix"), this.prefix, h("span", { class: "grow" }), this.state),
      this.#buildForm(),
      h("div", { class: "card scroll", tabIndex: 0, role: "region", "aria-label": "Counters" },
        h("table", { class: "counters" },
          h("thead", {}, h("tr", {}, ["Counter", "Value", "Since this page is open", "Expires", "Change"].map((head, at) => h("th", { scope: "col", class: at === 1 ? "number" : "" }, head)))),
          this.body,
        ),
        this.none,
        this.more,
      ),
    );
  }

  show() {
    this.#load();
  }

  hide() {
    this.list.close();
  }

  callerChanged() {
    allow(this.submit, "write", "counters");
    for (const row of this.#rows.values()) this.#allow(row);
    if (!this.panel.hidden) this.#load();
  }

  press(key) {
    if (key !== "/") return false;
    this.prefix.focus();
    return true;
  }

  #buildForm() {
    this.name = h("input", { id: "counter-name", required: true, pattern: "[A-Za-z0-9._~:\\-]{1,128}", title: "1 to 128 of A-Z a-z 0-9 . _ ~ : -", autocomplete: "off", spellcheck: false, placeholder: "visits" });
    this.by = h("input", { id: "counter-by", required: true, pattern: "-?[0-9]{1,19}", title: "a whole number", value: "1", inputMode: "numeric", class: "number", size: 8 });
    this.key = h("input", { id: "counter-key", value: randomId(), autocomplete: "off", spellcheck: false, size: 26, title: "1 to 255 visible ASCII characters" });
    this.submit = h("button", { type: "submit", class: "primary" }, "Increment");
    this.said = h("output", { class: "number", htmlFor: "counter-name counter-by counter-key" });
    return h(
      "form",
      {
        class: "tools card",
        submit: (event) => {
          event.preventDefault();
          this.#increment(this.name.value, this.by.value, this.key.value, (text) => setText(this.said, text));
        },
      },
      h("label", { htmlFor: "counter-name" }, "Counter"), this.name,
      h("label", { htmlFor: "counter-by" }, "by"), this.by,
      h("label", { htmlFor: "counter-key" }, "Idempotency-Key"), this.key,
      h("button", { type: "button", click: () => (this.key.value = randomId()) }, "New key"),
      this.submit,
      this.said,
    );
  }

  /** Increment once, however often it is sent: with the same key, the answer is the first one. */
  async #increment(name, by, key, say) {
    const headers = { "Content-Type": "application/json", ...(key ? { "Idempotency-Key": `"${key}"` } : {}) };
    const answer = await send("POST", `${counterPath(name)}/increments`, { headers, body: `{"by":${by}}` });
    if (!answer.ok) {
      note(told(answer), "bad");
      return say("");
    }
    const replayed = answer.headers.get("Idempotency-Replayed") === "true";
    const { value_text: value, applied_by: applied } = answer.json;
    say(replayed ? `${grouped(value)}: sent again, not counted again` : `${grouped(value)} (${applied < 0 ? "−" : "+"}${String(applied).replace("-", "")})`);
    if (!replayed && name.startsWith(this.list.prefix)) {
      // Shown at once. The watch tells it too, and what came meanwhile.
      const item = { ...(this.list.items.get(name) ?? { name, ttl: null }), value_text: value };
      this.list.items.set(name, item);
      this.#change(name, item);
    }
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#load(), 250);
  }

  async #load() {
    if (!may("read", "counters")) {
      this.list.close();
      this.list.items.clear();
      showState(this.state, "off", "your token lacks the scope read");
    } else await this.list.open(this.prefix.value);
    this.#drawAll();
  }

  async #more() {
    const wrong = await this.list.more();
    if (wrong) note(wrong, "bad");
    this.#drawAll();
  }

  #drawAll() {
    for (const name of this.#rows.keys()) if (!this.list.items.has(name)) this.#remove(name);
    for (const [name, item] of this.list.items) this.#change(name, item);
    this.more.hidden = !this.list.hasMore;
    this.none.hidden = this.#rows.size > 0;
  }

  #change(name, item) {
    if (item === null) return this.#remove(name);
    if (!this.#rows.has(name)) this.#add(name);
    const row = this.#rows.get(name);
    const text = grouped(item.value_text);
    if (row.value.textContent !== text) {
      if (row.value.textContent) row.value.classList.toggle("tick");
      setText(row.value, text);
      row.sparkline.add(Number(item.value_text), Date.now());
    }
    setText(row.ttl, duration(item.ttl));
    this.none.hidden = true;
  }

  #add(name) {
    const step = (by) => () => this.#increment(name, by, randomId(), () => {});
    const row = {
      name,
      value: h("td", { class: "number value" }),
      ttl: h("td", { class: "quiet" }),
      sparkline: new Sparkline(name),
      minus: h("button", { "aria-label": `${name}: subtract 1`, click: step("-1") }, "−1"),
      plus: h("button", { "aria-label": `${name}: add 1`, click: step("1") }, "+1"),
      remove: h("button", { class: "danger", "aria-label": `Delete ${name}`, click: () => this.#delete(name) }, "Delete"),
    };
    this.#rows.set(name, row);
    row.element = h("tr", { data: { counter: name } },
      h("th", { scope: "row" }, name), row.value, h("td", {}, row.sparkline.svg), row.ttl,
      h("td", {}, h("div", { class: "buttons" }, row.minus, row.plus, row.remove)),
    );
    this.#allow(row);
    const next = [...this.body.children].find((each) => compare(each.dataset.counter, name) > 0);
    this.body.insertBefore(row.element, next ?? null);
  }

  #allow(row) {
    allow(row.minus, "write", "counters", row.name);
    allow(row.plus, "write", "counters", row.name);
    allow(row.remove, "delete", "counters", row.name);
  }

  #remove(name) {
    this.#rows.get(name)?.element.remove();
    this.#rows.delete(name);
    this.none.hidden = this.#rows.size > 0;
  }

  async #delete(name) {
    if (!(await confirmed(`Delete the counter ${name}?`, "Delete"))) return;
    const answer = await send("DELETE", counterPath(name));
    if (answer.ok || answer.status === 404) {
      this.list.items.delete(name);
      this.#remove(name);
    } else note(told(answer), "bad");
  }
}
