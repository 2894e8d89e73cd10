"""``python -m bench.soak.task_counter FILE``: the service, which also counts its asyncio tasks.

At each SIGUSR1 it writes their number to FILE. No metric shows it.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

from svc.__main__ import main


def count_tasks_on_signal(file: Path) -> None:
    def count(_number: int, _frame: Any) -> None:
        # Python runs signal handlers in the main thread, where the loop runs.
        fresh = file.with_suffix(".new")
        fresh.write_text(str(len(asyncio.all_tasks(asyncio.get_running_loop()))))
        fresh.replace(file)

    signal.signal(signal.SIGUSR1, count)


if __name__ == "__main__":
    count_tasks_on_signal(Path(sys.argv[1]))
    sys.exit(main(["serve"]))
