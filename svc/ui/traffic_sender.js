// Sends requests at a rate. What they write expires by itself, under names of this page alone.

import { Answer, send } from "./api.js";
import { may } from "./caller.js";
import { randomId } from "./dom.js";

const KEYS = 16;
const TTL_SECONDS = 600;
const COUNTER = "ui-traffic";
const TICK_MS = 40;
/** Browsers send six requests at a time to one host; more would only wait, and look slow. */
const MOST_IN_FLIGHT = 6;

export const KINDS = {
  get: { label: "GET", scope: "read", part: "keys" },
  put: { label: "PUT", scope: "write", part: "keys" },
  increment: { label: "Increments", scope: "write", part: "counters" },
};

export class TrafficSender {
  rate = 10;
  kinds = new Set(["get"]);
  isRunning = false;
  inFlight = 0;
  #credit = 0;
  #sent = 0;
  #timer = 0;
  #written = new Set();
  #last = 0;

  /** `onSend` returns a place for the request's dot, `onAnswer` gets it with the answer. */
  constructor(onSend, onAnswer) {
    this.onSend = onSend;
    this.onAnswer = onAnswer;
  }

  start() {
    if (this.isRunning) return;
    this.isRunning = true;
    this.#last = performance.now();
    this.#credit = 1;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  stop() {
    this.isRunning = false;
    clearInterval(this.#timer);
  }

  /** The kinds that are both chosen and allowed. */
  get active() {
    return [...this.kinds].filter((kind) => may(KINDS[kind].scope, KINDS[kind].part));
  }

  #tick() {
    const now = performance.now();
    // A pause, such as that of a hidden tab, is not made up for.
    this.#credit = Math.min(Math.max(1, this.rate / 5), this.#credit + ((now - this.#last) / 1000) * this.rate);
    this.#last = now;
    const kinds = this.active;
    if (document.hidden || kinds.length === 0) return;
    while (this.#credit >= 1 && this.inFlight < MOST_IN_FLIGHT) {
      this.#credit -= 1;
      this.#send(kinds[this.#sent++ % kinds.length]);
    }
  }

  async #send(kind) {
    const place = this.onSend();
    this.inFlight += 1;
    const answer = await this.#request(kind, `ui-traffic/${Math.floor(Math.random() * KEYS)}`);
    this.inFlight -= 1;
    this.onAnswer(place, answer);
  }

  async #request(kind, key) {
    if (kind === "put") {
      const headers = { "Content-Type": "application/json", Prefer: "return=minimal" };
      const answer = await send("PUT", `v1/kv/${key}?ttl=${TTL_SECONDS}`, { headers, body: JSON.stringify({ sent: this.#sent }) });
      if (answer.ok) this.#written.add(key);
      return answer;
    }
    if (kind === "increment") {
      const headers = { "Content-Type": "application/json", "Idempotency-Key": `"${randomId()}"` };
      const body = JSON.stringify({ by: 1, ttl: TTL_SECONDS, ttl_on: "touch" });
      return send("POST", `v1/counters/${COUNTER}/increments`, { headers, body });
    }
    // Before this page has written an entry, what it reads is the status, which asks the store too.
    return send("GET", this.#written.has(key) ? `v1/kv/${key}` : "v1/status");
  }
}

/** Whether an answer is an error worth showing. That a key has no entry is an ordinary answer. */
export function isError(answer) {
  return answer instanceof Answer && !answer.ok && answer.problem.code !== "key_missing";
}
