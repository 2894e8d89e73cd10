// The dots: one for each request, hollow until it is answered, then in its release's look.

import { colorOf, drawShape } from "./releases.js";

const CELL = 14;
const RADIUS = 4.6;
/** Dots erased ahead of the newest, so that one sees where it is. */
const GAP = 12;
/** Left free at each edge. */
const EDGE = 7;
const BRIGHT_MS = 900;

export class Dots {
  #canvas;
  #cells = [];
  #next = 0;
  #columns = 0;
  #rows = 0;
  #drawing = 0;

  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.#resize()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#schedule());
  }

  /** Take a place for a request that was sent. */
  add() {
    const dot = { state: "sent", look: 0, at: 0 };
    const count = this.#columns * this.#rows;
    if (count) {
      this.#cells[this.#next] = dot;
      for (let ahead = 1; ahead <= Math.min(GAP, count - 1); ahead += 1) this.#cells[(this.#next + ahead) % count] = undefined;
      this.#next = (this.#next + 1) % count;
    }
    this.#schedule();
    return dot;
  }

  light(dot, look, failed) {
    Object.assign(dot, { state: failed ? "failed" : "answered", look, at: performance.now() });
    this.#schedule();
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (!width || !height) return;
    const scale = devicePixelRatio || 1;
    this.#canvas.width = width * scale;
    this.#canvas.height = height * scale;
    const columns = Math.floor((width - 2 * EDGE) / CELL);
    const rows = Math.floor((height - 2 * EDGE) / CELL);
    if (columns !== this.#columns || rows !== this.#rows) {
      const kept = this.#cells.filter(Boolean).slice(-columns * rows + GAP);
      [this.#columns, this.#rows, this.#cells, this.#next] = [columns, rows, kept, kept.length % (columns * rows)];
    }
    this.#schedule();
  }

  #schedule() {
    if (!this.#drawing) this.#drawing = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#drawing = 0;
    const context = this.#canvas.getContext("2d");
    const scale = devicePixelRatio || 1;
    const style = getComputedStyle(this.#canvas);
    const colors = new Map();
    const color = (look) => colors.get(look) ?? (colors.set(look, colorOf(look)), colors.get(look));
    const [bad, card] = ["--bad", "--card"].map((name) => style.getPropertyValue(name));
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    const now = performance.now();
    let isFading = false;
    const left = (this.#canvas.clientWidth - this.#columns * CELL) / 2;
    const top = (this.#canvas.clientHeight - this.#rows * CELL) / 2;
    for (const [at, dot] of this.#cells.entries()) {
      if (!dot) continue;
      // Column by column: time goes from left to right.
      const x = left + (Math.floor(at / this.#rows) + 0.5) * CELL;
      const y = top + ((at % this.#rows) + 0.5) * CELL;
      context.globalAlpha = 1;
      if (dot.state === "sent") {
        context.strokeStyle = style.getPropertyValue("--line");
        context.lineWidth = 1.2;
        context.beginPath();
        context.arc(x, y, RADIUS - 1, 0, 2 * Math.PI);
        context.stroke();
        continue;
      }
      const age = (now - dot.at) / BRIGHT_MS;
      if (age < 1) isFading = true;
      context.fillStyle = color(dot.look);
      const failed = dot.state === "failed";
      context.globalAlpha = failed ? 1 : Math.max(0.62, 1 - 0.38 * age);
      drawShape(context, dot.look, x, y, age < 1 ? RADIUS * (1 + 0.35 * (1 - age)) : RADIUS);
      if (failed) drawFailure(context, x, y, bad, card);
    }
    context.globalAlpha = 1;
    if (isFading) this.#schedule();
  }
}

/** A cross cut out of the shape, and a ring around it: the release can still be told. */
function drawFailure(context, x, y, bad, card) {
  context.strokeStyle = card;
  context.lineWidth = 1.8;
  context.beginPath();
  const r = 0.62 * RADIUS;
  for (const [dx, dy] of [[r, r], [r, -r]]) {
    context.moveTo(x - dx, y - dy);
    context.lineTo(x + dx, y + dy);
  }
  context.stroke();
  context.strokeStyle = bad;
  context.lineWidth = 1.7;
  context.beginPath();
  context.arc(x, y, 0.47 * CELL, 0, 2 * Math.PI);
  context.stroke();
}
