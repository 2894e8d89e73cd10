"""The client needs httpx and msgspec, and nothing that serves; without httpx it says so."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

from tests.architecture import ROOT

#: Refuses the modules that are named as arguments.
WITHOUT: Final = """
import sys
class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refusal())
from svc.client import AsyncClient, Client
print(Client("http://localhost:1"))
"""
SERVERS: Final = "aiohttp,redis,hiredis,jiter,uvloop,prometheus_client,opentelemetry"


def run(without: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, without],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_is_imported_without_what_serves() -> None:
    done = run(SERVERS)

    assert done.stdout == "Client('http://localhost:1')\n", done.stderr


@pytest.mark.parametrize("missing", ["httpx", "httpx_sse"])
def test_without_its_extra_it_says_what_to_install(missing: str) -> None:
    done = run(missing)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("pip install 'tallykv[client]'")
