// The split over time: a stacked column for every two seconds, and a line where it is expected.

import { percent, s } from "./dom.js";
import { expectedOf } from "./traffic_stats.js";

const HEIGHT = 100;

export class SplitChart {
  constructor(place) {
    this.svg = s("svg", { class: "split", viewBox: `0 0 60 ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    place.append(this.svg);
  }

  /** Draw the columns, stacked in the order of `rows`; `expected` is a map of shares by name. */
  draw(columns, rows, expected) {
    const stacked = [...rows].sort((a, b) => a.look - b.look);
    const shapes = [];
    for (const [at, counts] of columns.entries()) {
      const total = [...counts.values()].reduce((a, b) => a + b, 0);
      let top = HEIGHT;
      for (const row of stacked) {
        const height = total ? (HEIGHT * (counts.get(row.name) ?? 0)) / total : 0;
        top -= height;
        if (height) shapes.push(s("rect", { class: `release-${row.look}`, x: at + 0.06, y: top, width: 0.88, height }));
      }
    }
    let level = HEIGHT;
    for (const row of stacked.slice(0, -1)) {
      const share = expectedOf(expected, row);
      if (share === null) break;
      level -= HEIGHT * share;
      shapes.push(s("line", { class: "expected", x1: 0, x2: columns.length, y1: level, y2: level }));
    }
    this.svg.replaceChildren(...shapes);
    const said = rows.filter((row) => row.share !== null).map((row) => `${row.name} ${percent(row.share, 0)}`);
    this.svg.setAttribute("aria-label", `The split over the last two minutes. In the last minute: ${said.join(", ") || "no answers"}.`);
  }
}
