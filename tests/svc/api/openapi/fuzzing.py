"""Requests that schemathesis makes up from the document, sent to a running service: all checks.

``make contract`` runs it at length; test_fuzzing.py in a short form.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.support.services import ROOT, service_process

HERE: Final = Path(__file__).parent
CONFIG: Final = HERE / "schemathesis.toml"
#: Long: a busy machine must not end a run.
MOST_SECONDS: Final = 1_800


@dataclass(frozen=True)
class Run:
    """What schemathesis found; ``cases`` are the requests that it sent."""

    exit_code: int
    cases: int
    output: str


def run(
    base: str, *, examples: int, seed: int, document: Path | None = None, only: str = ""
) -> Run:
    """Send requests to the service at this address: so many for each operation, and more.

    ``document`` is another one than the service's own, ``only`` the id of one operation.
    """
    narrowed = ["--include-operation-id", only] if only else []
    with TemporaryDirectory() as directory:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG, "run"),
                *(document or f"{base}/v1/openapi.json", "--url", base, *narrowed),
                *("--checks", "all", "--continue-on-failure"),
                *("--max-examples", str(examples), "--seed", str(seed), "--no-color"),
                # Nothing is remembered, so that a run depends on its seed alone.
                *("--generation-database", "none", "--suppress-health-check", "all"),
            ],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=MOST_SECONDS,
        )
    output = done.stdout + done.stderr
    found = re.search(r"(\d+) generated", output)
    return Run(done.returncode, int(found[1]) if found else 0, output)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=200, help="for each operation")
    parser.add_argument("--seeds", type=int, default=3, help="how many runs")
    wanted = parser.parse_args(arguments)
    code = cases = 0
    for seed in range(1, wanted.seeds + 1):
        with TemporaryDirectory() as data, service_process(KV_DATA_DIR=data) as service:
            done = run(service.base, examples=wanted.examples, seed=seed)
        print(done.output if done.exit_code else f"seed {seed}: {done.cases} cases, nothing found")
        code, cases = code or done.exit_code, cases + done.cases
    print(f"{'FAIL' if code else 'PASS'}  {cases} cases")
    return code


if __name__ == "__main__":
    sys.exit(main())
