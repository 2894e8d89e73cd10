"""The base of all users: requests by route, each with a check of its answer."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, cast

from locust import FastHttpUser, constant_throughput
from locust.user.task import LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING

from ..checks.answers import Answer, Check, ServiceFailed, WrongAnswer
from .run_state import RunState

log = logging.getLogger(__name__)

JSON: Final = {"Content-Type": "application/json"}
#: Wrong answers that are logged in full. All are counted.
_LOGGED_IN_FULL: Final = 20


class Unknown(Exception):
    """The outcome of a request is unknown: no answer, or one that does not say it."""


class Wrong(Unknown):
    """The answer was wrong, so that nothing in it can be used."""


class TallyUser(FastHttpUser):
    """A user of the service. Subclasses have its tasks."""

    abstract = True
    #: Of the process. Set after Locust has started its processes and read its options.
    run_state: ClassVar[RunState] = RunState()
    wrong_answers: ClassVar[int] = 0

    connection_timeout = 5.0
    network_timeout = 10.0

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.number = self.run_state.number()
        rate = self.run_state.user_rate
        self._pace: Callable[[Any], float] = constant_throughput(rate) if rate else _no_wait

    # No requests here: Locust may kill a user that starts, and would not count them.
    def on_start(self) -> None:
        run = self.run_state
        run.users += 1
        if run.user_rate:
            # Users that start together would otherwise always send together.
            time.sleep(run.rng.random() / run.user_rate)

    def on_stop(self) -> None:
        self.run_state.users -= 1
        if self.run_state.users == 0:
            deadline = time.monotonic() + FINAL_CHECK_SECONDS
            for check in FINAL_CHECKS:
                check(self, deadline)

    def stop(self, force: bool = False) -> bool:
        """Stop after the wait, if this user waits.

        Locust would kill it, possibly in the middle of its next request, which the service would
        count and Locust would not.
        """
        if not force and self._state == LOCUST_STATE_WAITING:
            self._state = LOCUST_STATE_STOPPING
            return False
        return bool(super().stop(force))

    def wait_time(self) -> float:
        return self._pace(self)

    def send(
        self,
        method: str,
        path: str,
        route: str,
        check: Check,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer | None:
        """Send a request; return the answer, None if it says that nothing was applied.

        Raise Unknown without an answer, or after a 5xx that does not say whether the change was
        applied. Raise Wrong if ``check`` raises WrongAnswer. Locust counts all of them.
        """
        with self.client.request(
            method,
            path,
            name=route,
            data=cast("Any", body),  # bytes are sent unchanged
            headers=dict(headers or {}),
            catch_response=True,
            allow_redirects=False,
        ) as response:
            if not response.status_code:
                # Locust has recorded the error.
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
            self._log(failure, method, path)
            raise Wrong
        if isinstance(failure, ServiceFailed) and failure.applied_nothing:
            return None
        raise Unknown

    def send_json(
        self,
        method: str,
        path: str,
        route: str,
        check: Check,
        value: object,
        headers: Mapping[str, str] | None = None,
    ) -> Answer | None:
        """Send a JSON body, as ``send`` does."""
        body = json.dumps(value, separators=(",", ":")).encode()
        return self.send(method, path, route, check, body=body, headers={**JSON, **(headers or {})})

    def _log(self, wrong: WrongAnswer, method: str, path: str) -> None:
        TallyUser.wrong_answers += 1
        if TallyUser.wrong_answers <= _LOGGED_IN_FULL:
            log.error("%s %s: %s: %s", method, path, wrong, wrong.detail)


#: Compare the final state of the service with the histories. They run after the last user, so that
#: no request is in flight, and must return at the deadline (time.monotonic()).
FINAL_CHECKS: Final[list[Callable[[TallyUser, float], None]]] = []
#: Locust kills users that take longer than its --stop-timeout.
FINAL_CHECK_SECONDS: Final = 8.0


def _failure(check: Check, answer: Answer) -> Exception | None:
    try:
        check(answer)
    except (WrongAnswer, ServiceFailed) as failure:
        return failure
    return None


def _no_wait(_: Any) -> float:
    return 0.0
