"""The store compared with its model: the same results for any sequence of operations."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from svc.domain.errors import (
    CounterMissing,
    CounterOverflow,
    DomainError,
    IdempotencyMismatch,
    KeyMissing,
    PreconditionFailed,
)
from svc.domain.model import Added, CounterName, Increment, Key, Operation, Ttl
from svc.domain.store import Store
from svc.stores.names import counter_name, entry_name
from svc.stores.store_url import open_store
from tests.conftest import Backend
from tests.svc.api.client import run_out
from tests.svc.contract.conditions_on_counters import ConditionsOnCounters
from tests.svc.contract.history import is_one_history
from tests.svc.contract.store_model import (
    COUNTERS,
    HIGHEST,
    KEYS,
    LONG,
    LOWEST,
    Model,
    about,
    bodies,
    conditions,
    draft,
    increments,
    keys,
    names,
    steps,
    ttls,
)


class StoreAgainstDict(ConditionsOnCounters, RuleBasedStateMachine):
    backend: Backend
    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = contextlib.AsyncExitStack()
        self.model = Model()

    @initialize()
    def open(self) -> None:
        self.backend.flush()
        opened = open_store(
            self.backend.url, data_dir=Path(), timeout_seconds=30, operation_ttl_seconds=LONG
        )
        self.store = self.runner.run(self.stack.enter_async_context(opened))

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()

    def call(self, method: str, *arguments: Any) -> Any:
        """Await the store's result; an error is a result too."""

        async def wait() -> Any:
            try:
                return await getattr(self.store, method)(*arguments)
            except DomainError as refusal:
                return refusal

        return self.runner.run(wait())

    def wrote(self, key: Key, body: bytes, ttl: Ttl, written: Any) -> None:
        expected = self.model.ttl_after(key, ttl)
        assert written.created == (key not in self.model.entries)
        assert about(written.ttl_seconds, expected)
        assert written.etag not in self.model.etags
        self.model.etags.append(written.etag)
        self.model.entries[key] = (body, written.etag, expected)

    def refused(self, key: Key, refusal: Any) -> None:
        assert isinstance(refusal, PreconditionFailed)
        current = self.model.entries.get(key)
        assert refusal.etag == (current[1] if current else None)

    @rule(key=keys, body=bodies, ttl=ttls, kind=conditions, pick=st.integers(0, 9))
    def write(self, key: Key, body: bytes, ttl: Ttl, kind: str, pick: int) -> None:
        precondition, holds = self.model.precondition(key, kind, pick)

        written = self.call("write", key, draft(body, ttl), precondition)

        if holds:
            self.wrote(key, body, ttl, written)
        else:
            self.refused(key, written)

    @rule(key=keys, body=bodies, ttl=ttls, fresh=st.booleans())
    def swap(self, key: Key, body: bytes, ttl: Ttl, fresh: bool) -> None:
        current = self.model.entries.get(key)
        etag = current[1] if current and fresh else self.model.etags[0]

        written = self.call("swap", key, draft(body, ttl), etag)

        if current and fresh:
            self.wrote(key, body, ttl, written)
        else:
            assert written is None

    @rule(key=keys, kind=conditions, pick=st.integers(0, 9))
    def delete(self, key: Key, kind: str, pick: int) -> None:
        precondition, holds = self.model.precondition(key, kind, pick)

        deleted = self.call("delete", key, precondition)

        if key not in self.model.entries:
            assert isinstance(deleted, KeyMissing)
        elif holds:
            assert deleted is False
            del self.model.entries[key]
        else:
            self.refused(key, deleted)

    @rule(drafts=st.lists(st.tuples(keys, bodies, st.sampled_from([None, LONG])), max_size=8))
    def write_many(self, drafts: list[tuple[Key, bytes, int | None]]) -> None:
        written = self.call("write_many", [(key, draft(body, ttl)) for key, body, ttl in drafts])

        for (key, body, ttl), each in zip(drafts, written, strict=True):
            self.wrote(key, body, ttl, each)

    @rule(name=names, by=increments, once=st.booleans())
    def step(self, name: CounterName, by: Increment, once: bool) -> None:
        before = self.model.counters.get(name, (0, None))[0]
        number = len(self.model.operations)
        operation = Operation(number.to_bytes(16, "big"), b"f" * 16) if once else None

        added = self.call("add", name, by, operation)

        expected = self.model.step(name, by)
        if isinstance(expected, int):
            assert (added.value, added.applied_by) == (expected, expected - before)
        else:
            assert added.slug == expected
        assert not added.replayed
        if operation is not None:
            self.model.operations.append((name, by, operation, expected))

    @rule(pick=st.integers(0, 99), other=st.booleans())
    def replay(self, pick: int, other: bool) -> None:
        if not self.model.operations:
            return
        name, increment, operation, came_to = self.model.operations[
            pick % len(self.model.operations)
        ]
        if other:
            mismatch = Operation(operation.id, b"g" * 16)
            refusal = self.call("add", name, increment, mismatch)
            assert isinstance(refusal, IdempotencyMismatch)
            return

        again = self.call("add", name, increment, operation)

        assert again.replayed
        assert came_to == (again.slug if isinstance(again, DomainError) else again.value)

    @rule(asked=st.lists(st.tuples(names, steps), max_size=8))
    def add_many(self, asked: list[tuple[CounterName, int]]) -> None:
        outcomes = self.call("add_many", asked)

        for (name, by), outcome in zip(asked, outcomes, strict=True):
            expected = self.model.step(name, Increment(by))
            if isinstance(expected, int):
                assert (outcome.value, outcome.applied_by) == (expected, by)
            else:
                assert outcome.slug == expected

    @rule(name=names, sizes=st.lists(steps, min_size=1, max_size=8))
    def step_at_once(self, name: CounterName, sizes: list[int]) -> None:
        before, ttl = self.model.counters.get(name, (0, None))

        async def at_once() -> list[Any]:
            asked = [self.store.add(name, Increment(by)) for by in sizes]
            return await asyncio.gather(*asked, return_exceptions=True)

        outcomes = self.runner.run(at_once())

        counter = self.call("read_counter", name)
        after = before if isinstance(counter, CounterMissing) else counter.value
        moves = [(o.value - o.applied_by, o.value) for o in outcomes if isinstance(o, Added)]
        assert is_one_history(moves, before, after)
        reached = {before, *(value for _, value in moves)}
        assert all(LOWEST <= value <= HIGHEST for value in reached)
        for by, outcome in zip(sizes, outcomes, strict=True):
            if not isinstance(outcome, Added):
                assert isinstance(outcome, CounterOverflow)
                assert any(not LOWEST <= value + by <= HIGHEST for value in reached)
        if moves:
            self.model.counters[name] = (after, ttl)

    @rule(name=names, value=steps, ttl=st.sampled_from([None, LONG]))
    def set_counter(self, name: CounterName, value: int, ttl: int | None) -> None:
        previous, replayed = self.call("set_counter", name, value, ttl)

        assert previous == self.model.counters.get(name, (None, None))[0]
        assert not replayed
        self.model.counters[name] = (value, ttl)

    @rule(name=names)
    def delete_counter(self, name: CounterName) -> None:
        deleted = self.call("delete_counter", name)

        if self.model.counters.pop(name, None) is None:
            assert isinstance(deleted, CounterMissing)
        else:
            assert deleted is False

    @rule(pick=st.integers(0, 99))
    def expire(self, pick: int) -> None:
        held: list[Key | CounterName] = [*self.model.entries, *self.model.counters]
        if not held:
            return
        gone = held[pick % len(held)]
        if isinstance(gone, Key):
            run_out(self.backend, entry_name(gone))
            del self.model.entries[gone]
        else:
            run_out(self.backend, counter_name(gone))
            del self.model.counters[gone]

    @rule(
        prefix=st.sampled_from(["", "a", "a*", "é", "c", "\\"]), limit=st.sampled_from([1, 3, 99])
    )
    def list_all(self, prefix: str, limit: int) -> None:
        for method, held in (
            ("list_entries", {key.text for key in self.model.entries}),
            ("list_counters", {name.text for name in self.model.counters}),
        ):
            found: set[str] = set()
            cursor, more = None, True
            while more:
                page = self.call(method, prefix, limit, cursor)
                assert len(page.items) <= limit
                found |= {
                    item.key if method == "list_entries" else item.name for item in page.items
                }
                cursor = page.next_cursor
                more = cursor is not None
            assert found == {text for text in held if text.startswith(prefix)}

    @rule(prefix=st.sampled_from(["a", "a*", "é", "c"]), limit=st.sampled_from([1, 3, 99]))
    def delete_prefix(self, prefix: str, limit: int) -> None:
        held: Any
        for collection, held in (("kv", self.model.entries), ("counters", self.model.counters)):
            gone = [name for name in held if name.text.startswith(prefix)]
            deleted, cursor, more = 0, None, True
            while more:
                page = self.call("delete_prefix", collection, prefix, limit, cursor)
                assert page.deleted <= limit
                deleted, cursor = deleted + page.deleted, page.next_cursor
                more = cursor is not None
            assert deleted == len(gone)
            for name in gone:
                del held[name]

    @invariant()
    def both_hold_the_same(self) -> None:
        if not hasattr(self, "store"):
            return
        asked = [Key(text) for text in KEYS]
        for key, found in zip(asked, self.call("read_many", asked, 1 << 30), strict=True):
            expected = self.model.entries.get(key)
            single = self.call("read", key)
            if expected is None:
                assert isinstance(found, KeyMissing)
                assert isinstance(single, KeyMissing)
            else:
                assert (found.body, found.etag, found.content_type) == (*expected[:2], "text/plain")
                assert about(found.ttl_seconds, expected[2])
                assert (single.body, single.etag) == expected[:2]
        for text in COUNTERS:
            counter = self.call("read_counter", CounterName(text))
            held = self.model.counters.get(CounterName(text))
            if held is None:
                assert isinstance(counter, CounterMissing)
            else:
                assert counter.value == held[0]
                assert about(counter.ttl_seconds, held[1])


def test_the_store_agrees_with_a_dict(backend: Backend) -> None:
    class OnThisBackend(StoreAgainstDict):
        pass

    OnThisBackend.backend = backend
    bounds = settings(max_examples=40, stateful_step_count=40)
    run_state_machine_as_test(
        OnThisBackend, settings=settings(bounds, suppress_health_check=list(HealthCheck))
    )
