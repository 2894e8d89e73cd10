"""The table of routes, scopes and prefixes, asked of a running service: who is let in where."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from bench.frame.errors import BenchError
from bench.frame.processes import running
from bench.frame.program import Run
from bench.frame.rows import Row, at_least, at_most
from bench.testbed.http_client import exchange_whole
from bench.testbed.operations import render_request
from bench.testbed.servers import PATIENT, Redis, Service
from svc.door.tokens import MARK, digest_of

from .cells import (
    FOREIGN_COUNTERS,
    FOREIGN_KEYS,
    FOREIGN_PREFIXES,
    OWN_COUNTERS,
    OWN_KEYS,
    OWN_PREFIXES,
    SCOPES_OF,
    TOKENS,
    Request,
    batch_of,
    deletion,
    operations,
    requests_on_counter,
    requests_on_key,
)
from .sizes import Sizes

#: Covers all names: it stores them, and reads them again at the end.
EVERYTHING: Final = "everything"
#: The token whose prefixes are of keys alone.
ENTRIES: Final = "entries"
FORBIDDEN: Final = 403
#: Lists, and the member that names an item.
LISTS: Final = {"kv": "key", "counters": "name"}
#: Headers that differ from answer to answer anyway.
NOT_COMPARED: Final = {"date", "x-request-id"}

Said = tuple[int, dict[str, str], Any]


@dataclass
class Cells:
    """The answers on one route: how many are wrong, and which tokens got something else than 403.

    By whether the names were the token's own.
    """

    asked: int = 0
    wrong: int = 0
    let_in: dict[bool, set[str]] = field(default_factory=lambda: {True: set(), False: set()})

    def row(self, route: str) -> Row:
        own, foreign = (
            " ".join(token for token in TOKENS if token in self.let_in[is_own]) or "nobody"
            for is_own in (True, False)
        )
        note = f"own names: {own}; foreign: {foreign}; of {self.asked:,}"
        return Row(route, self.wrong, "wrong", at_most(0), note)


class Table:
    """The cells by route, filled by asking a service."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.cells: dict[str, Cells] = defaultdict(Cells)

    def ask(self, token: str, request: Request) -> Said:
        """Return what the token's holder can learn from the answer."""
        headers = {**_bearer(token), "Content-Type": request.content_type}
        rendered = render_request(request.method, request.path, request.body, headers)
        status, headers, body = exchange_whole(self._port, rendered)
        said: Any = body
        if body.startswith(b"{"):
            said = json.loads(body)
            said.pop("trace_id", None)
        return status, {k: v for k, v in headers.items() if k not in NOT_COMPARED}, said

    def single_requests(self) -> dict[str, Any]:
        """Ask for every entry and counter, for the foreign ones before and while they exist.

        Return what is stored under the foreign names.
        """
        for request in _on(OWN_KEYS, OWN_COUNTERS):
            is_counter = "/counters/" in request.path
            for token, scopes in SCOPES_OF.items():
                status, *_ = self.ask(token, request)
                allowed = request.scope in scopes and not (token == ENTRIES and is_counter)
                right = status in request.good if allowed else status == FORBIDDEN
                self._note(request.route, token, status != FORBIDDEN, is_own=True, is_right=right)
        absent = self._ask_foreign()
        self.store(FOREIGN_KEYS, FOREIGN_COUNTERS)
        before = self.stored()
        for (token, request), said in self._ask_foreign().items():
            right = said == absent[token, request] and said[0] == FORBIDDEN
            self._note(request.route, token, said[0] != FORBIDDEN, is_own=False, is_right=right)
        return before

    def _ask_foreign(self) -> dict[tuple[str, Request], Said]:
        return {
            (token, request): self.ask(token, request)
            for request in _on(FOREIGN_KEYS, FOREIGN_COUNTERS)
            for token in TOKENS
        }

    def batches(self) -> None:
        """Ask for own and foreign names in one batch. Each operation is judged by itself."""
        for token, scopes in SCOPES_OF.items():
            own = operations(_decoded(OWN_KEYS), () if token == ENTRIES else OWN_COUNTERS)
            foreign = operations(_decoded(FOREIGN_KEYS), FOREIGN_COUNTERS)
            if token == ENTRIES:
                foreign += operations((), OWN_COUNTERS)
            batch = Request("batch", "POST", "/v1/batch", "", frozenset(), batch_of(own + foreign))
            results = self.ask(token, batch)[2]["results"]
            for number, (scope, operation) in enumerate(own + foreign):
                is_own = number < len(own)
                let_in = results[number]["status"] != FORBIDDEN
                right = let_in is (is_own and scope in scopes)
                route = f"batch: {operation['op']}"
                self._note(route, token, let_in, is_own=is_own, is_right=right)

    def lists(self) -> None:
        """List. Whoever may read gets all own names, and nobody gets another."""
        self.store(OWN_KEYS, OWN_COUNTERS)
        for kind, member in LISTS.items():
            own = set(_decoded(OWN_KEYS) if kind == "kv" else OWN_COUNTERS)
            for query in ("?limit=1000", "?limit=1000&prefix=team-"):
                request = Request("list", "GET", f"/v1/{kind}{query}", "read", frozenset())
                for token, scopes in SCOPES_OF.items():
                    status, _, said = self.ask(token, request)
                    allowed = "read" in scopes
                    names = {item[member] for item in said["items"]} if status == 200 else set()
                    hidden = kind == "counters" and token == ENTRIES
                    right = status == (200 if allowed else FORBIDDEN)
                    right = right and names & own == (own if allowed and not hidden else set())
                    route = f"list {kind}"
                    self._note(route, token, bool(names & own), is_own=True, is_right=right)
                    others = names - own
                    self._note(route, token, bool(others), is_own=False, is_right=not others)

    def deletions(self) -> None:
        """Delete by prefix. Whoever may delete deletes all own names, and nobody another."""
        for kind in LISTS:
            own = set(_decoded(OWN_KEYS) if kind == "kv" else OWN_COUNTERS)
            for token, scopes in SCOPES_OF.items():
                allowed = "delete" in scopes and not (kind == "counters" and token == ENTRIES)
                for prefix in OWN_PREFIXES[kind]:
                    self.store(OWN_KEYS, OWN_COUNTERS)
                    request = deletion(kind, prefix)
                    status, *_ = self.ask(token, request)
                    right = status == (200 if allowed else FORBIDDEN)
                    right = right and self._names(kind) & own == (set() if allowed else own)
                    let_in = status != FORBIDDEN
                    self._note(request.route, token, let_in, is_own=True, is_right=right)
                for prefix in FOREIGN_PREFIXES:
                    request = deletion(kind, prefix)
                    status, *_ = self.ask(token, request)
                    let_in = status != FORBIDDEN
                    self._note(request.route, token, let_in, is_own=False, is_right=not let_in)

    def _names(self, kind: str) -> set[str]:
        request = Request("list", "GET", f"/v1/{kind}?limit=1000", "read", frozenset())
        return {item[LISTS[kind]] for item in self.ask(EVERYTHING, request)[2]["items"]}

    def store(self, keys: tuple[str, ...], counters: tuple[str, ...]) -> None:
        """Store entries and counters. Raises BenchError."""
        for request in _on(keys, counters):
            if request.route in {"write", "set counter"}:
                status, *_ = self.ask(EVERYTHING, request)
                if status not in request.good:
                    raise BenchError(f"{request.method} {request.path} is answered by {status}")

    def stored(self) -> dict[str, Any]:
        """Return the ETag of every foreign entry, and the value of every foreign counter."""
        found: dict[str, Any] = {}
        own = {*_decoded(OWN_KEYS), *OWN_COUNTERS}
        for kind, member in LISTS.items():
            request = Request("list", "GET", f"/v1/{kind}?limit=1000", "read", frozenset())
            for item in self.ask(EVERYTHING, request)[2]["items"]:
                if item[member] not in own:
                    found[f"{kind} {item[member]}"] = item.get("etag", item.get("value"))
        return found

    def _note(self, route: str, token: str, let_in: bool, *, is_own: bool, is_right: bool) -> None:
        cells = self.cells[route]
        cells.asked += 1
        cells.wrong += not is_right
        if let_in:
            cells.let_in[is_own].add(token)


def tabulate(run: Run[Sizes]) -> Iterator[Row]:
    """Yield a row for each route: how many answers are wrong, and whose tokens are let in."""
    tokens = run.directory / "tokens"
    lines = TOKENS | {EVERYTHING: "read,write,delete,admin"}
    tokens.write_text(
        "".join(
            f"{name} sha256:{digest_of(_text(name)).hex()} {rest}\n" for name, rest in lines.items()
        )
    )
    settings = {**PATIENT, "KV_TOKENS_FILE": str(tokens)}
    with (
        running(Redis(cores=run.load_cores)) as server,
        running(Service(server.url, settings, run.server_cores)) as service,
    ):
        table = Table(service.port)
        before = table.single_requests()
        table.batches()
        table.lists()
        table.deletions()
        after = table.stored()
    for route, cells in table.cells.items():
        yield cells.row(route)
    asked = sum(cells.asked for cells in table.cells.values())
    yield Row("answers", asked, "", at_least(1_000), f"{len(TOKENS)} tokens")
    changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    yield Row("foreign names that changed", len(changed), "", at_most(0), f"of {len(before)}")


def _on(keys: tuple[str, ...], counters: tuple[str, ...]) -> Iterator[Request]:
    for key in keys:
        yield from requests_on_key(key)
    for name in counters:
        yield from requests_on_counter(name)


def _decoded(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(unquote(key) for key in keys)


def _text(name: str) -> str:
    return f"{MARK}_{name}_{digest_of(name).hex()}"


def _bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {_text(name)}"}
