"""Labels of the releases, found in their manifests."""

from __future__ import annotations

from pathlib import Path

from rollout.plan.loading import load_plan
from rollout.prometheus.release_label import version_of
from tests.rollout.cli.example_service import write_rollout


def test_a_release_s_version_is_that_of_its_pods_labels(tmp_path: Path) -> None:
    loaded = load_plan(str(write_rollout(tmp_path / "rollout", "shop")))

    assert version_of(loaded, "stable") == "1.4.0"
    assert version_of(loaded, "canary") == "1.5.0"
    assert version_of(loaded, "purple") is None
