"""The real Envoy takes what our manifests become, at each step, and refuses what is broken."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from rollout.envoy.configuration import Configuration
from rollout.envoy.translation import translate
from rollout.lint.yaml_documents import parse_documents
from tests.istio.test_plans import WALKS
from tests.rollout.envoy.envoy_binary import validate
from tests.rollout.envoy.estate import (
    EDGE_GATEWAY,
    SHOP,
    place,
    read_objects,
    translated,
    virtual_service,
)
from tests.rollout.lint.lint_runner import FIXTURES
from tests.support.manifests import render

#: HTTPRoutes are not translated.
STRATEGIES: Final = sorted(WALKS.keys() - {"gateway-api"})
VALID: Final = sorted((FIXTURES / "valid").glob("*.yaml"))


def configured(found: Sequence[Mapping[str, Any]]) -> Configuration:
    objects = read_objects(found)
    return translate(objects, place(objects, 80, 443))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_plan_is_sound_at_every_moment(strategy: str, tmp_path: Path) -> None:
    there: dict[tuple[str, str, str], dict[str, Any]] = {}
    sound: list[Configuration] = []
    steps = 0

    for verb, directory in WALKS[strategy]:
        for each in render(directory):
            key = (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"])
            if verb == "apply":
                there[key] = each
            else:
                del there[key]
        steps += "steps" in directory
        configuration = configured([*there.values()])
        if configuration not in sound:
            verdict = validate(configuration, tmp_path)
            assert verdict.accepted, f"after {verb} {directory}: {verdict.said}"
            assert "deprecat" not in verdict.said
            sound.append(configuration)

    assert steps


@pytest.mark.parametrize(
    ("before", "step", "missing"),
    [
        ("istio/canary/1-workloads", "istio/canary/steps/10", "canary|kv"),
        ("istio/mirror/2-limits", "istio/mirror/steps/10", "|kv-shadow"),
        ("istio/microservices/2-policies", "istio/microservices/steps/split", "|kv-counters"),
    ],
)
def test_routes_before_their_clusters_are_refused(
    before: str, step: str, missing: str, tmp_path: Path
) -> None:
    found = [each for directory in ("istio/gateway", before, step) for each in render(directory)]
    latest = {(each["kind"], each["metadata"]["name"]): each for each in found}

    verdict = validate(configured([*latest.values()]), tmp_path)

    assert not verdict.accepted
    assert f" cluster 'outbound|8080|{missing}.kv.svc.cluster.local'" in verdict.said


@pytest.mark.parametrize("file", VALID, ids=lambda file: file.stem)
def test_whatever_the_models_take_is_sound(file: Path, tmp_path: Path) -> None:
    texts = (FIXTURES / "cluster.yaml").read_text(), file.read_text()
    written = [each.value for text in texts for each in parse_documents(text)]
    found = [one for each in written for one in each.get("items", [each])]
    latest = {(each["kind"], each["metadata"]["name"]): each for each in found}

    verdict = validate(configured([*latest.values()]), tmp_path)

    assert verdict.accepted, verdict.said
    assert "deprecat" not in verdict.said


def test_a_field_that_envoy_has_not_is_refused(tmp_path: Path) -> None:
    configuration = translated(
        SHOP, EDGE_GATEWAY, virtual_service("- route: [{destination: {host: kv}}]")
    )
    broken = copy.deepcopy(configuration.route_configurations)
    broken[1]["virtual_hosts"][0]["routes"][0]["route"]["timeoutx"] = "1s"

    verdict = validate(replace(configuration, route_configurations=broken), tmp_path)

    assert validate(configuration, tmp_path).accepted
    assert not verdict.accepted
    assert "timeoutx" in verdict.said


def test_a_long_pattern_is_taken_as_istio_s_proxies_do(tmp_path: Path) -> None:
    pattern = "|".join(f"/v1/things/{number:03}/[a-z]+" for number in range(40))
    rules = f"- match: [{{uri: {{regex: '{pattern}'}}}}]\n  directResponse: {{status: 200}}"

    verdict = validate(translated(SHOP, virtual_service(rules)), tmp_path)

    assert verdict.accepted, verdict.said
