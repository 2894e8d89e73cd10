// A value, shown by its type: JSON folded, text, an image, or bytes in hexadecimal.

import { bytes as sizeOf, h } from "./dom.js";

const HEX_BYTES = 8_192;
const TEXT_BYTES = 262_144;
const IMAGES = /^image\/(png|jpeg|gif|webp|avif|bmp|svg\+xml|x-icon|vnd\.microsoft\.icon)/;
/** Branches of JSON with so few members are open at first, down to this level. */
const OPEN_MEMBERS = 30;
const OPEN_LEVELS = 2;

/** The value as text; null if it is none. */
export function textOf(bytes) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return /[\0-\x08\x0e-\x1f]/.test(text) ? null : text;
  } catch {
    return null;
  }
}

/** Parse JSON, and keep the digits of its numbers as they are. */
function parse(text) {
  return JSON.parse(text, (_, value, context) => (typeof value === "number" && context?.source ? new Digits(context.source) : value));
}

class Digits {
  constructor(text) {
    this.text = text;
  }
}

/** The ways to show a value, the best first: [name, function that makes the element]. */
export function waysToShow(type, bytes) {
  const ways = [];
  const text = textOf(bytes);
  if (text !== null && bytes.length <= TEXT_BYTES && (/[/+]json/.test(type) || /^\s*[[{]/.test(text))) {
    try {
      const value = parse(text);
      ways.push(["JSON", () => h("div", { class: "json" }, renderJson(value, 0))]);
    } catch {
      // It is text, then.
    }
  }
  if (IMAGES.test(type)) ways.push(["Image", () => renderImage(type, bytes)]);
  if (text !== null) ways.push(["Text", () => h("pre", { class: "text", tabIndex: 0, "aria-label": "Value" }, cut(text))]);
  ways.push(["Hex", () => h("pre", { class: "hex", tabIndex: 0, "aria-label": "Value in hexadecimal" }, hex(bytes))]);
  return ways;
}

function cut(text) {
  return text.length > TEXT_BYTES ? `${text.slice(0, TEXT_BYTES)}\n… the rest is not shown` : text;
}

function renderImage(type, bytes) {
  const url = URL.createObjectURL(new Blob([bytes], { type: type.split(";")[0] }));
  const facts = h("figcaption", { class: "quiet" }, sizeOf(bytes.length));
  const image = h("img", {
    src: url, alt: "The value as an image",
    load: () => {
      facts.textContent = `${image.naturalWidth} × ${image.naturalHeight}, ${sizeOf(bytes.length)}`;
      URL.revokeObjectURL(url);
    },
    error: () => {
      facts.textContent = "This is no image that the browser can show.";
      URL.revokeObjectURL(url);
    },
  });
  return h("figure", { class: "image" }, image, facts);
}

function renderJson(value, level, name = null) {
  const label = name === null ? [] : [h("span", { class: "member" }, name), ": "];
  if (value === null || typeof value !== "object" || value instanceof Digits) {
    const kind = value instanceof Digits ? "number" : value === null ? "null" : typeof value;
    const text = value instanceof Digits ? value.text : JSON.stringify(value);
    return h("div", { class: "leaf" }, label, h("span", { class: `value ${kind}` }, text));
  }
  const isList = Array.isArray(value);
  const members = Object.entries(value);
  const brackets = isList ? ["[", "]"] : ["{", "}"];
  if (members.length === 0) return h("div", { class: "leaf" }, label, brackets.join(""));
  const body = h("div", { class: "members" });
  const details = h("details", { open: level < OPEN_LEVELS && members.length <= OPEN_MEMBERS },
    h("summary", {}, label, brackets[0], h("span", { class: "quiet" }, ` ${members.length} `), brackets[1]),
    body,
  );
  const fill = () => {
    if (details.open && !body.hasChildNodes()) {
      body.append(...members.map(([key, each]) => renderJson(each, level + 1, isList ? key : JSON.stringify(key))));
    }
  };
  details.addEventListener("toggle", fill);
  fill();
  return details;
}

function hex(bytes) {
  const lines = [];
  for (let at = 0; at < Math.min(bytes.length, HEX_BYTES); at += 16) {
    const row = Array.from(bytes.subarray(at, at + 16));
    const digits = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const shown = row.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${digits.padEnd(47)}  ${shown}`);
  }
  if (bytes.length > HEX_BYTES) lines.push(`… ${sizeOf(bytes.length - HEX_BYTES)} more`);
  return lines.join("\n");
}
