"""Runs of tallykv-rollout in forks of a process that has imported it, so they start quickly."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.api_server import ApiServer
from tests.support.manifests import ROOT


class WarmProcess:
    """A process that forks a run for each line that it reads."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.rollout.cli.warm_process"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run_until(
        self, server: ApiServer, reached: Callable[[], bool], *arguments: str | Path
    ) -> int:
        """Run a command, kill it when a write has brought about a state of the cluster.

        Return its code, negative for a kill.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        server.freeze_when(reached)
        self._process.stdin.write(json.dumps([*map(str, arguments)]) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        with server.frozen(what=f"the state for the kill of {arguments[0]}"):
            os.kill(pid, signal.SIGKILL)
            return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


@contextlib.contextmanager
def warm_process() -> Iterator[WarmProcess]:
    process = WarmProcess()
    try:
        yield process
    finally:
        process.close()


def main() -> None:
    """Print the pid of each run, and its exit code when it has ended."""
    import rollout.cli.run  # noqa: F401 - imported now, not in each fork
    from rollout.__main__ import main as run

    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            code = 1
            with contextlib.suppress(BaseException), contextlib.redirect_stdout(sys.stderr):
                try:
                    code = run(json.loads(line))
                except BaseException:  # noqa: BLE001 - the process ends here
                    traceback.print_exc()
            os._exit(code)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
