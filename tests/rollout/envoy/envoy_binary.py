"""The real Envoy: validates a configuration, or runs on loopback."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from rollout.envoy.bootstrap import bootstrap, static_bootstrap
from rollout.envoy.configuration import Address, Configuration, LocalAddresses, Objects
from rollout.envoy.discovery import discovery
from rollout.rehearsal.errors import ProgramMissing
from rollout.rehearsal.executables import find_envoy
from tests.rollout.envoy.example_mesh import configured
from tests.support.plain_http import fetch
from tests.support.ports import free_port
from tests.support.waiting import until

_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Verdict:
    """``output`` is what Envoy wrote, including warnings."""

    accepted: bool
    output: str


def need_envoy() -> str:
    """Return Envoy's program; if it is missing, skip the test and name the package."""
    try:
        return find_envoy()
    except ProgramMissing as missing:
        pytest.skip(str(missing))


def validate(configuration: Configuration, directory: Path) -> Verdict:
    """Validate a configuration with ``envoy --mode validate``, which opens no port."""
    file = directory / "static.json"
    file.write_text(json.dumps(static_bootstrap(configuration, Address("127.0.0.1", 0))))
    done = subprocess.run(
        [
            *(need_envoy(), "--mode", "validate", "--config-path", file),
            *("--use-dynamic-base-id", "--disable-hot-restart", "--log-level", "warning"),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    return Verdict(done.returncode == 0, done.stdout + done.stderr)


@contextlib.contextmanager
def running_envoy(objects: Objects, directory: Path) -> Iterator[LocalAddresses]:
    """Run Envoy with the files of ``discovery``; yield the addresses of port 80 and the mesh."""
    edge, mesh = (Address("127.0.0.1", free_port()) for _ in range(2))
    local = LocalAddresses({}, {80: edge}, mesh)
    with serving(configured(objects, local), directory):
        yield local


@contextlib.contextmanager
def serving(configuration: Configuration, directory: Path) -> Iterator[None]:
    """Run Envoy with the files of ``discovery``."""
    admin = Address("127.0.0.1", free_port())
    xds = directory / "xds"
    xds.mkdir()
    for name, document in discovery(configuration, "1", str(xds)).items():
        (xds / name).write_text(json.dumps(document))
    boot = directory / "boot.json"
    boot.write_text(json.dumps(bootstrap(admin, str(xds))))
    log = directory / "log"
    with log.open("w") as output, (directory / "access").open("w") as access:
        envoy = subprocess.Popen(
            [
                *(need_envoy(), "--config-path", boot, "--reject-unknown-dynamic-fields"),
                *("--use-dynamic-base-id", "--disable-hot-restart", "--concurrency", "1"),
                *("--log-level", "warning", "--file-flush-interval-msec", "50"),
            ],
            stdout=access,
            stderr=output,
        )
        try:
            until(lambda: _serves(envoy, admin), what="Envoy")
            yield
        except AssertionError as error:
            error.add_note(log.read_text())
            raise
        finally:
            envoy.terminate()
            envoy.wait(_SECONDS)


def _serves(envoy: subprocess.Popen[bytes], admin: Address) -> bool:
    assert envoy.poll() is None, "Envoy has exited"
    url = f"http://{admin.host}:{admin.port}"
    try:
        if fetch(f"{url}/ready").status != 200:
            return False
    except OSError:
        return False
    stats = fetch(f"{url}/stats?filter=version_text|update_rejected").body.decode()
    assert "update_rejected: 1" not in stats, stats
    return stats.count('version_text: "1"') == stats.count("version_text:")
