"""Many operations in one request. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar, cast

import msgspec

from ..api.bodies import (
    AddOperation,
    BatchOperation,
    CounterStepped,
    DeleteOperation,
    EntryWritten,
    GetOperation,
    Problem,
    PutOperation,
)
from .entry_operations import read_body
from .errors import Error, KeyMissing, ServiceFailed
from .exchange import DEFINITE, Backoff, Operation, Pause, Policy, error_of, exchange
from .requests import JSON, counter_target, entry_target, json_body, write_request
from .values import Entry, Told, Ttl, Value, encode_value

Outcome = TypeVar("Outcome")

MAX_OPERATIONS: Final = 500
#: Of operations in one request. The service takes 4 MiB with what is around them.
MAX_BYTES: Final = 4_000_000


class _Results(msgspec.Struct):
    results: list[msgspec.Raw]


class _Status(msgspec.Struct):
    status: int


_results: Final = msgspec.json.Decoder(_Results)
_status: Final = msgspec.json.Decoder(_Status)
_problem: Final = msgspec.json.Decoder(Problem)


class Reply(Generic[Outcome]):
    """What became of one operation of a batch, once the batch has run."""

    def __init__(self, body: bytes, type_: Any) -> None:
        self._body = body
        self._decoder = msgspec.json.Decoder(type_)
        self._outcome: Outcome | Error | None = None

    def result(self) -> Outcome:
        """Return what the single operation would return, or raise what it would raise."""
        if self._outcome is None:
            raise RuntimeError("the batch has not run yet")
        if isinstance(self._outcome, Error):
            raise self._outcome
        return self._outcome

    @property
    def body(self) -> bytes:
        """The operation as the service takes it."""
        return self._body

    def settle(self, raw: msgspec.Raw) -> Error | None:
        """Take the result that the service gave; return the error, if it is one."""
        if _status.decode(raw).status >= 400:
            error = error_of(_problem.decode(raw))
            # An earlier try may have been applied, unless the store has looked.
            if self.is_open and not isinstance(error, DEFINITE):
                error.applied = "unknown"
            # A delete says False, as the clients' delete does.
            is_nothing = isinstance(error, KeyMissing) and self._decoder.type is _Status
            self._outcome = cast(Outcome, False) if is_nothing else error
            return None if is_nothing else error
        found = self._decoder.decode(raw)
        if isinstance(found, Told):
            found = found.entry()
        elif isinstance(found, _Status):
            found = True
        self._outcome = found
        return None

    @property
    def is_done(self) -> bool:
        """True once an answer has told that it succeeded."""
        return self._outcome is not None and not isinstance(self._outcome, Error)

    @property
    def is_open(self) -> bool:
        """True if it may have been applied, and nobody knows."""
        return isinstance(self._outcome, Error) and self._outcome.applied != "no"

    def begin(self) -> None:
        """Forget the outcome of an earlier run."""
        self._outcome = None

    def fail(self, error: Error) -> None:
        """Take the error of the whole request, unless an earlier answer says more."""
        was = self._outcome
        if was is None or (
            isinstance(was, Error) and was.retryable and not self.is_open and error.applied != "no"
        ):
            self._outcome = error


class Batch:
    """Collects operations. A client's ``run`` sends them; each then has its result.

    A batch is not atomic. Operations on one entry or counter keep their order.
    """

    def __init__(self) -> None:
        self._replies: list[Reply[Any]] = []

    def __len__(self) -> int:
        return len(self._replies)

    def get(self, key: str) -> Reply[Entry]:
        """Read the entry. Its result raises KeyMissing."""
        entry_target(key)
        return self._add(GetOperation(key), Told)

    def put(
        self,
        key: str,
        value: Value,
        *,
        content_type: str | None = None,
        ttl: Ttl = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> Reply[EntryWritten]:
        """Write the entry, as a client's ``put`` does."""
        entry_target(key)
        body, kind = encode_value(value, content_type)
        operation = PutOperation(
            key,
            content_type=kind,
            ttl=ttl,
            if_match=if_match,
            if_none_match=if_none_match,
        )
        # Bytes and text are not parsed here; what was made JSON here is.
        if isinstance(value, bytes | bytearray | memoryview | str | Entry):
            operation.value_b64 = base64.b64encode(body).decode()
        else:
            operation.value = msgspec.Raw(body)
        return self._add(operation, EntryWritten)

    def delete(self, key: str, *, if_match: str | None = None) -> Reply[bool]:
        """Delete the entry. Its result is False if there was none."""
        entry_target(key)
        return self._add(DeleteOperation(key, if_match=if_match), _Status)

    def increment(self, name: str, by: int = 1) -> Reply[CounterStepped]:
        """Add to the counter."""
        counter_target(name)
        return self._add(AddOperation(name, by), CounterStepped)

    def _add(self, operation: BatchOperation, type_: Any) -> Reply[Any]:
        reply: Reply[Any] = Reply(json_body(operation), type_)
        self._replies.append(reply)
        return reply

    def parts(self) -> Iterator[list[Reply[Any]]]:
        """Yield the operations in order, in parts that one request can hold."""
        part: list[Reply[Any]] = []
        size = 0
        for reply in self._replies:
            if part and (len(part) == MAX_OPERATIONS or size + len(reply.body) > MAX_BYTES):
                yield part
                part, size = [], 0
            part.append(reply)
            size += len(reply.body) + 1
        if part:
            yield part


def run_batch(batch: Batch, policy: Policy) -> Operation[None]:
    """Send the operations; each has its result then. Raises Error if a request as a whole fails.

    The deadline is for each part of at most 500 operations. Those that failed and may be repeated
    are: the service applies each at most once.
    """
    parts = list(batch.parts())
    for reply in (each for part in parts for each in part):
        reply.begin()
    for number, part in enumerate(parts):
        try:
            yield from _run_part(part, policy)
        except Error as error:
            for reply in (each for later in parts[number:] for each in later):
                reply.fail(error)
            if any(reply.is_done for reply in part):
                error.applied = "unknown"  # to a part of them, it was
            raise


def _run_part(part: list[Reply[Any]], policy: Policy) -> Operation[None]:
    end = policy.end()
    backoff = Backoff(policy, end)
    # One key for the whole: each change has one made of it, by its place. Sent again, changes
    # that were applied are not applied again, and those that failed are tried.
    request = write_request(
        "POST",
        "/v1/batch",
        b'{"operations":[' + b",".join(each.body for each in part) + b"]}",
        headers=JSON,
        idempotency_key=policy.new_id(),
    )
    while True:
        answer = yield from exchange(request, policy, end)
        results = read_body(answer, _results).results
        if len(results) != len(part):
            raise ServiceFailed("the answer has another number of results", applied="unknown")
        errors = [reply.settle(raw) for reply, raw in zip(part, results, strict=True)]
        if not any(error is not None and error.retryable for error in errors):
            return
        seconds = backoff.next_seconds()
        if seconds is None:
            return
        yield Pause(seconds)
