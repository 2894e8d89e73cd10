"""A real Prometheus for the tests, on a free port, with its own directory."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.plain_http import fetch
from tests.support.ports import free_port
from tests.support.waiting import PATIENT_SECONDS, until


@dataclass(frozen=True)
class Series:
    """One series of an instant query's result; without labels if the result is a scalar."""

    labels: dict[str, str]
    value: float


@dataclass(frozen=True)
class Range:
    """One series of a range query's result; a point is (Unix time, value)."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Exemplar:
    series: dict[str, str]
    labels: dict[str, str]
    value: float
    at: float


@dataclass(frozen=True)
class Target:
    labels: dict[str, str]
    url: str
    health: str
    error: str


@dataclass(frozen=True)
class Rule:
    """A loaded rule; ``health`` is "ok", "err", or "unknown" before the first evaluation."""

    name: str
    kind: str
    expression: str
    health: str
    error: str


class QueryRefused(Exception):
    """Prometheus refused the query; the message is from Prometheus."""


def need_program(name: str) -> str:
    """Return the path of ``prometheus`` or ``promtool``, or skip the test, naming the package."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name} (Debian package prometheus)")
    return found


class Prometheus:
    """One Prometheus process on loopback, and queries to it."""

    def __init__(
        self,
        binary: str,
        directory: Path,
        jobs: Sequence[Mapping[str, Any]],
        rule_files: Sequence[Path] = (),
        interval: str = "1s",
        features: str = "exemplar-storage",
    ) -> None:
        self.binary = binary
        self.directory = directory
        self.features = features
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._at: float | None = None
        self.config: dict[str, Any] = {
            "global": {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": interval,
            },
            "scrape_configs": list(jobs),
            "rule_files": [str(path.absolute()) for path in rule_files],
        }

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.directory / "prometheus.log"

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "prometheus.json"
        config.write_text(json.dumps(self.config, indent=2))  # JSON is YAML, too
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self.binary,
                    f"--config.file={config}",
                    f"--storage.tsdb.path={self.directory / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    f"--enable-feature={self.features}",
                    "--log.level=warn",
                ],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self._is_ready, what="Prometheus")

    def _is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"Prometheus ended: {self.log.read_text()[-2000:]}")
        with contextlib.suppress(OSError):
            return fetch(f"{self.base}/-/ready").status == 200
        return False

    def stop(self) -> None:
        """Kill the process; its data is not needed any more."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENT_SECONDS)
            self.process = None

    def pin(self) -> None:
        """Answer instant queries as of now: on a busy machine a later scrape may fail."""
        self._at = time.time()

    def query(self, expression: str, at: float | None = None) -> list[Series]:
        """Return the result of an instant query, now or at a Unix time."""
        at = self._at if at is None else at
        response = self._get("query", query=expression, **({} if at is None else {"time": str(at)}))
        result = response["result"]
        if response["resultType"] == "scalar":
            return [Series({}, float(result[1]))]
        return [Series(each["metric"], float(each["value"][1])) for each in result]

    def value(self, expression: str) -> float | None:
        """Return the value of the only series of a result, None if there is none."""
        found = self.query(expression)
        assert len(found) <= 1, f"{expression}: {len(found)} series"
        return found[0].value if found else None

    def query_range(
        self, expression: str, *, seconds: float = 60.0, step: float = 1.0
    ) -> list[Range]:
        """Return the result of a range query over the last ``seconds``."""
        now = time.time()
        response = self._get(
            "query_range",
            query=expression,
            start=str(now - seconds),
            end=str(now),
            step=str(step),
        )
        return [
            Range(each["metric"], [(float(t), float(v)) for t, v in each["values"]])
            for each in response["result"]
        ]

    def exemplars(self, selector: str, *, seconds: float = 3600.0) -> list[Exemplar]:
        """Return the exemplars of the last ``seconds``."""
        now = time.time()
        response = self._get(
            "query_exemplars", query=selector, start=str(now - seconds), end=str(now + 60)
        )
        return [
            Exemplar(
                each["seriesLabels"],
                exemplar["labels"],
                float(exemplar["value"]),
                float(exemplar["timestamp"]),
            )
            for each in response
            for exemplar in each["exemplars"]
        ]

    def series(self, selector: str, *, seconds: float = 3600.0) -> list[dict[str, str]]:
        """Return the labels of all series with samples in the last ``seconds``."""
        now = time.time()
        response = self._get(
            "series", **{"match[]": selector, "start": str(now - seconds), "end": str(now)}
        )
        return [dict(labels) for labels in response]

    def targets(self) -> list[Target]:
        """Return the active targets."""
        return [
            Target(each["labels"], each["scrapeUrl"], each["health"], each["lastError"])
            for each in self._get("targets", state="active")["activeTargets"]
        ]

    def dropped_targets(self) -> list[dict[str, str]]:
        """Return the discovered labels of the targets that relabelling dropped."""
        return [
            each["discoveredLabels"]
            for each in self._get("targets", state="dropped")["droppedTargets"]
        ]

    def rules(self) -> list[Rule]:
        return [
            Rule(
                each["name"], each["type"], each["query"], each["health"], each.get("lastError", "")
            )
            for group in self._get("rules")["groups"]
            for each in group["rules"]
        ]

    def _get(self, endpoint: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        response = fetch(f"{self.base}/api/v1/{endpoint}?{query}").json
        if response["status"] != "success":
            raise QueryRefused(f"{response['errorType']}: {response['error']}")
        return response["data"]


@contextlib.contextmanager
def running_prometheus(
    directory: Path,
    jobs: Sequence[Mapping[str, Any]],
    *,
    rule_files: Sequence[Path] = (),
    interval: str = "1s",
    features: str = "exemplar-storage",
) -> Iterator[Prometheus]:
    """Run a Prometheus with these scrape jobs and rules until the block ends."""
    server = Prometheus(need_program("prometheus"), directory, jobs, rule_files, interval, features)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def check_metrics(text: bytes) -> str:
    """Return the errors of ``promtool check metrics`` for an exposition, "" if there are none."""
    result = subprocess.run(
        [need_program("promtool"), "check", "metrics"],
        input=text,
        capture_output=True,
        timeout=PATIENT_SECONDS,
        check=False,
    )
    errors = (result.stdout + result.stderr).decode().strip()
    return errors or ("" if result.returncode == 0 else f"exit code {result.returncode}")
