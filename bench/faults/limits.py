"""What must hold through every fault."""

from __future__ import annotations

from typing import Final

from bench.frame.rows import at_least, at_most

#: A fault without traffic shows nothing.
ACKNOWLEDGED: Final = at_least(1)
#: The next three hold where durability promises it.
LOST: Final = at_most(0)
DUPLICATED: Final = at_most(0)
NONLINEARIZABLE: Final = at_most(0)
UNEXPECTED: Final = at_most(0)
RECOVERY_SECONDS: Final = at_most(2)
LAG_P99_MS: Final = at_most(50)
#: Goodput at twice the capacity ÷ the peak.
RETRY_STORM_GOODPUT: Final = at_least(0.8)
#: The CPU time of a refusal ÷ that of the answer to the same request: a batch, and a GET. For a GET
#: a tenth is less than the kernel and the parser take of a refusal.
REFUSAL_COST: Final = at_most(0.1)
REFUSAL_COST_OF_GET: Final = at_most(0.5)
