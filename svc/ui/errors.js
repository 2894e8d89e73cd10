// The errors that were met: each can be opened, to see the problem document and the trace id.

import { h } from "./dom.js";
import { lookOf, marker, nameOf } from "./releases.js";

const MOST = 50;

export class ErrorList {
  #none = h("p", { class: "quiet" }, "None so far.");

  constructor() {
    this.element = h("div", { class: "errors" }, this.#none);
  }

  add(answer, time) {
    this.#none.remove();
    this.element.prepend(renderError(answer, time));
    while (this.element.childElementCount > MOST) this.element.lastElementChild.remove();
  }
}

function renderError(answer, time) {
  const problem = answer.problem;
  const { method, path } = answer.request;
  const facts = [
    ["Trace", problem.trace_id],
    ["Request", answer.headers.get("X-Request-Id")],
    ["Pod", answer.release.pod],
    ["Sent", `${method} /${path}`],
    ["Took", `${answer.ms.toFixed(0)} ms`],
  ].filter(([, value]) => value);
  return h("details", { data: { code: problem.code } },
    h("summary", {},
      h("span", { class: "number" }, time),
      marker(lookOf(answer.release)),
      h("strong", {}, answer.status ? String(answer.status) : "none"),
      ` ${problem.code} `,
      h("span", { class: "quiet" }, nameOf(answer.release)),
    ),
    h("dl", {}, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, h("code", {}, value))])),
    h("pre", { tabIndex: 0, "aria-label": "Problem document" }, JSON.stringify(problem, null, 2)),
  );
}
