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

#: Enough for one test: none sees the samples of another.
TARGETS = 6


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScrapedPrometheus]:
    """A Prometheus for the tests of a module: until it ends, it scrapes, and takes CPU time."""
    pool = TargetPool(TARGETS)
    with (
        pool.serving() as job,
        running_prometheus(
            tmp_path_factory.mktemp("prometheus"), [job], interval="1s"
        ) as prometheus,
    ):
        yield ScrapedPrometheus(prometheus, pool)


@pytest.fixture
def service(scraped: ScrapedPrometheus) -> Service:
    return Service(scraped)


@contextlib.contextmanager
def starting(directory: Path) -> Iterator[Callable[..., Judge]]:
    """Yield a function that starts a judge with these arguments, which keeps its state here."""
    with contextlib.ExitStack() as stack:

        def make(*arguments: str | Path, state: str = "state", **more: Any) -> Judge:
            command = started(
                directory, "judge", *arguments, "--port", "0", "--state", directory / state, **more
            )
            return Judge(stack.enter_context(command))

        yield make


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Judge]]:
    with starting(tmp_path) as make:
        yield make


@pytest.fixture(scope="module")
def shared_judge(
    tmp_path_factory: pytest.TempPathFactory, scraped: ScrapedPrometheus
) -> Iterator[Judge]:
    """Return a judge for many questions, which compares as ``kv`` what has no requests."""
    directory = tmp_path_factory.mktemp("judge")
    with starting(directory) as make:
        yield make("--config", config(directory, Service(scraped)))


@pytest.fixture
def judge(start: Callable[..., Judge], tmp_path: Path, service: Service) -> Judge:
    """Return a judge whose configuration compares the releases of ``service`` as ``kv``."""
    return start("--config", config(tmp_path, service))
