// The editor of an entry. It saves only over the version that it shows; else both are shown.

import { entryPath, send, told } from "./api.js";
import { h, setText } from "./dom.js";
import { textOf } from "./values.js";

const TTLS = [["keep", "as it is"], ["none", "never"], ["60", "1 minute"], ["3600", "1 hour"], ["86400", "1 day"], ["2592000", "30 days"], ["other", "in … seconds"], ["", "the default"]];
const MOST_SECONDS = 315_360_000;

export class Editor {
  #original;
  #etag;
  #file = null;

  /** `etag` is that of the version shown, null for a new entry. */
  constructor(calls, { key, type, bytes, etag }) {
    this.calls = calls;
    this.#etag = etag;
    const text = textOf(bytes);
    this.#original = text ?? "";
    const isNew = etag === null;
    this.key = h("input", { id: "edit-key", value: key, disabled: !isNew, autocomplete: "off", spellcheck: false, required: true });
    this.type = h("input", { id: "edit-type", value: type, autocomplete: "off", spellcheck: false });
    this.seconds = h("input", { id: "edit-seconds", type: "number", min: 1, max: MOST_SECONDS, value: 600, hidden: true, "aria-label": "Seconds until it expires" });
    const chosen = () => (this.seconds.hidden = this.ttl.value !== "other");
    this.ttl = h("select", { id: "edit-ttl", change: chosen }, TTLS.filter(([value]) => !isNew || value !== "keep").map(([value, name]) => h("option", { value, selected: isNew && value === "" }, name)));
    this.value = h("textarea", { id: "edit-value", value: this.#original, spellcheck: false, disabled: text === null, rows: 10, input: () => this.#check() });
    const file = h("input", {
      type: "file", id: "edit-file",
      change: async () => {
        const [chosen] = file.files;
        this.#file = chosen ? new Uint8Array(await chosen.arrayBuffer()) : null;
        this.value.disabled = Boolean(chosen) || text === null;
        if (chosen?.type) this.type.value = chosen.type;
      },
    });
    this.said = h("p", { class: "said", role: "status" });
    this.conflict = h("div");
    this.element = h(
      "form",
      {
        class: "editor",
        submit: (event) => {
          event.preventDefault();
          this.save();
        },
      },
      h("h2", {}, isNew ? "New entry" : `Edit ${key}`),
      h("div", { class: "fields" },
        h("label", { htmlFor: "edit-key" }, "Key"), this.key,
        h("label", { htmlFor: "edit-type" }, "Type"), this.type,
        h("label", { htmlFor: "edit-ttl" }, "Expires"), h("div", { class: "pair" }, this.ttl, this.seconds),
        h("label", { htmlFor: "edit-value" }, "Value"), this.value,
        h("label", { htmlFor: "edit-file" }, "or a file"), file,
      ),
      this.said,
      this.conflict,
      h("div", { class: "buttons" },
        h("button", { type: "submit", class: "primary" }, isNew ? "Create" : "Save"),
        h("button", { type: "button", click: () => this.calls.left() }, "Cancel"),
      ),
    );
    this.#check();
  }

  get isChanged() {
    return this.value.value !== this.#original || this.#file !== null;
  }

  focus() {
    (this.key.disabled ? this.value : this.key).focus();
  }

  changedElsewhere(item) {
    if (item?.etag === this.#etag) return;
    setText(this.said, item ? "Somebody has changed it meanwhile. Saving will show both versions." : "Somebody has deleted it meanwhile.");
  }

  /** Say where JSON is wrong before the service does. */
  #check() {
    if (!/[/+]json/.test(this.type.value) || this.value.disabled) return;
    let wrong = "";
    try {
      JSON.parse(this.value.value);
    } catch (error) {
      wrong = `Not JSON yet: ${error.message}`;
    }
    setText(this.said, wrong);
  }

  async save(etag = this.#etag) {
    let path;
    try {
      path = entryPath(this.key.value);
    } catch (error) {
      return setText(this.said, error.message);
    }
    const ttl = this.ttl.value === "other" ? this.seconds.value : this.ttl.value;
    const body = this.#file ?? (this.value.disabled ? null : this.value.value);
    if (body === null) return setText(this.said, "Choose a file: these bytes are no text.");
    const answer = await send("PUT", ttl ? `${path}?ttl=${ttl}` : path, {
      body,
      headers: {
        ...(this.type.value ? { "Content-Type": this.type.value } : {}),
        ...(etag === null ? { "If-None-Match": "*" } : { "If-Match": etag }),
      },
    });
    if (answer.ok) return this.calls.saved(this.key.value, answer);
    if (answer.status === 412) return this.#showConflict(path);
    setText(this.said, told(answer));
  }

  async #showConflict(path) {
    const stored = await send("GET", path);
    if (!stored.ok && stored.status !== 404) return setText(this.said, told(stored));
    const theirs = stored.ok ? (textOf(stored.bytes) ?? "(bytes that are no text)") : null;
    const mine = this.#file ? "(the file)" : this.value.value;
    const [left, right] = theirs === null ? [h("p", { class: "quiet" }, "It was deleted."), h("pre", {}, mine)] : compare(theirs, mine);
    setText(this.said, "");
    this.conflict.replaceChildren(
      h("div", { class: "conflict", role: "alertdialog", "aria-label": "Conflict", tabIndex: -1 },
        h("h3", {}, "Somebody else was quicker"),
        h("p", {}, "Nothing was written. Which version shall stand?"),
        h("div", { class: "versions" },
          h("section", {}, h("h4", {}, "Stored now"), left, h("button", { type: "button", click: () => this.calls.saved(this.key.value, stored) }, "Keep the stored one")),
          h("section", {}, h("h4", {}, "Yours"), right, h("button", { type: "button", class: "danger", click: () => this.#overwrite(stored) }, "Write mine over it")),
        ),
      ),
    );
    this.conflict.firstChild.focus();
  }

  /** Write over the version that was shown, and over no newer one. */
  #overwrite(stored) {
    this.conflict.replaceChildren();
    this.#etag = stored.ok ? stored.etag : null;
    if (!stored.ok && this.ttl.value === "keep") this.ttl.value = "";
    return this.save();
  }
}

/** Two texts beside each other; lines that the other has not are marked. */
function compare(a, b) {
  const [left, right] = [a, b].map((text) => text.split("\n"));
  const render = (lines, others) => {
    const known = new Set(others);
    return h("pre", { tabIndex: 0 }, lines.map((line) => h("span", { class: known.has(line) ? "line" : "line differs" }, `${line}\n`)));
  };
  return [render(left, right), render(right, left)];
}
