"""Child processes that write to a state store until they are killed, or hold it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from rollout.runner.directory_state_store import DirectoryStateStore
from tests.support.manifests import ROOT

#: Large enough that a write takes more than one page.
PADDING = "x" * 20_000


def state(number: int) -> dict[str, object]:
    return {"number": number, "padding": PADDING, "check": number * 7}


async def write_for_ever(directory: Path) -> None:
    """Save rising numbers, printing each one after it is saved; start after the last one saved."""
    store = DirectoryStateStore(directory)
    async with store.hold():
        kept = await store.load()
        number = 0 if kept is None else int(kept["number"])
        while True:
            number += 1
            await store.save(state(number))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
            await store.record({"number": number, "padding": PADDING[:5000]})


def nursery(directory: Path) -> None:
    """For each line of stdin, fork a writer and print its pid; print when it has ended.

    A fork takes a hundredth of the time of starting Python.
    """
    for _ in sys.stdin:
        if (pid := os.fork()) == 0:
            sys.stdout.write(f"pid {os.getpid()}\n")
            asyncio.run(write_for_ever(directory))
        os.waitpid(pid, 0)
        sys.stdout.write("\ngone\n")
        sys.stdout.flush()


async def hold(directory: Path) -> None:
    """Hold the state until the caller ends; print when it is held."""
    async with DirectoryStateStore(directory).hold():
        sys.stdout.write("held\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


def started(call: str, directory: Path) -> subprocess.Popen[str]:
    """Start a process that runs ``call``, a statement that uses ``directory``."""
    code = (
        "import asyncio, pathlib, sys; from tests.rollout.runner.state_writers import *;"
        f" directory = pathlib.Path(sys.argv[1]); {call}"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(directory)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
