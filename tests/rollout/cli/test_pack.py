"""A plan that was packed into a ConfigMap is the same plan, with nothing secret in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from rollout.plan.loading import load_plan
from tests.rollout.cli.cli_runner import call
from tests.rollout.plan.plans import split, write_plan
from tests.support.manifests import ROOT, need_kustomize

HIDDEN: Final = """\
apiVersion: v1
kind: Secret
metadata: {name: kv, namespace: shop}
stringData: {password: hunter2}
"""


def mounted(directory: Path, packed: str) -> Path:
    """Write the ConfigMap's data as Kubernetes mounts it."""
    document: dict[str, Any] = yaml.safe_load(packed)
    assert document["kind"] == "ConfigMap"
    directory.mkdir()
    for name, text in document["data"].items():
        assert "/" not in name
        (directory / name).write_text(text)
    return directory


def test_a_packed_plan_is_the_same_plan(tmp_path: Path) -> None:
    need_kustomize()
    directory = ROOT / "istio" / "gateway-api"
    original = load_plan(str(directory))

    said = call("pack", directory)
    packed = load_plan(str(mounted(tmp_path / directory.name, said.out)))

    assert said.code == 0, said.err
    assert packed.plan == replace(original.plan, steps=packed.plan.steps)
    for before, after in zip(original.plan.steps, packed.plan.steps, strict=True):
        assert (after.name, after.share, after.document) == (
            before.name,
            before.share,
            before.document,
        )
    assert {each.id for each in packed.resources} == {each.id for each in original.resources}


def test_what_a_secret_contains_is_left_out(tmp_path: Path) -> None:
    plan = "prerequisites: [cluster.yaml, secret.yaml]\nsetup: []\nstepTime: 5s\n"
    (tmp_path / "secret.yaml").write_text(HIDDEN)
    directory = write_plan(tmp_path, {"00": split(0), "50": split(50)}, plan)

    said = call("pack", directory, "--name", "mine")

    document = yaml.safe_load(said.out)
    assert said.code == 0, said.err
    assert document["metadata"] == {"name": "mine", "namespace": "shop"}
    assert "hunter2" not in said.out
    assert "Secret" in said.out
    assert load_plan(str(mounted(tmp_path / "mounted", said.out))).plan.step_seconds == 5


def test_a_plan_that_no_config_map_holds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollout.cli.pack._MAX_BYTES", 1_500)

    said = call("pack", write_plan(tmp_path, {"00": split(0), "50": split(50)}))

    assert said.code == 2
    assert "a ConfigMap holds 1,500" in said.err
    assert said.out == ""
