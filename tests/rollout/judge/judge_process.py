"""A real judge in its process, and the counters of a release that it reads from Prometheus."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rollout.prometheus.query import APP
from tests.rollout.cli.cli_process import Command
from tests.rollout.prometheus.exporters import Exporter, fresh_namespace, histogram
from tests.rollout.prometheus.scraped_prometheus import ScrapedPrometheus
from tests.support.plain_http import PlainAnswer, fetch
from tests.support.waiting import until

#: Whatever is awaited takes a few polls of a second; a busy machine needs far longer.
SECONDS: Final = 60.0
LABEL: Final = {"name": "track", "stable": "stable", "canary": "canary"}


@dataclass
class Service:
    """Two releases whose counters a test sets: ``serve`` adds requests to what was counted."""

    scraped: ScrapedPrometheus
    namespace: str = field(default_factory=fresh_namespace)

    def __post_init__(self) -> None:
        self._pods: dict[str, Exporter] = {}
        self._counts: dict[str, list[int]] = {}
        self._started: dict[str, float] = {}

    @property
    def definition(self) -> dict[str, Any]:
        """Return the body of a request that compares the two."""
        return {
            "source": {"app": {"namespace": self.namespace, "label": LABEL}},
            "objective": {"slow": ["100ms", "500ms"]},
            "interval": "1s",
        }

    def serve_badly(self) -> None:
        """Count requests of both releases, of which the canary fails a fifth."""
        self.serve("stable", 90)
        self.serve("canary", 10, 2)

    def wait_scraped(self) -> None:
        """Wait until Prometheus has all that was counted, and all pods."""
        counter = f'{APP.counter}{{namespace="{self.namespace}"}}'
        started = f'process_start_time_seconds{{namespace="{self.namespace}"}}'
        all_requests = sum(requests for requests, _ in self._counts.values())
        value = self.scraped.prometheus.value
        until(
            lambda: (
                value(f"sum({counter})") == all_requests
                and value(f"count({started})") == len(self._pods)
            ),
            what="a scrape of all pods",
        )

    def serve(self, track: str, requests: int, failures: int = 0) -> None:
        """Count more requests of a release; the first ones start its pod."""
        if track not in self._pods:
            pod = f"kv-{track}"
            self._pods[track] = self.scraped.target(namespace=self.namespace, pod=pod, track=track)
            self._counts[track] = [0, 0]
            # A pod that started after the last reading counts from zero.
            self._started[track] = time.time()
        counts = self._counts[track]
        counts[0] += requests
        counts[1] += failures
        served = counts[0] - counts[1]
        # At once: a scrape may come between two assignments.
        self._pods[track].text = (
            f"process_start_time_seconds {self._started[track]}\n"
            + histogram(APP, 200, (served,) * 4, served)
            + histogram(APP, 503, (counts[1],) * 4, counts[1])
        )


class Judge:
    """What a controller asks of a judge that runs."""

    def __init__(self, command: Command) -> None:
        self.command = command
        command.wait_for(r"listening on \S+")
        found = re.search(r"listening on (\S+)", command.out)
        assert found
        self.base = found[1]

    def get(self, path: str) -> PlainAnswer:
        return fetch(self.base + path)

    def post(self, path: str, body: Any = None, **headers: str) -> PlainAnswer:
        content = b"" if body is None else json.dumps(body).encode()
        return fetch(self.base + path, "POST", content, Content_Type="application/json", **headers)

    def show(self, name: str, run: str | None = None) -> Any:
        answer = self.get(f"/v1/comparisons/{name}" + (f"?run={run}" if run else ""))
        assert answer.status == 200, answer.body
        return answer.json

    def until_counted(self, name: str, **requests: int) -> Any:
        """Wait until so many requests of the arms are evidence; return the answer."""

        def look() -> Any:
            shown = self.show(name)
            counted = {arm: shown[arm]["requests"] for arm in requests}
            return shown if counted == requests else None

        return until(look, seconds=SECONDS, what=f"{requests} of {name}")

    def until_verdict(self, name: str, word: str, serve: Callable[[], None]) -> Any:
        """Call ``serve`` until a comparison has this verdict: one window alone proves little."""

        def look() -> Any:
            serve()
            shown = self.show(name)
            return shown if shown["verdict"] == word else None

        return until(look, seconds=SECONDS, what=f"{word} of {name}")

    def until_read(self, name: str) -> None:
        """Wait until a reading succeeded: requests that are counted later are evidence."""

        def look() -> bool:
            problem: str = self.show(name)["data"]["problem"]
            return problem == ""

        until(look, seconds=SECONDS, what=f"a reading of {name}")


def config(directory: Path, service: Service, name: str = "kv", **more: Any) -> Path:
    """Write a configuration with one comparison of a service; JSON is YAML, too."""
    file = directory / "judge.yaml"
    content: Mapping[str, Any] = {
        "prometheus": service.scraped.prometheus.base,
        "comparisons": [{"name": name, **service.definition, **more}],
    }
    file.write_text(json.dumps(content))
    return file
