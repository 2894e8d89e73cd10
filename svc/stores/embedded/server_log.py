"""The log of the embedded redis-server: a private file of bounded size, and what it says."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from .binary import EmbeddedUnavailable

#: From this size on, the log becomes ``redis.log.1``, and a new one begins.
MAX_BYTES: Final = 1 << 20
#: redis-server's words, in Redis 7 and in Redis 6, which has one file and does not name it.
_CUT: Final = re.compile(r"Truncating the AOF (?:(\S+) )?at offset (\d+)")
#: The rank of a warning in a line of the log: ``PID:ROLE DAY MONTH YEAR TIME # text``.
_WARNING: Final = re.compile(r"(?m)^\d+:\w \d+ \w+ \d+ [\d:.]+ # (.+)$")
_PRINTED: Final = re.compile(r"(?m)^(?!\d+:\w ).*\S.*$")
_FLAGS: Final = os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class ServerLog:
    """The log file at ``path``. Raises EmbeddedUnavailable, OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = 0

    def open(self) -> int:
        """Open the log for a redis-server that is about to start. Return a descriptor."""
        self.bound()
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | _FLAGS, 0o600)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise EmbeddedUnavailable(f"KV_DATA_DIR: {self.path} is not a regular file: remove it")
        self._start = status.st_size
        return descriptor

    def bound(self) -> None:
        """Move what the log holds to ``redis.log.1`` if it is larger than MAX_BYTES.

        redis-server goes on writing to the same file, at its new end.
        """
        if not self.path.exists() or self.path.stat().st_size <= MAX_BYTES:
            return
        older = os.open(f"{self.path}.1", os.O_WRONLY | os.O_TRUNC | _FLAGS, 0o600)
        with os.fdopen(older, "wb") as copy, self.path.open("rb") as log:
            log.seek(-MAX_BYTES, os.SEEK_END)
            copy.write(log.read(MAX_BYTES))
        os.truncate(self.path, 0)
        self._start = 0

    def last_warning(self) -> str:
        """Return the last warning since the start; "" if there is none.

        Before redis-server logs anything, it prints what is wrong with its settings.
        """
        said = self._since_start()
        found = _WARNING.findall(said) or _PRINTED.findall(said)
        return found[-1][:300].strip() if found else ""

    def bytes_cut(self, sizes: Mapping[str, int]) -> int:
        """Return how many bytes redis-server cut off its append-only file at its start.

        ``sizes`` are those of the files before the start, by name.
        """
        return sum(
            max(0, sizes.get(name or "appendonly.aof", 0) - int(offset))
            for name, offset in _CUT.findall(self._since_start())
        )

    def _since_start(self) -> str:
        with self.path.open("rb") as log:
            log.seek(self._start)
            return log.read(MAX_BYTES).decode("utf-8", "replace")
