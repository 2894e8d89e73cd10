"""A rehearsal refuses what could change its answer, and only that; ``--ignore`` takes the risk."""

from __future__ import annotations

from typing import Final

import pytest

from rollout.manifests.parsing import parse_manifest
from rollout.manifests.virtual_service import VirtualService
from rollout.rehearsal.errors import NotRehearsable
from rollout.rehearsal.risks import accepted_risks
from tests.rollout.envoy.example_mesh import documents

EDGE: Final = "{hosts: [kv.example.com], gateways: [edge], http: [{route: [%s]}]}"
TO_KV: Final = "{destination: {host: kv}}"


def istio_object(kind: str, spec: str, api: str = "networking.istio.io/v1", name: str = "a") -> str:
    return (
        f"{{apiVersion: {api}, kind: {kind}, metadata: {{name: {name}, namespace: shop}},"
        f" spec: {spec}}}"
    )


def routes(spec: str = EDGE % TO_KV) -> VirtualService:
    [document] = documents(istio_object("VirtualService", spec, name="kv"))
    manifest = parse_manifest(document).manifest
    assert isinstance(manifest, VirtualService)
    return manifest


ENVOY_FILTER: Final = istio_object("EnvoyFilter", "{}", "networking.istio.io/v1alpha3")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (
            istio_object(
                "DestinationRule",
                "{host: kv, trafficPolicy: {loadBalancer: {localityLbSetting: {enabled: true}}}}",
            ),
            ("localityLbSetting", "spec.trafficPolicy.loadBalancer.localityLbSetting"),
        ),
        (ENVOY_FILTER, ("EnvoyFilter",)),
    ],
)
def test_what_could_change_the_answer_is_refused_unless_it_is_ignored(
    text: str, names: tuple[str, ...]
) -> None:
    with pytest.raises(NotRehearsable, match=names[0]):
        accepted_risks(documents(text), [routes()])

    for name in names:
        [risk] = accepted_risks(documents(text), [routes()], [name])
        assert names[0] in str(risk)


@pytest.mark.parametrize(
    "text",
    [
        istio_object(
            "DestinationRule",
            "{host: other, trafficPolicy: {loadBalancer: {localityLbSetting: {enabled: true}}}}",
        ),
        istio_object("ServiceEntry", "{hosts: [elsewhere.example.org]}"),
        istio_object(
            "VirtualService", "{hosts: [kv], tcp: [{route: [{destination: {host: kv}}]}]}"
        ),
        ENVOY_FILTER.replace("shop", "elsewhere"),
    ],
)
def test_what_requests_of_the_plan_do_not_meet_is_no_risk(text: str) -> None:
    assert accepted_risks(documents(text), [routes()]) == ()


def test_the_plan_s_own_routes_count() -> None:
    redirect = "{hosts: [kv], gateways: [edge], http: [{redirect: {prefixRewrite: /b}}]}"

    with pytest.raises(NotRehearsable, match="prefixRewrite"):
        accepted_risks([], [routes(redirect)])


def test_one_ignored_risk_does_not_hide_another() -> None:
    policy = (
        "{loadBalancer: {localityLbSetting: {enabled: true}},"
        " tunnel: {targetHost: a.example.org, targetPort: 1}}"
    )
    text = istio_object("DestinationRule", f"{{host: kv, trafficPolicy: {policy}}}")

    with pytest.raises(NotRehearsable, match="tunnel") as refused:
        accepted_risks(documents(text), [routes()], ["localityLbSetting"])

    assert "locality" not in str(refused.value)
