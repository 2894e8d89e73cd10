"""The most that a request of tallykv, its signals, its start and its memory may cost."""

from __future__ import annotations

from typing import Final

from bench.frame.rows import at_least, at_most

#: CPU time of one operation of tallykv ÷ that of a bare aiohttp hello.
HELLOS: Final = {
    "get": at_most(1.8),
    "put": at_most(2.6),
    "hot": at_most(1.7),
    "spread": at_most(2.2),
    "batch-get": at_most(0.12),
}
#: CPU time of the other service's GET ÷ that of tallykv's.
TIMES_CHEAPER: Final = {"FastAPI": at_least(3.5), "Flask": at_least(6)}
#: From the start of the process on the embedded store to the first 200 of /readyz.
READY_SECONDS: Final = at_most(1.5)
#: CPU time of a GET with all signals on ÷ with all of them off.
SIGNALS_RATIO: Final = at_most(1.15)
#: CPU time that the signals add to a request without a store, in hellos: 6 µs, a hello takes 28.
SIGNALS_HELLOS: Final = at_most(0.21)
RESIDENT_MIB: Final = at_most(70)
#: Cost of a page in a listing of a million entries ÷ in one of a thousand.
LISTING_RATIO: Final = at_most(2)
