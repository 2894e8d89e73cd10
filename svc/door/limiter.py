"""How often a client may come: permits in Redis, of which a pod uses a few before it asks again.

Far below its limit, a client's permits are counted here and reported to Redis a little later, for
all clients together. Near the limit each request waits until Redis has answered. Beyond it, Redis
has told when the next permit comes, and until then the client is refused here. So neither a quiet
client nor an unruly one costs a round trip for each of its requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from ..domain.errors import DomainError, RateLimited, StoreUnavailable
from ..domain.limits import Ask, Rate, Taken
from ..telemetry.instruments import Counter

#: The part of the permits left that a pod may use without asking: as many pods as this may do it at
#: once, and never use more than there are.
SHARE: Final = 16
#: How long used permits wait to be reported, and for how long what Redis said is believed.
REPORT_SECONDS: Final = 0.05
#: Clients whose permits are remembered here. They are all in Redis; this only saves round trips.
MOST_BUCKETS: Final = 8_192


class Bucket:
    """What this pod knows of one client's limit."""

    __slots__ = (
        *("blocked_until", "class_name", "credit", "name", "policy", "rate", "state", "used"),
    )

    def __init__(self, class_name: str, client: str, rate: Rate) -> None:
        self.class_name = class_name
        self.name = f"{class_name}:{rate.permits}/{rate.seconds}:{client}"
        self.rate = rate
        #: Permits that may be used without asking, and those that were and are not reported.
        self.credit = self.used = 0
        #: Loop time.
        self.blocked_until = 0.0
        self.policy = f'"{class_name}";q={rate.permits};w={rate.seconds}'
        self.tell(rate.permits)

    def tell(self, left: int) -> None:
        """Set the value of RateLimit: permits left, and the seconds until all are back.

        It is what Redis said last, so a pod's own permits may be missing in it.
        """
        rate = self.rate
        back = -(-(rate.permits - left) * rate.seconds // rate.permits)
        self.state = f'"{self.class_name}";r={left};t={back}'


class Limiter:
    """Takes permits for requests. ``take`` asks the store, which all pods share."""

    def __init__(
        self,
        take: Callable[[Ask], Awaitable[Taken]],
        *,
        fails_open: bool,
        unchecked: Counter,
    ) -> None:
        self._take = take
        self._fails_open = fails_open
        self._unchecked = unchecked
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._used: list[Bucket] = []
        self._reporting: asyncio.Task[None] | None = None

    def bucket(self, class_name: str, client: str, rate: Rate) -> Bucket:
        found = self._buckets.get((class_name, client))
        if found is None or found.rate is not rate:
            if len(self._buckets) >= MOST_BUCKETS:
                del self._buckets[next(iter(self._buckets))]
            found = self._buckets[class_name, client] = Bucket(class_name, client, rate)
        return found

    def spend(self, bucket: Bucket, wanted: int) -> bool:
        """Take permits without asking. Return False if the store has to be asked."""
        if bucket.credit < wanted:
            return False
        bucket.credit -= wanted
        if not bucket.used:
            self._used.append(bucket)
            if self._reporting is None or self._reporting.done():
                self._reporting = asyncio.create_task(self._report())
        bucket.used += wanted
        return True

    async def ask(self, bucket: Bucket, wanted: int) -> None:
        """Take permits from the store. Raises RateLimited, and StoreUnavailable if it fails."""
        now = asyncio.get_running_loop().time()
        if bucket.blocked_until > now:
            raise RateLimited(bucket.class_name, bucket.blocked_until - now)
        try:
            taken = await self._send(bucket, wanted)
        except StoreUnavailable:
            if not self._fails_open:
                raise
            self._unchecked[()] += 1
            return
        if not taken.allowed:
            if not taken.left:  # else a smaller batch may still find room
                bucket.blocked_until = asyncio.get_running_loop().time() + taken.wait_seconds
            raise RateLimited(bucket.class_name, taken.wait_seconds)

    async def _send(self, bucket: Bucket, wanted: int) -> Taken:
        used, bucket.used = bucket.used, 0
        bucket.credit = 0
        try:
            taken = await self._take(Ask(bucket.name, bucket.rate, used, wanted))
        except DomainError as error:
            # Perhaps they were counted, perhaps not: the limit is one of requests, not of money.
            if isinstance(error, StoreUnavailable):
                raise
            raise StoreUnavailable("the rate limit could not be checked in time") from None
        bucket.tell(taken.left)
        bucket.credit = taken.left // SHARE
        return taken

    async def _report(self) -> None:
        """Report what was used, for all buckets together, until nothing is."""
        while self._used:
            await asyncio.sleep(REPORT_SECONDS)
            some, self._used = [each for each in self._used if each.used], []
            await asyncio.gather(*map(self._report_one, some))

    async def _report_one(self, bucket: Bucket) -> None:
        used = bucket.used
        try:
            await self._send(bucket, 0)
        except StoreUnavailable:
            self._unchecked[()] += used
