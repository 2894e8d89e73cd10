"""A network of the test's own: what each try of an operation is answered, on a clock of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from svc.api.bodies import Problem
from svc.client.exchange import Answer, NoAnswer, Operation, Pause, Policy, Request, Send

Result = TypeVar("Result")


@dataclass
class Network:
    """Answers tries from a script. Pauses take no time but the clock's."""

    deadline_seconds: float = 30.0
    now: float = 1000.0
    sent: list[Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    @property
    def policy(self) -> Policy:
        ids = itertools.count(1)
        return Policy(
            self.deadline_seconds, 10.0, lambda: self.now, lambda: 0.5, lambda: f"id-{next(ids)}"
        )

    def run(self, operation: Operation[Result], script: Iterable[Answer | NoAnswer]) -> Result:
        """Run the operation to its end; the last line of the script is for all further tries."""
        lines = list(script)
        told: Any = None
        reason: NoAnswer | None = None
        while True:
            try:
                step = operation.send(told) if reason is None else operation.throw(reason)
            except StopIteration as end:
                result: Result = end.value
                return result
            told, reason = None, None
            if isinstance(step, Send):
                self.sent.append(step.request)
                line = lines.pop(0) if len(lines) > 1 else lines[0]
                told, reason = (None, line) if isinstance(line, NoAnswer) else (line, None)
            elif isinstance(step, Pause):
                self.pauses.append(step.seconds)
                self.now += step.seconds
            else:
                told = step.function(step.argument)


def answer(status: int, body: Any = b"", headers: Mapping[str, str] | None = None) -> Answer:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Answer(status, headers or {}, raw)


def problem(
    status: int,
    code: str,
    applied: Any = "no",
    *,
    retryable: bool = False,
    retry_after: int | None = None,
) -> Answer:
    """Return an answer as the service gives it."""
    headers = {"content-type": "application/problem+json"}
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    body = Problem(code, status, "why", code, applied, retryable, trace_id="t" * 32, etag='"e"')
    return answer(status, body, headers)


UNSENT = NoAnswer("refused", was_sent=False)
LOST = NoAnswer("reset", was_sent=True)
UNAVAILABLE = problem(503, "store_unavailable", retryable=True, retry_after=1)
UNKNOWN = problem(504, "outcome_unknown", "unknown", retryable=True)
INTERNAL = problem(500, "internal_error", "unknown")
REFUSED = problem(412, "precondition_failed")
PROXY = answer(503, b"no healthy upstream", {"content-type": "text/plain"})
