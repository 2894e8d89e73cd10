// Elements, and how numbers, sizes and times are written. Text is only ever set as text.

/** Make an element. Functions are listeners; `class`, `data` and attributes are set as named. */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(key, value);
    else if (key === "data") Object.assign(element.dataset, value);
    else if (key in element && !key.startsWith("aria")) element[key] = value;
    else element.setAttribute(key === "class" ? "class" : key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** Make an SVG element. */
export function s(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Set the text only where it changed, so that selections and screen readers are left alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const THIN = "\u202f";

export function grouped(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, THIN);
}

export function percent(ratio, digits = 1) {
  return `${(100 * ratio).toFixed(digits)}${THIN}%`;
}

export function milliseconds(value) {
  if (value === null) return "–";
  const digits = value < 10 ? 1 : 0;
  return value < 10_000 ? `${value.toFixed(digits)} ms` : `${(value / 1000).toFixed(1)} s`;
}

export function bytes(size) {
  if (size < 1024) return `${size} B`;
  const units = ["KiB", "MiB", "GiB"];
  let at = -1;
  do {
    size /= 1024;
    at += 1;
  } while (size >= 1024 && at < units.length - 1);
  return `${size.toFixed(size < 10 ? 1 : 0)} ${units[at]}`;
}

/** Write a TTL in seconds as people do; null never ends. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "never";
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= 2 * length) return `${Math.floor(seconds / length)} ${unit}`;
  }
  return `${Math.max(0, Math.floor(seconds))} s`;
}

export function clock(time) {
  return new Date(time).toTimeString().slice(0, 8);
}

/** Random text. Not crypto.randomUUID, which pages that come over plain HTTP don't have. */
export function randomId() {
  const random = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

let noteTimer = 0;

/** Say something at the bottom of the page, for some seconds. */
export function note(text, kind = "info") {
  const place = document.getElementById("notes");
  place.replaceChildren(h("p", { class: `note ${kind}` }, text));
  clearTimeout(noteTimer);
  noteTimer = setTimeout(() => place.replaceChildren(), 6000);
}

/** Ask before something that can't be undone. */
export function confirmed(question, action) {
  return new Promise((resolve) => {
    const dialog = h(
      "dialog",
      { "aria-label": question, close: () => (dialog.remove(), resolve(dialog.returnValue === "yes")) },
      h("form", { method: "dialog" },
        h("p", {}, question),
        h("div", { class: "buttons" },
          h("button", { value: "no" }, "Cancel"),
          h("button", { value: "yes", class: "danger" }, action),
        ),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}
