"""Looking at other processes through ``/proc``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def is_running(pid: int) -> bool:
    """Tell whether the process runs; one that ended and was not fetched yet does not."""
    try:
        return _field(pid, "State").split()[0] not in {"Z", "X"}
    except (OSError, LookupError):
        return False


def children_of(pid: int) -> list[int]:
    """Return the running children, whichever thread started them."""
    found: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # The thread has just ended.
            found += map(int, listing.read_text().split())
    return [child for child in found if is_running(child)]


def name_of(pid: int) -> str:
    """Return the name of the process's program, an empty text if it has just ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def peak_resident_bytes(pid: int) -> int:
    return int(_field(pid, "VmHWM").split()[0]) * 1024


def resident_bytes(pid: int) -> int:
    return int(_field(pid, "VmRSS").split()[0]) * 1024


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _field(pid: int, name: str) -> str:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        found, _, value = line.partition(":")
        if found == name:
            return value.strip()
    raise LookupError(name)
