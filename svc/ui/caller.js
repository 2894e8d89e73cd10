// Who the caller is, and what the token's scopes allow. What they forbid is greyed out.

import { hasToken, send, setToken } from "./api.js";
import { h, setText } from "./dom.js";

const EVERYTHING = { token: null, scopes: ["read", "write", "delete", "admin"], keys: [""], counters: [""] };
const NOTHING = { token: null, scopes: [], keys: [], counters: [] };

/** The last answer of /v1/status; its `caller` is what counts. */
export const known = { status: null, caller: EVERYTHING, needsToken: false };
const listeners = [];

export function onCaller(listener) {
  listeners.push(listener);
}

/** Ask again. Return the answer. */
export async function ask() {
  const answer = await send("GET", "v1/status");
  const before = JSON.stringify([known.caller, known.needsToken]);
  known.needsToken = answer.status === 401;
  if (answer.ok) {
    known.status = answer.json;
    known.caller = known.status.caller;
  } else if (answer.status === 401) {
    known.status = null;
    known.caller = NOTHING;
  } else if (answer.status === 404) {
    // An older release, which can't say it: the API's 403 will.
    known.caller = EVERYTHING;
  }
  showCaller(answer.release);
  if (before !== JSON.stringify([known.caller, known.needsToken])) {
    for (const listener of listeners) listener();
  }
  return answer;
}

/** Whether the token covers this. Without a name: some name at least. */
export function may(scope, kind, name) {
  const prefixes = known.caller[kind];
  return (
    known.caller.scopes.includes(scope) &&
    (name === undefined ? prefixes.length > 0 : prefixes.some((each) => name.startsWith(each)))
  );
}

/** Grey out a control that the token's scopes forbid, and say so. */
export function allow(control, scope, kind, name) {
  const allowed = may(scope, kind, name);
  control.disabled = !allowed;
  control.title = allowed ? "" : `Your token does not allow this: it lacks the scope ${scope} here.`;
  return allowed;
}

function showCaller({ version, track }) {
  setText(document.getElementById("who"), version ? `${version} · ${track}` : "");
  const button = document.getElementById("token");
  const id = known.caller.token;
  setText(button, known.needsToken ? "Token needed" : id ? `Token: ${id}` : "Token");
  button.classList.toggle("primary", known.needsToken);
}

/** Let people enter a token. It is kept in memory, so reloading the page forgets it. */
export function enterToken() {
  const field = h("input", { type: "password", id: "token-text", autocomplete: "off", spellcheck: false, size: 48 });
  const said = h("p", { class: "bad", role: "alert" });
  const form = h(
    "form",
    {
      method: "dialog",
      submit: async (event) => {
        event.preventDefault();
        if (event.submitter?.value === "cancel") return dialog.close();
        setToken(event.submitter?.value === "forget" ? "" : field.value);
        const answer = await ask();
        if (answer.status === 401 && hasToken()) said.textContent = "The service does not know this token, or it has expired.";
        else dialog.close();
      },
    },
    h("h2", {}, "Token"),
    h("p", {}, "It is kept in this page's memory only, and forgotten when you reload it."),
    h("label", { htmlFor: "token-text" }, "Bearer token"),
    field,
    said,
    h("div", { class: "buttons" },
      h("button", { value: "use", class: "primary" }, "Use it"),
      h("button", { value: "forget", hidden: !hasToken() }, "Forget it"),
      h("button", { value: "cancel" }, "Cancel"),
    ),
  );
  const dialog = h("dialog", { "aria-label": "Token", close: () => dialog.remove() }, form);
  document.body.append(dialog);
  dialog.showModal();
  field.focus();
}
