"""The plain API: JSON objects at any path, and the counter of visits at ``/``."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from locust import task

from ..checks.answers import Answer, WrongAnswer, expect_equal, expect_status, json_of
from .base import TallyUser, Unknown

ROUTE: Final = "/{path}"
ROOT: Final = "/"
#: Members that the service adds to an object.
OWN: Final = ("last_updated", "ttl")
#: A year of 360 days: the TTL of everything that the plain API writes.
MAX_TTL: Final = 31_104_000


class Plain(TallyUser):
    """Has an object of its own."""

    weight = 1

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._path = f"/{self.run_state.name}/p{self.number}"
        #: The value that was acknowledged last, and all later ones with an unknown outcome.
        self._possible: list[dict[str, Any] | None] = [None]
        self._turn = 0

    @task(2)
    def write(self) -> None:
        self._turn += 1
        value = {"turn": self._turn, "ratio": 0.5, "on": True, "none": None, "name": "Ångström"}
        before = list(self._possible)
        self._possible.append(value)

        def check(answer: Answer) -> None:
            expect_status(answer, 201)
            _check_object(answer, [value])
            self._possible = [value]

        with suppress(Unknown):
            if self.send_json("PUT", self._path, ROUTE, check, value) is None:
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
            self.send("GET", self._path, ROUTE, check)

    @task(1)
    def visit(self) -> None:
        """Count a visit. Other users do too, so that the number itself is unknown."""

        def check(answer: Answer) -> None:
            expect_status(answer, 200)
            count = json_of(answer).get("count")
            if not isinstance(count, int) or count < 1:
                raise WrongAnswer("wrong count", repr(count))

        with suppress(Unknown):
            self.send("GET", ROOT, ROOT, check, headers={"Accept": "application/json"})


def _check_object(answer: Answer, possible: list[dict[str, Any] | None]) -> None:
    body = json_of(answer)
    own = {name: body.pop(name, None) for name in OWN}
    for name, value in own.items():
        if not isinstance(value, int) or value < 1:
            raise WrongAnswer(f"wrong {name}", repr(value))
    if own["ttl"] > MAX_TTL:
        raise WrongAnswer("wrong ttl", repr(own["ttl"]))
    if body not in possible:
        raise WrongAnswer("wrong value", repr(body)[:300])
    # In Python True equals 1, in JSON it does not.
    expect_equal(type(body.get("on")), bool, "type")
