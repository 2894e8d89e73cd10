// How a number has moved while the page was open: a small line of steps.

import { s } from "./dom.js";

const MOST = 120;
const WIDTH = 120;
const HEIGHT = 24;

export class Sparkline {
  #points = [];

  constructor(name) {
    this.name = name;
    this.svg = s("svg", { class: "sparkline", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    this.#draw();
  }

  add(value, time) {
    this.#points.push({ value, time });
    if (this.#points.length > MOST) this.#points.shift();
    this.#draw();
  }

  #draw() {
    const points = this.#points;
    const values = points.map((each) => each.value);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const says = points.length < 2 ? "has not changed" : `went from ${values[0]} to ${values.at(-1)}`;
    this.svg.setAttribute("aria-label", `${this.name} ${says}`);
    if (points.length < 2) return this.svg.replaceChildren(s("path", { class: "flat", d: `M2 ${HEIGHT / 2}H${WIDTH - 2}` }));
    const span = Math.max(1, points.at(-1).time - points[0].time);
    const x = (time) => (2 + ((WIDTH - 4) * (time - points[0].time)) / span).toFixed(1);
    const y = (value) => (HEIGHT - 3 - ((HEIGHT - 6) * (value - low)) / Math.max(1e-9, high - low)).toFixed(1);
    const steps = points.map(({ value, time }, at) => (at ? `H${x(time)}V${y(value)}` : `M${x(time)} ${y(value)}`));
    this.svg.replaceChildren(s("path", { d: steps.join("") }));
  }
}
