"""The most that a request of tallykv, its signals, its start and its memory may cost."""

from __future__ import annotations

from typing import Final

from bench.frame.rows import at_least, at_most

#: CPU time of one operation of tallykv ÷ that of a bare aiohttp hello.
HELLOS: Final = {
    "get": at_most(1.35),
    "put": at_most(1.65),
    "hot": at_most(1.2),
    "spread": at_most(1.4),
    "batch-get": at_most(0.15),
}
#: CPU time of the other service's GET ÷ that of tallykv's.
TIMES_CHEAPER: Final = {"FastAPI": at_least(5.5), "Flask": at_least(6)}
#: CPU time of tallykv's batch of gets ÷ that of the least which Python can do.
FLOOR_RATIO: Final = at_most(1.3)
#: The p99 of tallykv at 70 % of its knee ÷ that of hello at the same rate.
P99_RATIO: Final = at_most(1.5)
#: The p99 of a hello ÷ that of a second one. Less than half of what P99_RATIO allows, in percent.
P99_NOISE: Final = at_most(25)
#: CPU time that aiohttp alone takes to move a value of 1 MiB ÷ that of tallykv.
LARGE_RATIO: Final = at_least(0.6)
#: From the start of the process on the embedded store to the first 200 of /readyz.
READY_SECONDS: Final = at_most(1.5)
#: CPU time of a GET with all signals on ÷ with all of them off.
SIGNALS_RATIO: Final = at_most(1.10)
#: CPU time that the signals add to a request without a store, in hellos: 6 µs, a hello takes 28.
SIGNALS_HELLOS: Final = at_most(0.21)
#: CPU time of a GET with tokens ÷ that of one without, and the same for rate limits.
TOKENS_RATIO: Final = at_most(1.03)
LIMITS_RATIO: Final = at_most(1.10)
RESIDENT_MIB: Final = at_most(70)
#: Cost of a page in a listing of a million entries ÷ in one of a thousand.
LISTING_RATIO: Final = at_most(2)
