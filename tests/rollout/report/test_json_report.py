"""The JSON report holds everything that it was rendered from."""

from __future__ import annotations

import json

from rollout.report.json_report import render_json
from tests.rollout.report.json_reader import read_json_report
from tests.rollout.report.simulated_rollout import simulate_rollout


def test_what_is_rendered_is_read_back_the_same() -> None:
    rollout = simulate_rollout(failing=0.08)

    text = render_json(rollout.events, rollout.samples, rollout.plan)

    found = read_json_report(text)
    assert found.events == rollout.events
    assert found.samples == rollout.samples
    assert found.plan == rollout.plan
    assert render_json(found.events, found.samples, found.plan) == text


def test_the_verdict_comes_first() -> None:
    rollout = simulate_rollout(failing=0.08)

    document = json.loads(render_json(rollout.events, rollout.samples, rollout.plan))

    assert list(document)[:3] == ["verdict", "headline", "sentence"]
    assert document["verdict"] == "rolled_back"
