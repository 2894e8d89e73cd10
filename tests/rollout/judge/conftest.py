"""A real Prometheus with counters that tests set, and judges that read them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rollout.cli.cli_process import started
from tests.rollout.judge.judge_process import Judge, Service, config
from tests.rollout.prometheus.exporters import TargetPool
from tests.rollout.prometheus.scraped_prometheus import ScrapedPrometheus
from tests.support.prometheus import running_prometheus

TARGETS = 60


@pytest.fixture(scope="session")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScrapedPrometheus]:
    pool = TargetPool(TARGETS)
    with (
        pool.serving() as job,
        running_prometheus(
            tmp_path_factory.mktemp("prometheus"), [job], interval="500ms"
        ) as prometheus,
    ):
        yield ScrapedPrometheus(prometheus, pool)


@pytest.fixture
def service(scraped: ScrapedPrometheus) -> Service:
    return Service(scraped)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Judge]]:
    """Return a function that starts a judge with these arguments, which keeps its state here."""
    with contextlib.ExitStack() as stack:

        def make(*arguments: str | Path, state: str = "state", **more: Any) -> Judge:
            command = started(
                tmp_path, "judge", *arguments, "--port", "0", "--state", tmp_path / state, **more
            )
            return Judge(stack.enter_context(command))

        yield make


@pytest.fixture
def judge(start: Callable[..., Judge], tmp_path: Path, service: Service) -> Judge:
    """Return a judge whose configuration compares the releases of ``service`` as ``kv``."""
    return start("--config", config(tmp_path, service))
