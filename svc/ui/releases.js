// The releases that have answered, each with a colour and a shape: neither alone tells them apart.

import { s } from "./dom.js";

const SHAPES = ["circle", "square", "triangle", "diamond", "ring", "bar"];
/** Tracks that have the same look on every page. */
const USUAL = { stable: 0, blue: 0, canary: 1, green: 2, baseline: 3 };
const looks = new Map();

/** The name of a release: its version and track. */
export function nameOf({ version, track }) {
  return version ? `${version} · ${track}` : "no release";
}

/** The number of a release's colour and shape; the same one as long as the page is open. */
export function lookOf(release) {
  const name = nameOf(release);
  if (!looks.has(name)) {
    const taken = new Set(looks.values());
    // The last one is for what no release answered: a proxy, or nobody.
    let look = release.version ? (USUAL[release.track] ?? 0) : SHAPES.length - 1;
    for (let tries = 0; taken.has(look) && tries < SHAPES.length; tries += 1) look = (look + 1) % SHAPES.length;
    looks.set(name, look);
  }
  return looks.get(name);
}

export function colorOf(look) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--release-${look}`).trim();
}

/** Draw a shape of the given radius on a canvas. */
export function drawShape(context, look, x, y, r) {
  context.beginPath();
  const shape = SHAPES[look];
  if (shape === "circle") context.arc(x, y, r, 0, 2 * Math.PI);
  else if (shape === "square") context.rect(x - 0.85 * r, y - 0.85 * r, 1.7 * r, 1.7 * r);
  else if (shape === "bar") context.rect(x - 0.4 * r, y - r, 0.8 * r, 2 * r);
  else if (shape === "ring") {
    context.arc(x, y, r, 0, 2 * Math.PI);
    context.arc(x, y, 0.5 * r, 0, 2 * Math.PI, true);
  } else {
    const points = shape === "triangle" ? [[0, -1.1], [1, 0.75], [-1, 0.75]] : [[0, -1.2], [1.1, 0], [0, 1.2], [-1.1, 0]];
    for (const [at, [dx, dy]] of points.entries()) context[at ? "lineTo" : "moveTo"](x + dx * r, y + dy * r);
    context.closePath();
  }
  context.fill();
}

/** A small picture of a release's colour and shape, for text. */
export function marker(look) {
  const svg = s("svg", { class: `marker release-${look}`, viewBox: "-8 -8 16 16", "aria-hidden": "true" });
  const shapes = {
    circle: () => s("circle", { r: 6 }),
    square: () => s("rect", { x: -5.5, y: -5.5, width: 11, height: 11 }),
    triangle: () => s("path", { d: "M0-6.5 6.5 5h-13z" }),
    diamond: () => s("path", { d: "M0-7 7 0 0 7-7 0z" }),
    ring: () => s("path", { d: "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0M-3 0a3 3 0 1 1 6 0a3 3 0 1 1-6 0", "fill-rule": "evenodd" }),
    bar: () => s("rect", { x: -2.5, y: -7, width: 5, height: 14 }),
  };
  svg.append(shapes[SHAPES[look]]());
  return svg;
}
