"""Counters: a hot one, and many. Every increment has an idempotency key."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Final

from locust import task

from ..checks.answers import Answer, Check, WrongAnswer, expect_equal, expect_status, json_of
from ..checks.counter_history import CounterHistory
from .base import FINAL_CHECKS, TallyUser, Unknown, Wrong

ROUTE: Final = "/v1/counters/{name}"
INCREMENTS: Final = ROUTE + "/increments"
SPREAD: Final = 200
#: Attempts of an increment with an unknown outcome, all with one key.
ATTEMPTS: Final = 5
#: The part of the answered increments that is sent again.
REPLAYED: Final = 0.05


class CounterUser(TallyUser):
    """Increments and reads the counters that ``name`` returns."""

    abstract = True

    def name(self) -> str:
        """Return the counter of the next request."""
        raise NotImplementedError

    @task(9)
    def increment(self) -> None:
        name, rng = self.name(), self.run_state.rng
        history = self.run_state.counters[name]
        by = rng.randint(1, 9)
        increment = history.begin(by)
        headers = {"Idempotency-Key": self.run_state.idempotency_key()}
        answers: list[Answer] = []

        def check(answer: Answer) -> None:
            expect_status(answer, 200)
            body = json_of(answer)
            expect_equal(body.get("name"), name, "name")
            expect_equal(body.get("applied_by"), by, "applied_by")
            if answers:
                if answer.header("idempotency-replayed") != "true":
                    raise WrongAnswer("doubled increment", "the retry was not a replay")
                expect_equal(answer.body, answers[0].body, "replay")
            else:
                history.acknowledge(increment, value_of(body))
            answers.append(answer)

        for _ in range(ATTEMPTS):
            try:
                answer = self._post(name, by, check, headers)
            except Wrong:
                return
            except Unknown:
                continue
            if answer is None and not answers:
                history.refuse(increment)
            break
        if answers and rng.random() < REPLAYED:
            with suppress(Unknown):
                self._post(name, by, check, headers)

    @task(1)
    def read(self) -> None:
        with suppress(Unknown):
            read_counter(self, self.name())

    def _post(self, name: str, by: int, check: Check, headers: dict[str, str]) -> Answer | None:
        body = {"by": by, "ttl": self.run_state.ttl_seconds, "ttl_on": "touch"}
        path = f"/v1/counters/{name}/increments"
        return self.send_json("POST", path, INCREMENTS, check, body, headers)


class HotCounter(CounterUser):
    """All of these users increment one counter."""

    weight = 3

    def name(self) -> str:
        return f"{self.run_state.name}-hot"


class SpreadCounters(CounterUser):
    """Increments one of SPREAD counters each time."""

    weight = 3

    def name(self) -> str:
        return f"{self.run_state.name}-{self.run_state.rng.randrange(SPREAD)}"


def value_of(body: dict[str, object]) -> int:
    """Return the value, which an answer contains as a number and as text; raise WrongAnswer."""
    value = body.get("value")
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongAnswer("wrong value", repr(value))
    expect_equal(body.get("value_text"), str(value), "value_text")
    return value


def read_counter(user: TallyUser, name: str) -> None:
    """Read a counter and check its value; raise Unknown."""
    history: CounterHistory = user.run_state.counters[name]
    floor = history.begin_read()

    def check(answer: Answer) -> None:
        expect_status(answer, 200, 404)
        if answer.status == 404:
            history.found_nothing(floor)
        else:
            body = json_of(answer)
            expect_equal(body.get("name"), name, "name")
            history.found(floor, value_of(body))

    user.send("GET", f"/v1/counters/{name}", ROUTE, check)


def check_final_counters(user: TallyUser, deadline: float) -> None:
    """Read every counter of the run. The bounds are exact now."""
    for name in list(user.run_state.counters):
        if time.monotonic() > deadline:
            return
        with suppress(Unknown):
            read_counter(user, name)


FINAL_CHECKS.append(check_final_counters)
