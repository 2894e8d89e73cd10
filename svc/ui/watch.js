// Watches: server-sent events over fetch, because EventSource can't send a token.

import { authorization, urlOf } from "./api.js";

/** Without a byte for so long, the connection is dead: the service sends heartbeats every 15 s. */
const SILENCE_MS = 40_000;
const SLOWEST_MS = 30_000;

/**
 * Watch a path until `close()`. `onEvent(name, data)` gets each event, `onState(state, text)` is
 * told "connecting", "live", "lost" (it tries again) or "off" (it does not).
 */
export class Watch {
  #path;
  #onEvent;
  #onState;
  #abort = new AbortController();
  #lastId = "";
  #retryMs = 1000;
  #failures = 0;

  constructor(path, onEvent, onState) {
    this.#path = path;
    this.#onEvent = onEvent;
    this.#onState = onState;
    this.#run();
  }

  close() {
    this.#abort.abort();
  }

  get #closed() {
    return this.#abort.signal.aborted;
  }

  async #run() {
    this.#onState("connecting", "");
    while (!this.#closed) {
      let pause = 0;
      try {
        pause = await this.#connect();
      } catch (error) {
        if (this.#closed) return;
        this.#failures += 1;
        pause = Math.min(SLOWEST_MS, this.#retryMs * 2 ** Math.min(this.#failures, 5));
        this.#onState("lost", error.message);
      }
      if (pause === null || this.#closed) return;
      await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random() / 2)));
    }
  }

  /** Follow one connection to its end. Return the pause before the next, or null for none. */
  async #connect() {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      const response = await fetch(urlOf(this.#path), {
        headers: {
          ...authorization(),
          Accept: "text/event-stream",
          ...(this.#lastId ? { "Last-Event-ID": this.#lastId } : {}),
        },
        cache: "no-store",
        credentials: "omit",
        signal: AbortSignal.any([this.#abort.signal, silence.signal]),
      });
      if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
        return await this.#refused(response);
      }
      this.#onState("live", "");
      this.#failures = 0;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new EventParser((event) => this.#take(event));
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        parser.feed(value);
      }
      if (!this.#closed) this.#onState("lost", "the service closed the connection");
      return this.#retryMs;
    } finally {
      clearTimeout(timer);
    }
  }

  async #refused(response) {
    if (response.status === 503 || response.status === 429) {
      this.#onState("lost", response.status === 429 ? "too many requests" : "the service is busy");
      return 1000 * Number(response.headers.get("Retry-After") ?? 2);
    }
    await response.body?.cancel();
    this.#onState("off", response.ok ? "this release has no watches" : `HTTP ${response.status}`);
    return null;
  }

  #take(event) {
    if (event.retry) this.#retryMs = event.retry;
    if (event.id !== null) this.#lastId = event.id;
    if (event.data === "" || this.#closed) return;
    this.#onEvent(event.name, JSON.parse(event.data));
  }
}

/** Parses text/event-stream, in pieces of any size. */
export class EventParser {
  #rest = "";
  #event = EventParser.#empty();
  #onEvent;

  constructor(onEvent) {
    this.#onEvent = onEvent;
  }

  static #empty() {
    return { id: null, name: "message", data: "", retry: 0 };
  }

  feed(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    for (const line of lines) this.#line(line);
  }

  #line(line) {
    if (line === "") {
      if (this.#event.data !== "" || this.#event.retry || this.#event.id !== null) this.#onEvent(this.#event);
      this.#event = EventParser.#empty();
      return;
    }
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (field === "data") this.#event.data += (this.#event.data ? "\n" : "") + value;
    else if (field === "event") this.#event.name = value;
    else if (field === "id") this.#event.id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.#event.retry = Number(value);
  }
}

/**
 * A map that follows a watch of a prefix. `keyOf` names the item of an event's data. After a reset,
 * what is not told again is gone.
 */
export class WatchedMap {
  items = new Map();
  #told = new Set();
  #isResetting = true;
  #watch = null;

  constructor(keyOf, onChange) {
    this.keyOf = keyOf;
    this.onChange = onChange;
  }

  follow(path, onState) {
    this.stop();
    this.#isResetting = true;
    this.#told.clear();
    this.#watch = new Watch(path, (name, data) => this.#take(name, data), onState);
  }

  stop() {
    this.#watch?.close();
    this.#watch = null;
  }

  #take(name, data) {
    if (name === "reset") {
      this.#isResetting = true;
      this.#told.clear();
    } else if (name === "entry" || name === "counter") {
      const key = this.keyOf(data);
      const was = this.items.get(key);
      this.#told.add(key);
      this.items.set(key, data);
      this.onChange(key, data, was, this.#isResetting);
    } else if (name === "deleted") {
      const key = this.keyOf(data);
      const was = this.items.get(key);
      this.items.delete(key);
      if (was) this.onChange(key, null, was, false);
    } else if (name === "synced" && this.#isResetting) {
      this.#isResetting = false;
      for (const [key, was] of [...this.items]) {
        if (!this.#told.has(key)) {
          this.items.delete(key);
          this.onChange(key, null, was, true);
        }
      }
    }
  }
}
