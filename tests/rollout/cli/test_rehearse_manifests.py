"""``rehearse`` of manifests that have no steps: what people have."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.rollout.cli.cli_process import Command, assert_promoted, finished, rehearsed_good
from tests.rollout.cli.cli_runner import call
from tests.rollout.cli.example_service import write_rollout
from tests.rollout.cli.test_rehearse import ANOTHER, COMMAND, QUICK, UNHURRIED
from tests.rollout.plan.manifests import (
    routes,
    service,
    subset,
    with_services,
    with_subsets,
    write,
)
from tests.rollout.rehearsal.plans import need_programs

SUBSETS: Final = ["--stable", "v1", "--canary", "v2"]
SERVICES: Final = ["--stable", "reviews-v1", "--canary", "reviews-v2"]


def rehearse(tmp_path: Path, texts: list[str], *flags: str) -> Command:
    need_programs()
    mesh = write(tmp_path / "mesh", texts)
    return rehearsed_good(tmp_path, mesh, "--no-prometheus", *QUICK, *flags)


@pytest.mark.parametrize(
    ("texts", "releases"),
    [
        (with_subsets(routes(subset("v1", 90), subset("v2", 10))), SUBSETS),
        (with_services(routes(service("reviews-v1", 1), service("reviews-v2", 0))), SERVICES),
    ],
    ids=["subsets", "services"],
)
def test_the_weights_of_both_releases_are_moved(
    tmp_path: Path, texts: list[str], releases: list[str]
) -> None:
    said = rehearse(tmp_path, texts, *releases, *ANOTHER)

    assert_promoted(said)
    assert "curl -H 'Host: reviews.example.com'" in said.out
    steps = ["1", "5", "10", "25", "50", "100"]
    assert re.findall(r"step  (\d+) ", said.out)[: len(steps)] == steps
    assert re.search(r"^clients: \d+ requests, 0 failed$", said.out, re.MULTILINE)


def test_a_virtual_service_of_the_mesh_is_called_from_inside(tmp_path: Path) -> None:
    inside = routes(subset("v1", 1), subset("v2", 0), host="reviews", gateways="mesh")
    report = tmp_path / "report"

    said = rehearse(tmp_path, with_subsets(inside), *SUBSETS, *ANOTHER, "--report", str(report))

    assert_promoted(said)
    assert "curl -H 'Host: reviews.shop.svc.cluster.local:9080'" in said.out
    notes = (report / "report.html").read_text()
    assert "a caller inside the mesh, in namespace shop" in notes
    assert "through the gateway" not in notes


def test_without_a_command_the_releases_are_stubs(tmp_path: Path) -> None:
    by_path = routes(subset("v1", 1), subset("v2", 0)).replace(
        "- retries", "- match: [{uri: {prefix: /reviews}}]\n      retries"
    )

    said = rehearse(tmp_path, with_subsets(by_path), *SUBSETS)

    assert_promoted(said)
    assert re.search(r"^clients: \d+ requests, 0 failed$", said.out, re.MULTILINE)


def test_tls_at_the_gateway_has_a_certificate_for_all_hosts(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs the program openssl (Debian: apt-get install openssl)")
    hosts = "reviews.example.com, critics.example.com"
    texts = with_subsets(routes(subset("v1", 1), subset("v2", 0), host=hosts))
    texts[0] = (
        texts[0]
        .replace("number: 80, name: http, protocol: HTTP", "number: 443, name: s, protocol: HTTPS")
        .replace('["*"]}', '["*.example.com"], tls: {mode: SIMPLE, credentialName: edge}}')
    )
    both = [word for host in hosts.split(", ") for word in ("--host", host)]
    report = tmp_path / "report"

    said = rehearse(tmp_path, texts, *SUBSETS, *both, "--report", str(report))

    assert_promoted(said)
    for word, host in zip(("up in .* s:", "or"), hosts.split(", "), strict=True):
        curl = rf"curl --cacert \S+/gateway.pem --resolve {host}:(\d+):127.0.0.1 https://{host}:\1/"
        assert re.search(rf"^{word} {curl}$", said.out, re.MULTILINE), said.out
    assert re.search(r"^clients: [1-9]\d* requests, 0 failed$", said.out, re.MULTILINE)
    assert "certificates of the rehearsal replace" in (report / "report.html").read_text()


def test_a_host_that_is_not_there_is_named(tmp_path: Path) -> None:
    mesh = write(tmp_path / "mesh", with_subsets(routes(subset("v1", 90), subset("v2", 10))))
    need_programs()

    refused = call("rehearse", mesh, *SUBSETS, "--host", "other.example.com")

    assert refused.code == 2
    assert "has other.example.com at a port for HTTP" in refused.err


def test_a_release_that_is_a_service_is_rolled_back(tmp_path: Path) -> None:
    texts = with_services(routes(service("reviews-v1", 1), service("reviews-v2", 0)))
    broken = ["--canary-command", "python -m http.server --bind 127.0.0.1 $PORT"]

    said = rehearse(tmp_path, texts, *SERVICES, *ANOTHER[:2], *broken, "--request", "POST /")

    assert said.process.returncode == 1, said.out + said.err
    assert "rolled back  0 (0 % to the canary)  harm" in said.out


def test_a_command_in_the_old_flags_is_still_taken_with_a_warning(tmp_path: Path) -> None:
    need_programs()
    plan = write_rollout(tmp_path / "rollout", "shop", UNHURRIED)
    old = ["--stable", COMMAND, "--canary", COMMAND, "--request", "GET /"]

    said = finished(tmp_path, "rehearse", plan, "--no-prometheus", *QUICK, *old)

    assert said.process.returncode == 0, said.out + said.err
    assert said.err.splitlines() == [
        f"warning: --{arm} takes the name of a subset or a Service; give the command with"
        f" --{arm}-command"
        for arm in ("stable", "canary")
    ]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--stable", "v1"], "--canary is missing; name both releases"),
        (["--stable", "v1", "--canary", "v9"], "no subset and no Service is called v9"),
        ([*SUBSETS, "--virtual-service", "no"], "no has no route to both v1 and v2"),
        ([], "name the releases with --stable and --canary"),
    ],
)
def test_what_can_not_be_is_named(tmp_path: Path, flags: list[str], said: str) -> None:
    mesh = write(tmp_path / "mesh", with_subsets(routes(subset("v1", 90), subset("v2", 10))))

    refused = call("rehearse", mesh, *flags)

    assert refused.code == 2
    assert said in refused.err


def test_a_plan_names_its_releases_itself(tmp_path: Path) -> None:
    plan = write_rollout(tmp_path / "rollout", "shop")

    refused = call("rehearse", plan, "--stable", "canary")

    assert refused.code == 2
    assert (
        "--stable canary: the directory has a plan, whose stable release is stable" in refused.err
    )
