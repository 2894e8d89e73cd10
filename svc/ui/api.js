// Requests to the API. The token is here, in memory only, and nowhere else.

const BASE = new URL("../", import.meta.url);
const TIMEOUT_MS = 15_000;
let token = "";

export function setToken(text) {
  token = text.trim();
}

export function hasToken() {
  return token !== "";
}

export function urlOf(path) {
  return new URL(path.replace(/^\//, ""), BASE);
}

export function authorization() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** The path of an entry. A key that browsers would make another path of is refused here. */
export function entryPath(key) {
  const segments = key.split("/");
  if (segments.some((each) => each === "" || each === "." || each === "..")) {
    throw new RangeError("A key must have no empty segment, and none that is . or ..");
  }
  return `v1/kv/${segments.map(encodeURIComponent).join("/")}`;
}

export function counterPath(name) {
  return `v1/counters/${encodeURIComponent(name)}`;
}

/** An answer, or the lack of one: then `status` is 0. */
export class Answer {
  constructor(request, status, headers, body, ms) {
    this.request = request;
    this.status = status;
    this.headers = headers;
    this.body = body;
    this.ms = ms;
  }

  get ok() {
    return this.status >= 200 && this.status < 300;
  }

  get etag() {
    return this.headers.get("ETag");
  }

  get release() {
    const [version, track, pod] = ["KV-Version", "KV-Track", "KV-Pod"].map(
      (name) => this.headers.get(name) ?? "",
    );
    return { version, track, pod };
  }

  get bytes() {
    return new Uint8Array(this.body);
  }

  get text() {
    return new TextDecoder().decode(this.body);
  }

  get json() {
    return JSON.parse(this.text);
  }

  /** The problem document of an error; made here where a proxy answered, or nobody. */
  get problem() {
    if (this.ok) return null;
    const type = this.headers.get("Content-Type") ?? "";
    if (type.startsWith("application/problem+json")) {
      try {
        return this.json;
      } catch {
        // A proxy may have cut it.
      }
    }
    return {
      status: this.status,
      title: this.status ? `HTTP ${this.status}` : "No answer",
      detail: this.text.slice(0, 500),
      code: this.status ? "not_a_problem" : "no_answer",
    };
  }
}

/** Send a request and wait for the whole answer. Never throws for what the network does. */
export async function send(method, path, { headers = {}, body } = {}) {
  const request = { method, path, at: Date.now() };
  const started = performance.now();
  const done = (status, received, content) =>
    new Answer(request, status, received, content, performance.now() - started);
  try {
    const response = await fetch(urlOf(path), {
      method,
      body,
      headers: { ...authorization(), ...headers },
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return done(response.status, response.headers, await response.arrayBuffer());
  } catch (error) {
    const text = error.name === "TimeoutError" ? `none came within ${TIMEOUT_MS / 1000} s` : error.message;
    return done(0, new Headers(), new TextEncoder().encode(text).buffer);
  }
}

/** What to tell people of a problem, in one line. */
export function told(answer) {
  const { title, detail, code, applied } = answer.problem;
  const outcome = applied === "unknown" ? " It may have been applied." : "";
  return `${title}: ${detail || code}.${outcome}`.replace("..", ".");
}
