"""What clients do with counters, as operations that any driver can run. Pure.

The docstrings are those of the clients' methods.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from ..api.bodies import (
    CounterBody,
    CounterPage,
    CounterRead,
    CounterSet,
    CounterStepped,
    IncrementBody,
)
from ..domain.model import CounterSummary
from .entry_operations import EntryOperations, IdempotencyKey, delete_all, read_body
from .errors import CounterMissing
from .exchange import Operation, exchange
from .requests import (
    JSON,
    counter_target,
    json_body,
    listing_target,
    read_request,
    write_request,
)

_read: Final = msgspec.json.Decoder(CounterRead)
_stepped: Final = msgspec.json.Decoder(CounterStepped)
_set: Final = msgspec.json.Decoder(CounterSet)
_page: Final = msgspec.json.Decoder(CounterPage)


class Operations(EntryOperations):
    """Operations on entries and counters."""

    def increment(
        self,
        name: str,
        by: int = 1,
        *,
        minimum: int | None = None,
        maximum: int | None = None,
        on_bound: Literal["reject", "clamp"] = "reject",
        ttl: int | None = None,
        ttl_on: Literal["create", "touch"] = "create",
        idempotency_key: IdempotencyKey = True,
    ) -> Operation[CounterStepped]:
        """Add to the counter, once however often it is sent; return the new value.

        An absent counter counts as 0. Raises CounterBound, CounterOverflow.
        """
        change = IncrementBody(by, minimum, maximum, on_bound, ttl, ttl_on)
        request = write_request(
            "POST",
            counter_target(name, "/increments"),
            json_body(change),
            headers=JSON,
            idempotency_key=self.key_for(idempotency_key),
        )
        return read_body((yield from exchange(request, self.policy)), _stepped)

    def get_counter(self, name: str) -> Operation[CounterRead]:
        """Return the counter. Raises CounterMissing."""
        answer = yield from exchange(read_request(counter_target(name)), self.policy)
        return read_body(answer, _read)

    def set_counter(
        self,
        name: str,
        value: int,
        *,
        ttl: int | None = None,
        idempotency_key: IdempotencyKey = True,
    ) -> Operation[CounterSet]:
        """Set the counter; return its previous value, too. Without ``ttl`` it never expires."""
        request = write_request(
            "PUT",
            counter_target(name),
            json_body(CounterBody(value, ttl)),
            headers=JSON,
            idempotency_key=self.key_for(idempotency_key),
        )
        return read_body((yield from exchange(request, self.policy)), _set)

    def delete_counter(
        self, name: str, *, idempotency_key: IdempotencyKey = True
    ) -> Operation[bool]:
        """Delete the counter; return False if there was none."""
        request = write_request(
            "DELETE", counter_target(name), idempotency_key=self.key_for(idempotency_key)
        )
        try:
            yield from exchange(request, self.policy)
        except CounterMissing:
            return False
        return True

    def delete_counters(self, prefix: str) -> Operation[int]:
        """Delete the counters whose names begin with the prefix, which must not be empty.

        Return how many. It goes on from call to call, each of which deletes up to 1000.
        """
        return (yield from delete_all("counters", prefix, self.policy))

    def counters_page(
        self, prefix: str, page_size: int, cursor: str | None
    ) -> Operation[tuple[list[CounterSummary], str | None]]:
        """Return a page of counters, and the cursor of the next one; None on the last."""
        target = listing_target("counters", prefix, cursor, limit=page_size)
        answer = yield from exchange(read_request(target), self.policy)
        page = read_body(answer, _page)
        return page.items, page.next_cursor
