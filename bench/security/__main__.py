"""``python -m bench.security``: scopes, hostile clients, fuzzed requests, and rates."""

from __future__ import annotations

import sys

from bench.frame.program import Program, run

from .fuzzing import fuzz
from .hostile import try_pages, try_strangers
from .pressing import press
from .scopes import tabulate
from .sizes import Sizes

PROGRAM = Program(
    name="security",
    description="Try to get past the door: by scope and prefix, as a web page, over TLS, by chance,"
    " and faster than allowed.",
    parts={
        "scopes": tabulate,
        "browsers": try_pages,
        "tls": try_strangers,
        "fuzz": fuzz,
        "rate": press,
    },
    sizes=Sizes(),
    quick=Sizes(requests=2_000, seconds=3.0),
)

if __name__ == "__main__":
    sys.exit(run(PROGRAM))
