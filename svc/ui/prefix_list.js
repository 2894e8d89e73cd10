// A listing under a prefix, page by page; once it is whole, a watch keeps it as it is.

import { send, told } from "./api.js";
import { WatchedMap } from "./watch.js";

const PAGE = 250;
/** A list of so many items is loaded whole, and then watched; a longer one as far as people ask. */
const WHOLE = 1000;

export class PrefixList {
  #path;
  #prefix = "";
  #cursor = null;
  #generation = 0;
  #onState;
  map;

  /** `path` is that of the listing; `onChange(key, item, was, isPresent)` is told each change. */
  constructor(path, keyOf, onChange, onState) {
    this.#path = path;
    this.#onState = onState;
    this.map = new WatchedMap(keyOf, onChange);
  }

  get items() {
    return this.map.items;
  }

  get hasMore() {
    return this.#cursor !== null;
  }

  get prefix() {
    return this.#prefix;
  }

  /** Begin anew, with the first page. */
  async open(prefix) {
    this.close();
    this.#prefix = prefix;
    this.#cursor = null;
    this.items.clear();
    return this.more(WHOLE);
  }

  /** Get more items, about so many. Return null, or what went wrong. */
  async more(count = PAGE) {
    const generation = this.#generation;
    const wanted = this.items.size + count;
    do {
      const wrong = await this.#page(generation);
      if (wrong || generation !== this.#generation) return wrong;
    } while (this.hasMore && this.items.size < wanted);
    if (this.hasMore) this.#onState("part", `the first ${this.items.size}: narrow the prefix, or load all, to see changes live`);
    else this.map.follow(`${this.#path}?${new URLSearchParams({ prefix: this.#prefix })}`, this.#onState);
    return null;
  }

  async #page(generation) {
    const query = new URLSearchParams({ prefix: this.#prefix, limit: PAGE });
    if (this.#cursor) query.set("cursor", this.#cursor);
    const answer = await send("GET", `${this.#path}?${query}`);
    if (generation !== this.#generation) return null;
    if (!answer.ok) {
      this.#onState("off", told(answer));
      return told(answer);
    }
    const page = answer.json;
    for (const item of page.items) this.items.set(this.map.keyOf(item), item);
    this.#cursor = page.next_cursor;
    return null;
  }

  close() {
    this.#generation += 1;
    this.map.stop();
  }
}

const WORDS = { connecting: "connecting", live: "live", lost: "connecting again", off: "not live", part: "not live" };

/** Show the state of a watch in an element. */
export function showState(element, state, text) {
  element.className = `state ${state}`;
  element.textContent = text && state !== "live" ? `${WORDS[state]}: ${text}` : WORDS[state];
}
