"""A backtest judges what a real Prometheus still has of a release."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.rollout.cli.cli_process import Command, finished
from tests.support.manifests import ROOT
from tests.support.ports import free_port
from tests.support.prometheus import Prometheus, need_program, running_prometheus

#: The recorded hour begins here. Half an hour later the canary gets requests.
START: Final = 1_790_000_000
SCRAPE: Final = 15
CANARY_STARTS: Final = START + 1800


def exposition() -> Iterator[str]:
    """Yield an hour of counters: of the track stable, and of two canaries, good and bad."""
    name = "http_server_request_duration_seconds"
    yield f"# TYPE {name} histogram"
    for track, rate, ratio in (("stable", 50, 0.001), ("good", 5, 0.0), ("bad", 5, 0.2)):
        begin = START if track == "stable" else CANARY_STARTS
        for at in range(begin, START + 3600, SCRAPE):
            served = (at - begin) * rate
            failed = int(served * ratio)
            for status, count in (("200", served - failed), ("503", failed)):
                labels = (
                    f'job="kv",namespace="kv",pod="kv-{track}",track="{track}",'
                    f'http_response_status_code="{status}"'
                )
                for bound in ("0.025", "0.1", "0.5", "+Inf"):
                    yield f'{name}_bucket{{{labels},le="{bound}"}} {count} {at}'
                yield f"{name}_count{{{labels}}} {count} {at}"
    yield "# EOF"


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    directory = tmp_path_factory.mktemp("past")
    text = directory / "past.txt"
    text.write_text("\n".join(exposition()) + "\n")
    subprocess.run(
        [
            need_program("promtool"),
            *("tsdb", "create-blocks-from", "openmetrics", text, directory / "data"),
        ],
        check=True,
        capture_output=True,
    )
    with running_prometheus(directory, []) as prometheus:
        yield prometheus


def backtest(directory: Path, url: str, canary: str, *more: str) -> Command:
    return finished(
        directory,
        *("backtest", ROOT / "istio" / "canary", "--prometheus", url, "--metrics", "app"),
        *("--label", f"track=stable,{canary}", *more),
    )


def changes(command: Command) -> list[tuple[float, str]]:
    assert command.process.wait() == 0, command.err
    found: Any = json.loads(command.out)
    return [(each["time"], each["verdict"]) for each in found["changes"]]


RANGE: Final = ("--from", str(START), "--to", str(START + 3500), "--format", "json")


def test_a_bad_release_is_found_soon_after_it_got_requests(
    tmp_path: Path, past: Prometheus
) -> None:
    command = backtest(tmp_path, past.base, "bad", *RANGE)

    found = changes(command)
    assert found[0][1] == "no-data"
    assert found[-1][1] == "harm"
    assert CANARY_STARTS < found[-1][0] <= CANARY_STARTS + 120


def test_a_good_release_is_proven_once_it_had_enough_requests(
    tmp_path: Path, past: Prometheus
) -> None:
    command = backtest(tmp_path, past.base, "good", *RANGE)

    found = changes(command)
    assert "harm" not in {word for _, word in found}
    [(at, _)] = [each for each in found if each[1] == "good"]
    # 299 requests at 5 a second, and a scrape or two.
    assert CANARY_STARTS + 60 <= at <= CANARY_STARTS + 300
    end = json.loads(command.out)["end"]
    assert end["requestsNeeded"] == 0
    # Whatever was counted before the first reading of a series is no evidence.
    assert end["canary"]["requests"] == pytest.approx(1700 * 5, rel=0.05)


def test_the_text_has_a_line_for_each_change(tmp_path: Path, past: Prometheus) -> None:
    command = backtest(
        tmp_path, past.base, "bad", "--from", "2026-09-21T14:13:20", "--to", str(START + 3500)
    )

    assert command.process.wait() == 0, command.err
    lines = command.out.splitlines()
    assert lines[0].startswith("2026-09-21 14:13:20 UTC  no-data  stable 0/0 failed")
    assert "  harm  " in lines[-2]
    assert lines[-1].startswith("at the end               harm")
    assert re.search(r"20 % against 0\.0\d+|20 % against 0\.1 ", lines[-1])


def controllers(directory: Path, canary: str) -> Path:
    """Write a Canary of Flagger and a Rollout of Argo that watch the error ratio of a track."""

    def counted(more: str) -> str:
        labels = f'track="{canary}"{more}'
        return f"sum(rate(http_server_request_duration_seconds_count{{{labels}}}[1m]))"

    failed = ', http_response_status_code="503"'
    query = f"{counted(failed)} / {counted('')}"
    objects = [
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": "kv"},
            "spec": {
                "targetRef": {"name": "kv"},
                "analysis": {
                    "interval": "1m",
                    "threshold": 2,
                    "stepWeights": [10, 50],
                    "metrics": [
                        {"name": "errors", "query": query, "thresholdRange": {"max": 0.01}}
                    ],
                },
            },
        },
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "metadata": {"name": "kv"},
            "spec": {
                "strategy": {
                    "canary": {
                        "analysis": {"templates": [{"templateName": "errors"}]},
                        "steps": [{"setWeight": 10}, {"pause": {"duration": "5m"}}],
                    }
                }
            },
        },
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisTemplate",
            "metadata": {"name": "errors"},
            "spec": {
                "metrics": [
                    {
                        "name": "errors",
                        "initialDelay": "1m",
                        "interval": "30s",
                        "failureLimit": 1,
                        "successCondition": "result[0] <= 0.05",
                        "provider": {"prometheus": {"query": query}},
                    }
                ]
            },
        },
    ]
    folder = directory / "controllers"
    folder.mkdir()
    (folder / "all.yaml").write_text("---\n".join(json.dumps(each) + "\n" for each in objects))
    return folder


@pytest.mark.parametrize(
    ("canary", "decided"),
    [
        ("bad", [("rolled back", 120), ("rolled back", 180), ("rolled back", 90)]),
        ("good", [("proven", 300), ("promoted", 120), ("promoted", 300)]),
    ],
)
def test_others_decide_beside_us_from_the_same_series(
    tmp_path: Path, past: Prometheus, canary: str, decided: list[tuple[str, float]]
) -> None:
    folder = controllers(tmp_path, canary)

    begin, end = str(CANARY_STARTS - 60), str(CANARY_STARTS + 500)
    command = backtest(
        tmp_path, past.base, canary, "--from", begin, "--to", end, "--beside", str(folder)
    )

    assert command.process.wait() == 0, command.err
    rows = command.out.partition("\n\n")[2].splitlines()
    names = ("tallykv-rollout", "Flagger, Canary kv", "Argo Rollouts, Rollout kv")
    for row, name, (verdict, most) in zip(rows, names, decided, strict=True):
        assert re.match(rf"{name} +{verdict} ", row)
        after = float(re.search(r"after (\d+) s", row)[1])  # type: ignore[index]
        assert after <= most if name == names[0] else after == most


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--from", str(START), "--to", str(START)), "it is not after --from"),
        (("--from", "yesterday"), "is no time"),
        (("--from", "1000", "--to", "2000"), "there is nothing to judge in that time"),
    ],
)
def test_a_range_without_counters_is_refused(
    tmp_path: Path, past: Prometheus, more: tuple[str, ...], said: str
) -> None:
    command = backtest(tmp_path, past.base, "bad", *more)

    assert command.process.wait() == 2
    assert said in command.err


def test_without_prometheus_there_is_no_verdict(tmp_path: Path) -> None:
    command = backtest(tmp_path, f"http://127.0.0.1:{free_port()}", "bad", *RANGE)

    assert command.process.wait() == 2
    assert "can't be queried" in command.err
