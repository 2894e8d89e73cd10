"""What a service with the embedded store says of itself, and how it ends."""

from __future__ import annotations

from typing import Any

from tests.support.plain_http import fetch
from tests.support.services import ServiceProcess
from tests.support.waiting import PATIENT_SECONDS


def status_of(service: ServiceProcess) -> Any:
    """Return /statusz; None if nothing listens yet."""
    try:
        return fetch(f"{service.admin_base}/statusz").json
    except OSError:
        return None


def end_of(service: ServiceProcess, seconds: float = PATIENT_SECONDS) -> tuple[int, str]:
    """Wait for the end. Return the exit code, and the only line that is no log line."""
    code = service.wait(seconds)
    said = service.output()
    assert "Traceback" not in said, said
    (line,) = [each for each in said.splitlines() if not each.startswith("{")]
    return code, line
