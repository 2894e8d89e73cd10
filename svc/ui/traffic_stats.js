// What the answers amount to: shares, success and latency by release. No elements, no clock.

import { lookOf, nameOf } from "./releases.js";

/** What "now" means: the share and the latencies are those of the last minute. */
export const WINDOW_MS = 60_000;
/** How much of the past the chart shows. */
export const CHART_MS = 120_000;
export const BUCKET_MS = 2_000;
/** Beside what is expected, a share this far off is as expected. */
export const TOLERANCE = 0.03;

export class TrafficStats {
  #releases = new Map();
  #recent = [];
  #buckets = new Map();
  startedAt = null;

  /** Take an answer, at its time of arrival. 5xx and no answer are failures; a 4xx is an answer. */
  add(answer, now) {
    this.startedAt ??= now;
    const release = answer.release;
    const name = nameOf(release);
    if (!this.#releases.has(name)) {
      this.#releases.set(name, { name, release, look: lookOf(release), requests: 0, failures: 0, pods: new Set() });
    }
    const row = this.#releases.get(name);
    const failed = answer.status === 0 || answer.status >= 500;
    row.requests += 1;
    row.failures += failed;
    if (release.pod) row.pods.add(release.pod);
    this.#recent.push({ now, name, failed, ms: answer.ms });
    const bucket = Math.floor(now / BUCKET_MS);
    if (!this.#buckets.has(bucket)) this.#buckets.set(bucket, new Map());
    const counts = this.#buckets.get(bucket);
    counts.set(name, (counts.get(name) ?? 0) + 1);
    for (const old of this.#buckets.keys()) {
      if (old < bucket - CHART_MS / BUCKET_MS - 1) this.#buckets.delete(old);
    }
  }

  /** One row for each release that has answered. */
  rows(now) {
    const since = now - WINDOW_MS;
    let first = this.#recent.findIndex((each) => each.now >= since);
    if (first < 0) first = this.#recent.length;
    this.#recent.splice(0, first);
    const total = this.#recent.length;
    return [...this.#releases.values()].map((row) => {
      const recent = this.#recent.filter((each) => each.name === row.name);
      const sorted = recent.map((each) => each.ms).sort((a, b) => a - b);
      return {
        ...row,
        recent: recent.length,
        share: total ? recent.length / total : null,
        success: recent.length ? 1 - recent.filter((each) => each.failed).length / recent.length : null,
        p50: quantile(sorted, 0.5),
        p99: quantile(sorted, 0.99),
      };
    });
  }

  /** Requests a second, over the last five. */
  rate(now) {
    const seconds = 5;
    return this.#recent.filter((each) => each.now >= now - 1000 * seconds).length / seconds;
  }

  /** The chart's columns from old to new: for each, the requests by release. */
  columns(now) {
    const last = Math.floor(now / BUCKET_MS);
    const count = CHART_MS / BUCKET_MS;
    return Array.from({ length: count }, (_, at) => this.#buckets.get(last - count + 1 + at) ?? new Map());
  }
}

export function quantile(sorted, q) {
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] : null;
}

/**
 * Parse "stable 90, canary 10": the name of a track, a version or a pod, and its percent. Throws
 * RangeError, which says what is wrong.
 */
export function parseExpected(text) {
  const expected = new Map();
  for (const part of text.split(",").map((each) => each.trim()).filter(Boolean)) {
    const found = /^(\S+)[\s:=]+(\d+(?:\.\d+)?)\s*%?$/.exec(part);
    if (!found) throw new RangeError(`“${part}” is no track or version with a percent`);
    expected.set(found[1], Number(found[2]) / 100);
  }
  const sum = [...expected.values()].reduce((a, b) => a + b, 0);
  if (expected.size && Math.abs(sum - 1) > 0.005) throw new RangeError(`the sum is ${Math.round(sum * 100)} %, not 100 %`);
  return expected;
}

export function expectedOf(expected, { release }) {
  return expected.get(release.track) ?? expected.get(release.version) ?? expected.get(release.pod) ?? (expected.size ? 0 : null);
}

/** Half of the 95 % interval of a share that was seen in so many requests. */
export function margin(share, requests) {
  return requests ? 1.96 * Math.sqrt(Math.max(share * (1 - share), 1 / requests) / requests) : 1;
}
