"""How a user asks: by route, checked, and remembered."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, cast

from locust import FastHttpUser, constant_throughput
from locust.user.task import LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING

from ..checks import Answer, Check, ServiceFailed, WrongAnswer
from .run import Run

log = logging.getLogger(__name__)

JSON: Final = {"Content-Type": "application/json"}
#: Wrong answers that are told in full; the others are only counted.
_TOLD_IN_FULL: Final = 20


class Unknown(Exception):
    """Nobody knows whether a change was applied: no answer, or one that doesn't say."""


class Wrong(Unknown):
    """The answer was wrong; whatever it said is not to be believed."""


class TallyUser(FastHttpUser):
    """A user of the service; what it does is a subclass's ``@task``."""

    abstract = True
    #: Of the process; set when locust has forked and read its options.
    run_state: ClassVar[Run] = Run()
    told: ClassVar[int] = 0

    connection_timeout = 5.0
    network_timeout = 10.0

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.number = self.run_state.number()
        rate = self.run_state.user_rate
        self._pace: Callable[[Any], float] = constant_throughput(rate) if rate else _at_once

    # No requests here: locust may kill a user that starts, and would not count what it asked.
    def on_start(self) -> None:
        run = self.run_state
        run.users += 1
        if run.user_rate:
            # Users that come at once would else ask at once, ever after.
            time.sleep(run.rng.random() / run.user_rate)

    def on_stop(self) -> None:
        self.run_state.users -= 1
        if self.run_state.users == 0:
            self.settle()

    def settle(self) -> None:
        """Hold what is stored against what was acknowledged: nothing else is under way now."""
        from .settling import settle

        settle(self)

    def stop(self, force: bool = False) -> bool:
        """Stop after the wait, if this user waits.

        Locust would kill it there, which may come to pass a moment later, in the middle of its next
        request: that one the service would count, and locust would not.
        """
        if not force and self._state == LOCUST_STATE_WAITING:
            self._state = LOCUST_STATE_STOPPING
            return False
        return bool(super().stop(force))

    def wait_time(self) -> float:
        return self._pace(self)

    def ask(
        self,
        method: str,
        path: str,
        route: str,
        check: Check,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer | None:
        """Ask, and return the answer if it is right; None if it says that nothing was applied.

        Raises Unknown when there was no answer, or a 5xx that doesn't say so, and Wrong; locust
        counts all of them. ``check`` raises WrongAnswer or ServiceFailed, and notes what it was
        told.
        """
        with self.client.request(
            method,
            path,
            name=route,
            data=cast("Any", body),  # bytes are taken as they are
            headers=dict(headers or {}),
            catch_response=True,
            allow_redirects=False,
        ) as response:
            if not response.status_code:
                # Locust has the error already, and counts it.
                failure: Exception | None = Unknown()
            else:
                answer = Answer(response.status_code, response.headers, response.content or b"")
                failure = _failure(check, answer)
                if failure is None:
                    response.success()
                else:
                    response.failure(failure)
        if failure is None:
            return answer
        if isinstance(failure, WrongAnswer):
            self._tell(failure, method, path)
            raise Wrong
        if isinstance(failure, ServiceFailed) and failure.applied_nothing:
            return None
        raise Unknown

    def ask_json(
        self,
        method: str,
        path: str,
        route: str,
        check: Check,
        said: object,
        headers: Mapping[str, str] | None = None,
    ) -> Answer | None:
        """As ``ask``, with a JSON body."""
        body = json.dumps(said, separators=(",", ":")).encode()
        return self.ask(method, path, route, check, body=body, headers={**JSON, **(headers or {})})

    def _tell(self, wrong: WrongAnswer, method: str, path: str) -> None:
        TallyUser.told += 1
        if TallyUser.told <= _TOLD_IN_FULL:
            log.error("%s %s: %s: %s", method, path, wrong, wrong.detail)


def _failure(check: Check, answer: Answer) -> Exception | None:
    try:
        check(answer)
    except (WrongAnswer, ServiceFailed) as failure:
        return failure
    return None


def _at_once(_: Any) -> float:
    return 0.0
