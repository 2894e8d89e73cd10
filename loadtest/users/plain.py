"""The plain face: JSON objects at any path, and the visits at ``/``."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from locust import task

from ..checks import Answer, WrongAnswer, expect_equal, expect_status, json_of
from .base import TallyUser, Unknown

ROUTE: Final = "/{path}"
ROOT: Final = "/"
#: The service's own members of an object.
OWN: Final = ("last_updated", "ttl")
#: A year of 360 days, what the plain face gives all it writes.
MOST_TTL: Final = 31_104_000


class Plain(TallyUser):
    """Has an object that nobody else writes."""

    weight = 1

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._path = f"/{self.run_state.name}/p{self.number}"
        #: What may be there: what was acknowledged last, and all sent since of which nobody knows.
        self._possible: list[dict[str, Any] | None] = [None]
        self._turn = 0

    @task(2)
    def write(self) -> None:
        self._turn += 1
        said = {"turn": self._turn, "ratio": 0.5, "on": True, "none": None, "name": "Ångström"}
        before = list(self._possible)
        self._possible.append(said)

        def check(answer: Answer) -> None:
            expect_status(answer, 201)
            _check_object(answer, [said])
            self._possible = [said]

        with suppress(Unknown):
            if self.ask_json("PUT", self._path, ROUTE, check, said) is None:
                self._possible = before

    @task(5)
    def read(self) -> None:
        def check(answer: Answer) -> None:
            expect_status(answer, 200, 404)
            if answer.status == 200:
                _check_object(answer, self._possible)
            elif None not in self._possible:
                raise WrongAnswer("missing entry", self._path)

        with suppress(Unknown):
            self.ask("GET", self._path, ROUTE, check)

    @task(1)
    def visit(self) -> None:
        """Count a visit. Others do, too: of the number nothing is known but that it is one."""

        def check(answer: Answer) -> None:
            expect_status(answer, 200)
            count = json_of(answer).get("count")
            if not isinstance(count, int) or count < 1:
                raise WrongAnswer("wrong count", repr(count))

        with suppress(Unknown):
            self.ask("GET", ROOT, ROOT, check, headers={"Accept": "application/json"})


def _check_object(answer: Answer, possible: list[dict[str, Any] | None]) -> None:
    said = json_of(answer)
    own = {name: said.pop(name, None) for name in OWN}
    for name, value in own.items():
        if not isinstance(value, int) or value < 1:
            raise WrongAnswer(f"wrong {name}", repr(value))
    if own["ttl"] > MOST_TTL:
        raise WrongAnswer("wrong ttl", repr(own["ttl"]))
    if said not in possible:
        raise WrongAnswer("wrong value", repr(said)[:300])
    # True is 1 in Python, not in JSON.
    expect_equal(type(said.get("on")), bool, "type")
