"""Whether a process of this machine still runs: its number alone may be taken by another one."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def identify_process() -> str:
    """Return the identity of this process, an empty text where the system doesn't tell.

    It has the machine's boot, the namespace of the pid, the pid, and the start time.
    """
    with contextlib.suppress(OSError, IndexError):
        pid = os.getpid()
        return f"{_machine()} {pid} {_start_time(pid)}"
    return ""


def has_ended(identity: str) -> bool:
    """Return True if the process ran on this machine, in this pid namespace, and has ended."""
    try:
        machine, pid, start = identity.rsplit(" ", 2)
        if machine != _machine():
            return False
        return _start_time(int(pid)) != start
    except (FileNotFoundError, ProcessLookupError):
        return True
    except (OSError, ValueError, IndexError):
        return False


def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


def _start_time(pid: int) -> str:
    """Return when a process started, in ticks since the boot."""
    status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    # The name, in parentheses, may contain spaces.
    fields = status.rpartition(")")[2].split()
    if fields[0] in {"Z", "X"}:
        raise ProcessLookupError
    return fields[19]
