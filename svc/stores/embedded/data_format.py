"""What wrote a data directory, as far as its files say. A server that can't read it would end, or
worse, start without the data.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Redis 7's directory of append-only files. Redis 6 has one file, ``appendonly.aof``.
AOF_DIRECTORY: Final = "appendonlydir"
#: An RDB file begins with its maker and version. Redis 6's append-only file may begin with one.
_MAGIC: Final = re.compile(rb"(REDIS|VALKEY)(\d{3,4})")
_MAGIC_BYTES: Final = 9


@dataclass(frozen=True)
class DataFormat:
    """``rdb_version`` is None where the directory holds no RDB file; then commands only."""

    directory: Path
    is_multi_part: bool = False
    is_valkey: bool = False
    rdb_version: int | None = None

    @property
    def writer(self) -> str:
        """What may have written it, in words."""
        if self.rdb_version is None:
            return "Redis 7 or later" if self.is_multi_part else "Redis 6"
        return f"{'Valkey' if self.is_valkey else 'Redis'} (RDB version {self.rdb_version})"


def format_of(data_dir: Path) -> DataFormat:
    """Read what the files in a data directory say of their writer. Raises OSError."""
    parts = data_dir / AOF_DIRECTORY
    is_multi_part = parts.is_dir()
    # After a rewrite was cut short there are two; the server reads one, and writes both alike.
    files = sorted(parts.glob("*.base.rdb")) if is_multi_part else [data_dir / "appendonly.aof"]
    for file in reversed(files):
        with contextlib.suppress(FileNotFoundError), file.open("rb") as stream:
            if found := _MAGIC.match(stream.read(_MAGIC_BYTES)):
                return DataFormat(data_dir, is_multi_part, found[1] == b"VALKEY", int(found[2]))
    return DataFormat(data_dir, is_multi_part)
