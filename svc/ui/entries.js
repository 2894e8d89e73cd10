// The view Entries: the tree of keys under a prefix, and the entry that is open.

import { entryPath } from "./api.js";
import { allow, may } from "./caller.js";
import { h, note, setText } from "./dom.js";
import { EntryPanel } from "./entry.js";
import { PrefixList, showState } from "./prefix_list.js";
import { KeyTree } from "./tree.js";
import { Watch } from "./watch.js";

/** Changes that come together are drawn together. */
const DRAW_MS = 120;

export class EntriesView {
  #selected = null;
  #drawing = 0;
  #changed = null;
  #timer = 0;
  #single = null;

  constructor(panel) {
    this.panel = panel;
    this.state = h("span", { class: "state", role: "status" });
    this.list = new PrefixList(
      "v1/kv",
      (item) => item.key,
      (key, item, was, isPresent) => this.#change(key, item, was, isPresent),
      (state, text) => showState(this.state, state, text),
    );
    this.tree = new KeyTree((key) => this.#open(key));
    this.tree.onRedraw = () => this.#draw();
    this.entry = new EntryPanel((key) => this.#written(key));
    this.prefix = h("input", {
      id: "prefix", type: "search", placeholder: "all keys", autocomplete: "off", spellcheck: false,
      input: () => this.#later(), "aria-keyshortcuts": "/",
    });
    this.create = h("button", { class: "primary", "aria-keyshortcuts": "n", click: () => this.#create() }, "New entry");
    this.more = h("button", { hidden: true, click: () => this.#more() }, "Load more");
    this.count = h("span", { class: "number quiet" });
    panel.append(
      h("div", { class: "tools" },
        h("label", { htmlFor: "prefix" }, "Prefix"), this.prefix, this.create, this.count, h("span", { class: "grow" }), this.state,
      ),
      h("div", { class: "split-view" },
        h("div", { class: "card list" }, this.tree.element, this.more),
        this.entry.element,
      ),
    );
  }

  show() {
    this.#load();
  }

  hide() {
    this.list.close();
    this.#single?.close();
  }

  callerChanged() {
    allow(this.create, "write", "keys");
    this.entry.callerChanged();
    if (!this.panel.hidden) this.#load();
  }

  press(key) {
    if (key === "/") this.prefix.focus();
    else if (key === "n" && !this.create.disabled) this.#create();
    else if (key === "e") return this.entry.edit();
    else if (key === "Escape") return this.entry.leave();
    else return false;
    return true;
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#load(), 250);
  }

  async #load() {
    if (!may("read", "keys")) {
      this.list.close();
      this.list.items.clear();
      showState(this.state, "off", "your token lacks the scope read");
      this.#draw();
      return;
    }
    await this.list.open(this.prefix.value);
    if (this.list.items.size <= 30) for (const key of this.list.items.keys()) this.tree.reveal(key);
    this.#draw();
  }

  async #more() {
    const wrong = await this.list.more();
    if (wrong) note(wrong, "bad");
    this.#draw();
  }

  #change(key, item, was, isPresent) {
    if (!isPresent && was?.etag !== item?.etag) {
      this.#changed = key;
      if (key === this.#selected) this.entry.changedElsewhere(item);
    }
    if (!this.#drawing) this.#drawing = setTimeout(() => this.#draw(), DRAW_MS);
  }

  #draw() {
    clearTimeout(this.#drawing);
    this.#drawing = 0;
    this.tree.draw(this.list.items, this.#selected, this.#changed);
    this.#changed = null;
    this.more.hidden = !this.list.hasMore;
    const { size } = this.list.items;
    setText(this.count, `${size}${this.list.hasMore ? "+" : ""} ${size === 1 ? "entry" : "entries"}`);
  }

  async #open(key) {
    this.#selected = key;
    this.#draw();
    await this.entry.open(key);
    this.#single?.close();
    // Where there is too much to watch it all, the entry that is open is watched at least.
    if (this.list.hasMore) this.#single = new Watch(entryPath(key), (name, data) => this.#changeOne(key, name, data), () => {});
  }

  #changeOne(key, name, data) {
    if (key !== this.#selected || (name !== "entry" && name !== "deleted")) return;
    this.entry.changedElsewhere(name === "entry" ? data : null);
  }

  #create() {
    this.#selected = null;
    this.#draw();
    this.entry.create(this.prefix.value);
  }

  /** What this page wrote or deleted shows at once, whether a watch tells it or not. */
  #written(key, summary = this.entry.summary) {
    this.#selected = summary ? key : null;
    if (summary && key.startsWith(this.list.prefix)) {
      this.list.items.set(key, summary);
      this.tree.reveal(key);
    } else if (!summary) this.list.items.delete(key);
    this.#draw();
  }
}
