"""The real Envoy accepts the translation of our manifests at each step, and rejects mistakes."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from rollout.envoy.configuration import Configuration
from rollout.lint.yaml_documents import parse_documents
from tests.istio.walks import WALKS
from tests.rollout.envoy.envoy_binary import validate
from tests.rollout.envoy.example_mesh import (
    EDGE_GATEWAY,
    KV_MANIFESTS,
    configured,
    local_addresses,
    read_objects,
    translated,
    virtual_service,
)
from tests.rollout.lint.lint_runner import FIXTURES
from tests.support.manifests import render
from tests.support.sizes import size

#: Envoy takes a second for each, so make test tries one of those that differ only in this.
WEIGHT: Final = re.compile(r"'weight': \d+")
IS_WHOLE: Final = size(0, long=1) == 1
#: HTTPRoutes are not translated.
STRATEGIES: Final = sorted(WALKS.keys() - {"gateway-api"})
VALID: Final = sorted((FIXTURES / "valid").glob("*.yaml"))


def without_istiod_s_own(output: str) -> str:
    """Remove the warnings of a deprecated field that istiod sets on each route."""
    return "\n".join(each for each in output.splitlines() if "max_grpc_timeout" not in each)


def translated_documents(found: Sequence[Mapping[str, Any]]) -> Configuration:
    objects = read_objects(found)
    return configured(objects, local_addresses(objects, 80, 443))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_configuration_is_valid_after_every_step(strategy: str, tmp_path: Path) -> None:
    applied: dict[tuple[str, str, str], dict[str, Any]] = {}
    valid: list[Configuration] = []
    kinds: set[str] = set()
    steps = 0

    for verb, directory in WALKS[strategy]:
        for each in render(directory):
            key = (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"])
            if verb == "apply":
                applied[key] = each
            else:
                del applied[key]
        steps += "steps" in directory
        configuration = translated_documents([*applied.values()])
        kind = WEIGHT.sub("", repr(configuration))
        if configuration not in valid and (kind not in kinds or IS_WHOLE):
            verdict = validate(configuration, tmp_path)
            assert verdict.accepted, f"after {verb} {directory}: {verdict.output}"
            assert "deprecat" not in without_istiod_s_own(verdict.output)
            valid.append(configuration)
            kinds.add(kind)

    assert steps


@pytest.mark.parametrize(
    ("before", "step", "missing"),
    [
        ("istio/canary/1-workloads", "istio/canary/steps/10", "canary|kv"),
        ("istio/mirror/2-limits", "istio/mirror/steps/10", "|kv-shadow"),
        ("istio/microservices/2-policies", "istio/microservices/steps/split", "|kv-counters"),
    ],
)
def test_routes_before_their_clusters_are_rejected(
    before: str, step: str, missing: str, tmp_path: Path
) -> None:
    found = [each for directory in ("istio/gateway", before, step) for each in render(directory)]
    latest = {(each["kind"], each["metadata"]["name"]): each for each in found}

    verdict = validate(translated_documents([*latest.values()]), tmp_path)

    assert not verdict.accepted
    assert f" cluster 'outbound|8080|{missing}.kv.svc.cluster.local'" in verdict.output


@pytest.mark.parametrize("file", VALID, ids=lambda file: file.stem)
def test_what_the_models_accept_is_valid(file: Path, tmp_path: Path) -> None:
    texts = (FIXTURES / "cluster.yaml").read_text(), file.read_text()
    written = [each.value for text in texts for each in parse_documents(text)]
    found = [one for each in written for one in each.get("items", [each])]
    latest = {(each["kind"], each["metadata"]["name"]): each for each in found}

    verdict = validate(translated_documents([*latest.values()]), tmp_path)

    assert verdict.accepted, verdict.output
    assert "deprecat" not in without_istiod_s_own(verdict.output)


def test_an_unknown_field_is_rejected(tmp_path: Path) -> None:
    configuration = translated(
        KV_MANIFESTS, EDGE_GATEWAY, virtual_service("- route: [{destination: {host: kv}}]")
    )
    broken = copy.deepcopy(configuration.route_configurations)
    broken[1]["virtual_hosts"][0]["routes"][0]["route"]["timeoutx"] = "1s"

    verdict = validate(replace(configuration, route_configurations=broken), tmp_path)

    assert validate(configuration, tmp_path).accepted
    assert not verdict.accepted
    assert "timeoutx" in verdict.output


def test_a_long_regex_is_accepted_as_by_istio_s_proxies(tmp_path: Path) -> None:
    pattern = "|".join(f"/v1/things/{number:03}/[a-z]+" for number in range(40))
    rules = f"- match: [{{uri: {{regex: '{pattern}'}}}}]\n  directResponse: {{status: 200}}"

    verdict = validate(translated(KV_MANIFESTS, virtual_service(rules)), tmp_path)

    assert verdict.accepted, verdict.output
