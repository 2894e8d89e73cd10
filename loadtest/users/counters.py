"""Counters: one that all increment, and many; every increment is safe to retry."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from locust import task

from ..checks import Answer, Check, WrongAnswer, expect_equal, expect_status, json_of
from ..ledgers.counters import CounterHistory
from .base import TallyUser, Unknown, Wrong

ROUTE: Final = "/v1/counters/{name}"
INCREMENTS: Final = ROUTE + "/increments"
SPREAD: Final = 200
#: Of an increment of which nobody knows; all with one key.
TRIES: Final = 5
#: The part of the increments that is sent again though it was answered.
REPLAYED: Final = 0.05


class CounterUser(TallyUser):
    """Increments and reads whichever counter ``name`` says."""

    abstract = True

    def name(self) -> str:
        """Return the counter to ask next."""
        raise NotImplementedError

    @task(9)
    def increment(self) -> None:
        name, rng = self.name(), self.run_state.rng
        history = self.run_state.counters[name]
        by = rng.randint(1, 9)
        step = history.begin(by)
        headers = {"Idempotency-Key": self.run_state.idempotency_key()}
        told: list[Answer] = []

        def check(answer: Answer) -> None:
            expect_status(answer, 200)
            said = json_of(answer)
            expect_equal(said.get("name"), name, "name")
            expect_equal(said.get("applied_by"), by, "applied_by")
            if told:
                if answer.header("idempotency-replayed") != "true":
                    raise WrongAnswer("doubled increment", "the retry was not a replay")
                expect_equal(answer.body, told[0].body, "replay")
            else:
                history.acknowledge(step, value_of(said))
            told.append(answer)

        for _ in range(TRIES):
            try:
                answer = self._post(name, by, check, headers)
            except Wrong:
                return
            except Unknown:
                continue
            if answer is None and not told:
                history.refuse(step)
            break
        if told and rng.random() < REPLAYED:
            with suppress(Unknown):
                self._post(name, by, check, headers)

    @task(1)
    def read(self) -> None:
        with suppress(Unknown):
            read_counter(self, self.name())

    def _post(self, name: str, by: int, check: Check, headers: dict[str, str]) -> Answer | None:
        said = {"by": by, "ttl": self.run_state.ttl_seconds, "ttl_on": "touch"}
        path = f"/v1/counters/{name}/increments"
        return self.ask_json("POST", path, INCREMENTS, check, said, headers)


class HotCounter(CounterUser):
    """All increment one counter."""

    weight = 3

    def name(self) -> str:
        return f"{self.run_state.name}-hot"


class SpreadCounters(CounterUser):
    """Each increment goes to one of SPREAD counters."""

    weight = 3

    def name(self) -> str:
        return f"{self.run_state.name}-{self.run_state.rng.randrange(SPREAD)}"


def value_of(said: dict[str, object]) -> int:
    """Return the value that an answer has, twice; raise WrongAnswer."""
    value = said.get("value")
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongAnswer("wrong value", repr(value))
    expect_equal(said.get("value_text"), str(value), "value_text")
    return value


def read_counter(user: TallyUser, name: str) -> None:
    """Read a counter and check what it has; raises Unknown."""
    history: CounterHistory = user.run_state.counters[name]
    floor = history.begin_read()

    def check(answer: Answer) -> None:
        expect_status(answer, 200, 404)
        if answer.status == 404:
            history.found_nothing(floor)
        else:
            said = json_of(answer)
            expect_equal(said.get("name"), name, "name")
            history.found(floor, value_of(said))

    user.ask("GET", f"/v1/counters/{name}", ROUTE, check)
