"""Batches: writes, reads of the same entries, and an increment, in one request."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from locust import task

from ..checks.answers import Answer, WrongAnswer, expect_equal, expect_status, json_of
from .base import TallyUser, Unknown
from .counters import value_of

ROUTE: Final = "/v1/batch"
KEYS: Final = 10


class Batch(TallyUser):
    """Has entries and a counter of its own, so that every result is known beforehand."""

    weight = 1

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._turn = 0
        self._prefix = f"{self.run_state.name}/b{self.number}"
        self._counter = f"{self.run_state.name}-b{self.number}"

    @task
    def run_batch(self) -> None:
        self._turn += 1
        history = self.run_state.counters[self._counter]
        increment = history.begin(1)
        operations, values = self._operations()

        def check(answer: Answer) -> None:
            expect_status(answer, 200)
            results = json_of(answer).get("results")
            if not isinstance(results, list) or len(results) != len(operations):
                raise WrongAnswer("wrong number of results")
            self._check_entries(results, values)
            added = results[-1]
            expect_equal(added.get("status"), 200, "status in a batch")
            history.acknowledge(increment, value_of(added))

        with suppress(Unknown):
            answer = self.send_json("POST", ROUTE, ROUTE, check, {"operations": operations})
            if answer is None:
                history.refuse(increment)

    def _operations(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        values = [{"turn": self._turn, "key": number} for number in range(KEYS)]
        keys = [f"{self._prefix}/{number}" for number in range(KEYS)]
        ttl = self.run_state.ttl_seconds
        puts = [
            {"op": "put", "key": key, "value": value, "ttl": ttl}
            for key, value in zip(keys, values, strict=True)
        ]
        gets = [{"op": "get", "key": key} for key in keys]
        idempotency_key = self.run_state.idempotency_key().strip('"')
        add = {
            "op": "add",
            "counter": self._counter,
            "by": 1,
            "idempotency_key": idempotency_key,
        }
        return [*puts, *gets, add], values

    def _check_entries(self, results: list[Any], values: list[dict[str, Any]]) -> None:
        written, read = results[:KEYS], results[KEYS : 2 * KEYS]
        for value, put, got in zip(values, written, read, strict=True):
            if put.get("status") not in {200, 201}:
                raise WrongAnswer("wrong status in a batch", repr(put)[:300])
            expect_equal(got.get("status"), 200, "status in a batch")
            expect_equal(got.get("value"), value, "value")
            expect_equal(got.get("etag"), put.get("etag"), "ETag")
