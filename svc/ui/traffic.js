// The view Traffic: real requests to this service, and which release answered them.

import { ask, known, may } from "./caller.js";
import { clock, grouped, h, milliseconds, percent, setText } from "./dom.js";
import { Dots } from "./dots.js";
import { ErrorList } from "./errors.js";
import { lookOf, marker } from "./releases.js";
import { SplitChart } from "./split_chart.js";
import { KINDS, TrafficSender, isError } from "./traffic_sender.js";
import { TOLERANCE, TrafficStats, expectedOf, margin, parseExpected } from "./traffic_stats.js";

const REFRESH_MS = 500;
const HEADS = ["Release", "Requests", "Share, last minute", "Expected", "Difference", "Success", "p50", "p99", "Pods"];

export class TrafficView {
  #stats = new TrafficStats();
  #expected = new Map();
  #rows = new Map();
  #wasStopped = false;
  #timer = 0;

  constructor(panel) {
    this.panel = panel;
    this.errors = new ErrorList();
    this.sender = new TrafficSender(
      () => this.dots.add(),
      (dot, answer) => this.#take(dot, answer),
    );
    this.#build();
  }

  show() {
    // What reads changes nothing, so it begins by itself. The rest is for people to choose.
    if (!known.needsToken && !this.#wasStopped) this.#start();
    this.#timer = setInterval(() => this.#refresh(), REFRESH_MS);
    this.#refresh();
  }

  hide() {
    clearInterval(this.#timer);
    this.sender.stop();
    this.#showState();
  }

  callerChanged() {
    for (const [kind, box] of Object.entries(this.boxes)) {
      box.disabled = !may(KINDS[kind].scope, KINDS[kind].part);
      box.parentElement.title = box.disabled ? `Your token lacks the scope ${KINDS[kind].scope}.` : "";
      box.parentElement.classList.toggle("disabled", box.disabled);
    }
    if (known.needsToken) this.sender.stop();
    else if (!this.panel.hidden && !this.#wasStopped) this.#start();
    this.#showState();
  }

  press(key) {
    if (key !== " ") return false;
    this.#toggle();
    return true;
  }

  #build() {
    this.button = h("button", { class: "primary", id: "traffic-toggle", "aria-keyshortcuts": "Space", click: () => this.#toggle() });
    this.rateText = h("output", { class: "number rate", htmlFor: "rate" });
    const slider = h("input", { type: "range", id: "rate", min: 1, max: 100, value: this.sender.rate, input: () => this.#setRate(Number(slider.value)) });
    this.boxes = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, this.#box(kind)]));
    this.expectedText = h("input", {
      id: "expected", placeholder: "stable 90, canary 10", autocomplete: "off", spellcheck: false,
      "aria-describedby": "expected-said", input: () => this.#setExpected(),
    });
    this.expectedSaid = h("span", { id: "expected-said", role: "status" });
    const canvas = h("canvas", { class: "dots", role: "img", "aria-label": "A dot for each request. The table below has the numbers." });
    this.table = h("tbody");
    this.actual = h("span", { class: "number" });
    const chart = h("div", { class: "chart" });
    this.panel.append(
      h("div", { class: "tools" },
        this.button,
        h("span", { class: "pair" }, h("label", { htmlFor: "rate" }, "Requests a second"), slider, this.rateText),
        h("fieldset", {}, h("legend", { class: "unseen" }, "Kinds of requests"), Object.entries(this.boxes).map(([kind, box]) => h("label", { class: "inline" }, box, ` ${KINDS[kind].label}`))),
        h("span", { class: "grow" }),
        h("span", { class: "pair" }, h("label", { htmlFor: "expected" }, "Expected split"), this.expectedText, this.expectedSaid),
      ),
      canvas,
      h("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Releases" },
        h("table", { class: "releases" },
          h("thead", {}, h("tr", {}, HEADS.map((head, at) => h("th", { scope: "col", class: at ? "number" : "" }, head)))),
          this.table,
        ),
      ),
      h("div", { class: "columns" },
        h("section", { class: "card" }, h("h2", {}, "Split over the last two minutes"), chart, h("p", { class: "quiet" }, this.actual)),
        h("section", { class: "card" }, h("h2", {}, "Errors"), this.errors.element),
      ),
    );
    this.dots = new Dots(canvas);
    this.chart = new SplitChart(chart);
    this.#setRate(this.sender.rate);
    this.#showState();
  }

  #box(kind) {
    const box = h("input", {
      type: "checkbox", checked: this.sender.kinds.has(kind), id: `kind-${kind}`,
      change: () => (box.checked ? this.sender.kinds.add(kind) : this.sender.kinds.delete(kind)),
    });
    return box;
  }

  #setRate(rate) {
    this.sender.rate = rate;
    setText(this.rateText, String(rate));
  }

  #setExpected() {
    try {
      this.#expected = parseExpected(this.expectedText.value);
      setText(this.expectedSaid, "");
      this.expectedText.setAttribute("aria-invalid", "false");
    } catch (error) {
      this.#expected = new Map();
      setText(this.expectedSaid, error.message);
      this.expectedText.setAttribute("aria-invalid", "true");
    }
    this.#refresh();
  }

  #toggle() {
    this.#wasStopped = this.sender.isRunning;
    if (this.sender.isRunning) this.sender.stop();
    else this.#start();
    this.#showState();
  }

  #start() {
    this.sender.start();
    this.#showState();
  }

  #showState() {
    setText(this.button, this.sender.isRunning ? "Pause" : "Start");
    this.button.disabled = known.needsToken;
  }

  #take(dot, answer) {
    this.#stats.add(answer, Date.now());
    this.dots.light(dot, lookOf(answer.release), answer.status === 0 || answer.status >= 500);
    if (answer.status === 401 && !known.needsToken) ask();
    if (isError(answer)) this.errors.add(answer, clock(answer.request.at));
  }

  #refresh() {
    const now = Date.now();
    const rows = this.#stats.rows(now);
    for (const row of rows) {
      if (!this.#rows.has(row.name)) this.#addRow(row);
      const cells = this.#rows.get(row.name);
      const wanted = expectedOf(this.#expected, row);
      const difference = wanted === null || row.share === null ? null : row.share - wanted;
      setText(cells[0], grouped(row.requests));
      setText(cells[1], row.share === null ? "–" : `${percent(row.share)} ± ${(100 * margin(row.share, row.recent)).toFixed(1)}`);
      setText(cells[2], wanted === null ? "–" : percent(wanted, 0));
      setText(cells[3], difference === null ? "–" : `${difference < 0 ? "−" : "+"}${(100 * Math.abs(difference)).toFixed(1)} ${Math.abs(difference) <= TOLERANCE ? "✓" : "✗"}`);
      cells[3].className = `number ${difference === null ? "" : Math.abs(difference) <= TOLERANCE ? "good" : "bad"}`;
      setText(cells[4], row.success === null ? "–" : percent(row.success, row.success === 1 ? 0 : 2));
      cells[4].className = `number ${row.success !== null && row.success < 0.999 ? "bad" : ""}`;
      setText(cells[5], milliseconds(row.p50));
      setText(cells[6], milliseconds(row.p99));
      setText(cells[7], String(row.pods.size));
      cells[7].title = [...row.pods].join(", ");
    }
    this.chart.draw(this.#stats.columns(now), rows, this.#expected);
    setText(this.actual, `${this.#stats.rate(now).toFixed(1)} answers a second. Times are those that this browser sees.`);
  }

  #addRow(row) {
    const cells = HEADS.slice(1).map(() => h("td", { class: "number" }));
    this.#rows.set(row.name, cells);
    const element = h("tr", { data: { release: row.name, track: row.release.track, look: row.look } }, h("th", { scope: "row" }, marker(row.look), row.name), cells);
    // In the order of the chart, and rows that are there stay where they are.
    const next = [...this.table.children].find((each) => Number(each.dataset.look) > row.look);
    this.table.insertBefore(element, next ?? null);
  }
}
