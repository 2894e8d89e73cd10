"""A blocking client for tests that need no loop."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from tests.support.waiting import PATIENT_SECONDS


@dataclass(frozen=True)
class PlainAnswer:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def fetch(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> PlainAnswer:
    """Ask and return the answer, whatever its status; raises OSError when there is none."""
    request = urllib.request.Request(  # noqa: S310 - a service of the test's own
        url, body, {k.replace("_", "-"): v for k, v in headers.items()}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENT_SECONDS) as answer:  # noqa: S310
            return PlainAnswer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return PlainAnswer(refusal.code, refusal.headers, refusal.read())
