"""The end of a run: what is stored is what was acknowledged, read by the last user to stop."""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import islice
from typing import Final

from .base import TallyUser, Unknown
from .counters import read_counter
from .entries import ROUTE, check_entry

#: Entries looked at, those first that were written first: the most popular ones.
ENTRIES: Final = 200
#: Of a slow service less is read: locust ends users that take longer than its --stop-timeout.
MOST_SECONDS: Final = 8.0


def settle(user: TallyUser) -> None:
    """Read every counter and the first entries: with nothing under way the bounds are exact."""
    run = user.run_state
    give_up = time.monotonic() + MOST_SECONDS
    for name in list(run.counters):
        if time.monotonic() > give_up:
            return
        with suppress(Unknown):
            read_counter(user, name)
    for key, history in list(islice(run.entries.items(), ENTRIES)):
        if time.monotonic() > give_up:
            return
        with suppress(Unknown):
            user.ask("GET", f"/v1/kv/{key}", ROUTE, check_entry(key, history))
