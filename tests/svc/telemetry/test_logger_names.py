"""The logger names in log lines: filters and alerts of log stores match them."""

from __future__ import annotations

import pytest

from svc.serving import connection, server, worker
from svc.stores import redis_errors
from svc.stores.embedded import process


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (server, "svc.server"),
        (worker, "svc.supervisor"),
        (connection, "svc.listener"),
        (redis_errors, "svc.stores.refusals"),
        (process, "svc.stores.embedded"),
    ],
)
def test_a_logger_keeps_its_name(module: object, name: str) -> None:
    assert module.log.name == name  # type: ignore[attr-defined]
