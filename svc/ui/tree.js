// Keys as a tree of their segments, with the keyboard of a tree (WAI-ARIA: one tab stop, arrows).

import { bytes, duration, h } from "./dom.js";

export class KeyTree {
  #open = new Set();
  #current = null;
  #rows = [];

  /** `onOpen(key)` is called for an entry that is chosen. */
  constructor(onOpen) {
    this.onOpen = onOpen;
    this.element = h("div", { role: "tree", class: "tree", "aria-label": "Entries", keydown: (event) => this.#key(event) });
  }

  /** Draw the items, a map from key to facts, as far as branches are open. */
  draw(items, selected, changed = null) {
    const hadFocus = this.element.contains(document.activeElement);
    this.#rows = flatten(grow(items), this.#open);
    if (!this.#rows.some((row) => row.id === this.#current)) this.#current = this.#rows[0]?.id ?? null;
    this.element.replaceChildren(...this.#rows.map((row) => this.#render(row, selected, changed)));
    if (hadFocus) this.#focus();
  }

  #render(row, selected, changed) {
    const { item } = row;
    const isBranch = row.count !== undefined;
    return h(
      "div",
      {
        role: "treeitem",
        class: `row${item && row.key === changed ? " flash" : ""}`,
        tabIndex: row.id === this.#current ? 0 : -1,
        "aria-level": row.level,
        "aria-expanded": isBranch ? String(this.#open.has(row.id)) : undefined,
        "aria-selected": String(!isBranch && row.key === selected),
        data: isBranch ? { branch: row.id, level: row.level } : { key: row.key, level: row.level },
        click: () => this.#choose(row),
      },
      h("span", { class: "twist", "aria-hidden": "true" }, isBranch ? (this.#open.has(row.id) ? "▾" : "▸") : ""),
      h("span", { class: "name" }, row.name),
      isBranch
        ? h("span", { class: "facts" }, `${row.count}`)
        : h("span", { class: "facts" }, `${(item.content_type ?? "").split(";")[0]}  ${bytes(item.size ?? 0)}  ${duration(item.ttl)}`),
    );
  }

  #choose(row) {
    this.#current = row.id;
    if (row.count === undefined) this.onOpen(row.key);
    else this.#toggle(row);
  }

  #toggle(row, open = !this.#open.has(row.id)) {
    if (open) this.#open.add(row.id);
    else this.#open.delete(row.id);
    this.onRedraw?.();
    this.#focus();
  }

  #focus() {
    this.element.querySelector('[tabindex="0"]')?.focus();
  }

  #key(event) {
    const at = this.#rows.findIndex((row) => row.id === this.#current);
    const row = this.#rows[at];
    if (!row) return;
    const isOpen = this.#open.has(row.id);
    const isBranch = row.count !== undefined;
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: this.#rows.length - 1 };
    if (event.key in moves) this.#move(moves[event.key]);
    else if (event.key === "Enter" || event.key === " ") this.#choose(row);
    else if (event.key === "ArrowRight" && isBranch) isOpen ? this.#move(at + 1) : this.#toggle(row, true);
    else if (event.key === "ArrowLeft" && isBranch && isOpen) this.#toggle(row, false);
    else if (event.key === "ArrowLeft") this.#move(this.#rows.findLastIndex((each, i) => i < at && each.level < row.level));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #move(to) {
    if (!this.#rows[to]) return;
    this.#current = this.#rows[to].id;
    for (const [at, element] of [...this.element.children].entries()) element.tabIndex = at === to ? 0 : -1;
    this.#focus();
  }

  /** Open all branches above a key, or those at the top if there are few. */
  reveal(key) {
    const segments = key.split("/");
    for (let length = 1; length < segments.length; length += 1) this.#open.add(`${segments.slice(0, length).join("/")}/`);
  }
}

function grow(items) {
  const root = { branches: new Map(), leaves: [], count: 0 };
  for (const [key, item] of items) {
    let node = root;
    const segments = key.split("/");
    node.count += 1;
    for (const segment of segments.slice(0, -1)) {
      if (!node.branches.has(segment)) node.branches.set(segment, { branches: new Map(), leaves: [], count: 0 });
      node = node.branches.get(segment);
      node.count += 1;
    }
    node.leaves.push({ name: segments.at(-1), key, item });
  }
  return root;
}

const compare = new Intl.Collator("en", { numeric: true }).compare;

function flatten(node, open, level = 1, path = "") {
  const rows = [];
  for (const [name, branch] of [...node.branches].sort(([a], [b]) => compare(a, b))) {
    const id = `${path}${name}/`;
    rows.push({ id, name: `${name}/`, level, count: branch.count });
    if (open.has(id)) rows.push(...flatten(branch, open, level + 1, id));
  }
  for (const leaf of node.leaves.sort((a, b) => compare(a.name, b.name))) rows.push({ id: leaf.key, level, ...leaf });
  return rows;
}
