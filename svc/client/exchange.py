"""One request and its tries: what is sent, what the answer means, when to try again. Pure.

An operation is a generator. It yields what is to be done (Send, Pause) and is told what came of
it; its return value is the operation's. So the same code serves clients that block and clients
that await, and a test can play any network to it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import msgspec

from ..api.bodies import Problem
from ..domain.errors import Applied
from .errors import (
    Conflict,
    Error,
    IdempotencyMismatch,
    Missing,
    OutcomeUnknown,
    Unavailable,
    error_class,
)

Result = TypeVar("Result")

#: Pauses between tries: they double from the first to the longest, and a part of each is chance.
FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 2.0
#: After so many errors that the service does not expect to go away, it is not tried again.
INTERNAL_ERROR_TRIES: Final = 3
#: A proxy's answers, which say that it got none or a bad one from the service.
GATEWAY_STATUSES: Final = frozenset({502, 503, 504})
#: The code of an error without an answer.
NO_ANSWER: Final = "no_answer"
PROBLEM: Final = "application/problem+json"

#: Errors that a change gets only from the store, which would have repeated the answer to a try that
#: was applied.
DEFINITE: Final = (Missing, Conflict, IdempotencyMismatch)

_problem: Final = msgspec.json.Decoder(Problem)


@dataclass(frozen=True, slots=True)
class Request:
    """A request to send. ``target`` is the path below the base URL, quoted, with its query."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    #: True if doing it twice is as good as once, so that an unknown outcome may be tried again.
    is_repeatable: bool = False
    #: As the caller knows it; the header has it in quotes.
    idempotency_key: str | None = None

    @property
    def is_read(self) -> bool:
        return self.method == "GET"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. The names of ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(Exception):
    """What a driver raises into an operation if it gets no whole answer. The message says why."""

    def __init__(self, why: str, *, was_sent: bool, is_final: bool = False) -> None:
        """``was_sent``: False only if no byte of the request can have reached the service.

        ``is_final``: a further try would get none either.
        """
        super().__init__(why)
        self.was_sent = was_sent
        self.is_final = is_final


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request and return its Answer, or raise NoAnswer, within this time."""

    request: Request
    seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait this long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Ask:
    """Call the program's function with this, and return what it returns."""

    function: Callable[[Any], Any]
    argument: Any


#: An operation yields what is to be done, is sent what came of it, and returns its result.
Operation = Generator[Send | Pause | Ask, Any, Result]


@dataclass(frozen=True, slots=True)
class Policy:
    """How long an operation may take, and where time, chance and ids come from."""

    #: For all tries of one operation together.
    deadline_seconds: float
    #: For one try.
    try_seconds: float
    clock: Callable[[], float]
    #: A number from 0 to 1.
    chance: Callable[[], float]
    new_id: Callable[[], str]

    def within(self, deadline_seconds: float) -> Policy:
        return replace(self, deadline_seconds=deadline_seconds)

    def end(self) -> float:
        """Return when an operation that begins now must have ended."""
        return self.clock() + self.deadline_seconds


class Backoff:
    """The pauses between tries, until the end of an operation."""

    def __init__(self, policy: Policy, end: float) -> None:
        self._policy = policy
        self._end = end
        self._next = FIRST_PAUSE_SECONDS

    def next_seconds(self, least: float = 0.0) -> float | None:
        """Return how long to wait, at least ``least``; None if the time would be over by then."""
        # Chance keeps clients that failed together from coming back together.
        chance = self._policy.chance()
        seconds = max(self._next * (0.5 + 0.5 * chance), least * (1 + 0.1 * chance))
        self._next = min(2 * self._next, LONGEST_PAUSE_SECONDS)
        if self._policy.clock() + seconds >= self._end:
            return None
        return seconds


def exchange(request: Request, policy: Policy, end: float | None = None) -> Operation[Answer]:
    """Send the request until it has an answer that settles it, or the time is over.

    Return the answer if its status is 2xx or 304; else raise Error. ``end`` is by the policy's
    clock.
    """
    end = policy.end() if end is None else end
    backoff = Backoff(policy, end)
    tries = 0
    #: True after a try whose outcome is unknown.
    is_open = False
    while True:
        tries += 1
        least = 0.0
        try:
            seconds = max(0.001, min(policy.try_seconds, end - policy.clock()))
            answer: Answer = yield Send(request, seconds)
        except NoAnswer as reason:
            error = _unanswered(reason, request)
            is_worth_it = error.retryable
        else:
            if 200 <= answer.status < 300 or answer.status == 304:
                return answer
            error = read_error(answer, request)
            is_worth_it = error.retryable or (
                error.code == "internal_error" and tries < INTERNAL_ERROR_TRIES
            )
            least = retry_after(answer)
        pause = None
        if is_worth_it and (error.applied == "no" or request.is_repeatable):
            pause = backoff.next_seconds(least)
        if pause is None:
            error.applied = _applied(error, request, is_open=is_open)
            error.tries = tries
            error.idempotency_key = request.idempotency_key
            raise error
        is_open = is_open or error.applied != "no"
        yield Pause(pause)


def _applied(error: Error, request: Request, *, is_open: bool) -> Applied:
    """Return whether the change was made, over all tries."""
    if request.is_read:
        return "no"
    if not is_open:
        return error.applied
    has_looked = isinstance(error, DEFINITE)  # which needs a key
    return error.applied if request.idempotency_key is not None and has_looked else "unknown"


def _unanswered(reason: NoAnswer, request: Request) -> Error:
    if not reason.was_sent:
        return Unavailable(str(reason), retryable=not reason.is_final)
    if request.is_read:
        return Unavailable(str(reason), code=NO_ANSWER, retryable=True)
    return OutcomeUnknown(str(reason), code=NO_ANSWER, applied="unknown", retryable=True)


def retry_after(answer: Answer) -> float:
    """Return the seconds that the answer asks to wait; 0 if it does not say."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0


def read_error(answer: Answer, request: Request) -> Error:
    """Return the error that the answer reports: the service's problem, or a proxy's refusal."""
    if answer.headers.get("content-type", "").partition(";")[0].strip() == PROBLEM:
        try:
            problem = _problem.decode(answer.body)
        except msgspec.DecodeError:
            pass
        else:
            return error_of(problem)
    status = answer.status
    # Below 500 nothing was done. A proxy does not know what became of a request that it passed on.
    applied: Applied = "no" if status < 500 else "unknown"
    is_gateway = status in GATEWAY_STATUSES
    advice = "; is the base URL that of the service?" if status < 400 or status == 404 else ""
    kind = error_class("", status)
    if is_gateway:
        kind = Unavailable if request.is_read else OutcomeUnknown
    return kind(
        f"status {status}, from something between this client and the service{advice}",
        code=f"http_{status}",
        status=status,
        applied=applied,
        retryable=is_gateway or status in {408, 425, 429},
        trace_id=answer.headers.get("x-request-id", ""),
    )


def error_of(problem: Problem) -> Error:
    """Return the error that the service's problem describes."""
    return error_class(problem.code, problem.status)(
        problem.detail,
        code=problem.code,
        status=problem.status,
        applied=problem.applied,
        retryable=problem.retryable,
        trace_id=problem.trace_id,
        etag=problem.etag,
    )
