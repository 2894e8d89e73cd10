// One entry: shown by its type, edited with compare-and-swap, deleted.

import { entryPath, send, told } from "./api.js";
import { allow } from "./caller.js";
import { bytes, clock, confirmed, duration, h, note, setText } from "./dom.js";
import { Editor } from "./editor.js";
import { waysToShow } from "./values.js";

export class EntryPanel {
  #key = null;
  #editor = null;
  #way = null;
  #expiresAt = null;
  summary = null;

  /** `onWritten(key)` is called after this panel wrote or deleted; `summary` is null once deleted. */
  constructor(onWritten) {
    this.onWritten = onWritten;
    this.element = h("div", { class: "card entry", role: "region", "aria-label": "Entry" }, h("p", { class: "quiet" }, "Choose an entry, or make a new one."));
    setInterval(() => this.#showTtl(), 1000);
  }

  async open(key) {
    if (this.#editor && !(await this.#mayLeave())) return;
    this.#editor = null;
    if (key !== this.#key) this.#way = null;
    this.#key = key;
    const answer = await send("GET", entryPath(key));
    if (key !== this.#key || this.#editor) return;
    if (!answer.ok) {
      this.summary = null;
      this.element.replaceChildren(h("h2", {}, key), h("p", { class: "quiet" }, told(answer)));
      return;
    }
    this.#show(answer);
  }

  create(prefix) {
    this.#key = null;
    this.summary = null;
    this.#expiresAt = null;
    this.#edit(new Editor(this.#calls(), { key: prefix, type: "application/json", bytes: new TextEncoder().encode("{}"), etag: null }));
  }

  edit() {
    if (!this.#key || !this.answer || this.#editor || this.editButton?.disabled) return false;
    const type = this.answer.headers.get("Content-Type") ?? "";
    this.#edit(new Editor(this.#calls(), { key: this.#key, type, bytes: this.answer.bytes, etag: this.answer.etag }));
    return true;
  }

  leave() {
    if (!this.#editor) return false;
    this.#leave();
    return true;
  }

  callerChanged() {
    if (this.#key && !this.#editor) this.open(this.#key);
  }

  /** Somebody changed or deleted the entry that is open. */
  changedElsewhere(item) {
    if (item?.etag === this.summary?.etag) return;
    if (this.#editor) this.#editor.changedElsewhere(item);
    else this.open(this.#key);
  }

  #calls() {
    return { saved: (key, answer) => this.#saved(key, answer), left: () => this.#leave() };
  }

  #edit(editor) {
    this.#editor = editor;
    this.element.replaceChildren(editor.element);
    editor.focus();
  }

  async #mayLeave() {
    if (!this.#editor.isChanged) return true;
    return confirmed("Leave the editor, and lose what you have typed?", "Leave");
  }

  async #leave() {
    if (!(await this.#mayLeave())) return;
    this.#editor = null;
    if (this.#key) await this.open(this.#key);
    else this.element.replaceChildren(h("p", { class: "quiet" }, "Choose an entry, or make a new one."));
  }

  async #saved(key, answer) {
    this.#editor = null;
    note(answer.status === 201 ? `Created ${key}.` : `Saved ${key}.`);
    await this.open(key);
    this.onWritten(key);
  }

  #show(answer) {
    this.answer = answer;
    const type = answer.headers.get("Content-Type") ?? "";
    const ttl = answer.headers.get("KV-TTL");
    this.summary = { key: this.#key, etag: answer.etag, ttl: ttl === null ? null : Number(ttl), size: answer.bytes.length, content_type: type };
    this.#expiresAt = ttl === null ? null : Date.now() + 1000 * Number(ttl);
    this.ttl = h("dd", { class: "number" });
    this.editButton = h("button", { "aria-keyshortcuts": "e", click: () => this.edit() }, "Edit");
    const remove = h("button", { class: "danger", click: () => this.#delete() }, "Delete");
    allow(this.editButton, "write", "keys", this.#key);
    allow(remove, "delete", "keys", this.#key);
    const modified = answer.headers.get("Last-Modified");
    this.element.replaceChildren(
      h("div", { class: "title" }, h("h2", {}, this.#key), h("div", { class: "buttons" }, this.editButton, remove)),
      h("dl", { class: "facts" },
        h("dt", {}, "Type"), h("dd", {}, type),
        h("dt", {}, "Size"), h("dd", { class: "number" }, bytes(answer.bytes.length)),
        h("dt", {}, "Expires"), this.ttl,
        h("dt", {}, "Written"), h("dd", { class: "number" }, modified ? `${new Date(modified).toLocaleDateString("en-CA")} ${clock(new Date(modified))}` : "–"),
        h("dt", {}, "ETag"), h("dd", {}, h("code", {}, answer.etag)),
      ),
      this.#renderValue(type, answer.bytes),
    );
    this.#showTtl();
  }

  #renderValue(type, content) {
    const ways = waysToShow(type, content);
    const place = h("div", { class: "shown" });
    const buttons = ways.map(([name]) => h("button", { click: () => choose(name) }, name));
    const choose = (name) => {
      this.#way = name;
      const at = Math.max(0, ways.findIndex(([each]) => each === name));
      for (const [index, button] of buttons.entries()) button.setAttribute("aria-pressed", String(index === at));
      place.replaceChildren(ways[at][1]());
    };
    choose(this.#way ?? ways[0][0]);
    return h("div", {}, h("div", { class: "ways", role: "group", "aria-label": "Shown as" }, buttons), place);
  }

  #showTtl() {
    if (!this.ttl?.isConnected) return;
    if (this.#expiresAt === null) return setText(this.ttl, "never");
    const left = (this.#expiresAt - Date.now()) / 1000;
    setText(this.ttl, left <= 0 ? "expired" : `in ${duration(left)}`);
  }

  async #delete() {
    const key = this.#key;
    const etag = this.summary.etag;
    if (!(await confirmed(`Delete ${key}?`, "Delete"))) return;
    const answer = await send("DELETE", entryPath(key), { headers: { "If-Match": etag } });
    if (answer.status === 412) {
      note("It was changed meanwhile, so it was not deleted. This is how it is now.", "bad");
      await this.open(key);
    } else if (answer.ok || answer.status === 404) {
      this.summary = null;
      this.#key = null;
      this.element.replaceChildren(h("p", { class: "quiet" }, `Deleted ${key}.`));
      note(`Deleted ${key}.`);
      this.onWritten(key);
    } else note(told(answer), "bad");
  }
}
