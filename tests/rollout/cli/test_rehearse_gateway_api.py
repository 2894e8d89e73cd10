"""``rehearse`` of manifests of the Gateway API: weights of backendRefs, through a real Envoy."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.rollout.cli.cli_process import Command, assert_promoted, rehearsed_good
from tests.rollout.cli.cli_runner import call
from tests.rollout.cli.test_rehearse import QUICK
from tests.rollout.plan.manifests import api_route, backend, with_services, write
from tests.rollout.rehearsal.plans import need_programs

RELEASES: Final = ["--stable", "reviews-v1", "--canary", "reviews-v2"]
EXTENSION: Final = "{type: ExtensionRef, extensionRef: {group: a.b, kind: C, name: d}}"
BOTH: Final = backend("reviews-v1"), backend("reviews-v2", 0)


def rehearse(tmp_path: Path, texts: list[str], *flags: str) -> Command:
    need_programs()
    mesh = write(tmp_path / "mesh", texts)
    return rehearsed_good(tmp_path, mesh, "--no-prometheus", *QUICK, *RELEASES, *flags)


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
def test_the_weights_of_a_route_are_moved(tmp_path: Path, kind: str) -> None:
    said = rehearse(tmp_path, with_services(api_route(*BOTH, kind=kind)))

    assert_promoted(said)
    assert "curl -H 'Host: reviews.example.com'" in said.out
    steps = ["1", "5", "10", "25", "50", "100"]
    assert re.findall(r"step  (\d+) ", said.out)[: len(steps)] == steps
    assert re.search(r"^clients: \d+ requests, 0 failed$", said.out, re.MULTILINE)


def test_a_route_of_a_service_is_called_from_inside(tmp_path: Path) -> None:
    parents = '{kind: Service, group: "", name: reviews-v1}'

    said = rehearse(tmp_path, with_services(api_route(*BOTH, parents=parents)))

    assert_promoted(said)
    assert "curl -H 'Host: reviews-v1.shop.svc.cluster.local:9080'" in said.out


def test_an_https_listener_has_a_certificate_of_the_rehearsal(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs the program openssl (Debian: apt-get install openssl)")
    hosts = "reviews.example.com, critics.example.com"
    secure = "port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: edge}]}"
    texts = [
        each.replace("port: 80, protocol: HTTP", secure) if "listeners" in each else each
        for each in with_services(api_route(*BOTH, host=hosts))
    ]
    both = [word for host in hosts.split(", ") for word in ("--host", host)]

    said = rehearse(tmp_path, texts, *both)

    assert_promoted(said)
    for host in hosts.split(", "):
        assert re.search(rf"curl --cacert \S+ --resolve {host}:\d+:127.0.0.1", said.out), said.out
    assert re.search(r"^clients: [1-9]\d* requests, 0 failed$", said.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("gatewayClassName: istio", "gatewayClassName: nginx"), "no listener of a Gateway"),
        (
            ("rules: [{", f"rules: [{{filters: [{EXTENSION}], "),
            "not modelled: the filter ExtensionRef",
        ),
    ],
)
def test_what_can_not_be_rehearsed_is_named(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    need_programs()
    texts = [each.replace(*change) for each in with_services(api_route(*BOTH))]

    refused = call("rehearse", write(tmp_path / "mesh", texts), *RELEASES)

    assert refused.code == 2
    assert said in refused.err
