"""Assertions on a real Envoy: those that hold pass, and each wrong one fails with its reason."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

import pytest

from tests.rollout.cli.cli_runner import Result, call, call_test
from tests.rollout.envoy.envoy_binary import need_envoy
from tests.rollout.probing.meshes import SHOP, virtual_service, write

RIGHT: Final = SHOP / "right.test.yaml"
WRONG: Final = SHOP / "wrong.test.yaml"


@pytest.fixture(scope="module")
def right() -> Result:
    need_envoy()
    return call_test(RIGHT, "--explain")


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    need_envoy()
    junit = tmp_path_factory.mktemp("junit") / "wrong.xml"
    return call("test", WRONG, "--junit", junit), junit


def test_assertions_that_hold_pass(right: Result) -> None:
    assert right.code == 0, right.out + right.err
    assert "14 of 14 assertions hold; 6 of 7 rules and matches reached" in right.out


def test_the_rule_that_took_a_request_is_explained(right: Result) -> None:
    assert (
        "  not VirtualService shop/kv http[2].match[0] (rewritten): the path /x does not begin with"
        " /api/; the header x-user is absent, and must match a.*\n" in right.out
    )
    assert "  takes it: VirtualService shop/kv http[5] (rest)\n" in right.out


def test_a_match_that_no_assertion_reaches_is_named(right: Result) -> None:
    assert "no assertion reaches VirtualService shop/kv http[1].match[1] (closed)" in right.out


def test_every_wrong_assertion_fails_with_its_line_and_reason(
    wrong: tuple[Result, Path],
) -> None:
    result, junit = wrong
    lines = {
        number: line.partition("  # ")[2]
        for number, line in enumerate(WRONG.read_text().splitlines(), 1)
        if line.startswith("- ")
    }

    assert result.code == 1, result.err
    for number, reason in lines.items():
        place = f"FAILED {WRONG}:{number}: "
        assert place in result.out, reason
        assert reason in result.out.partition(place)[2].partition("FAILED")[0], number
    [suite] = ET.parse(junit).getroot()  # noqa: S314 - written by us
    assert suite.get("failures") == str(len(suite.findall("testcase/failure"))) == str(len(lines))


def test_delegates_callers_ports_wildcards_tls_and_the_gateway_api() -> None:
    need_envoy()

    result = call_test(SHOP.with_name("shapes"), "--full-coverage")

    assert result.code == 0, result.out + result.err
    assert "17 of 17 assertions hold; 13 of 13 rules and matches reached" in result.out
    assert "not imitated: EnvoyFilter istio-system/limits" in result.out


def test_a_virtual_service_alone_can_be_tested_and_full_coverage_demanded(tmp_path: Path) -> None:
    need_envoy()
    rules = """
        - match: [{headers: {end-user: {exact: jason}}}]
          route: [{destination: {host: kv, subset: v2}}]
        - route: [{destination: {host: kv, subset: v1}}]
    """
    suite = """
        tests:
        - {request: GET kv.example.com/, headers: {end-user: jason}, to: v2}
        - {request: GET kv/, from: shop, headers: {end-user: jason}, to: v2}
    """
    write(tmp_path, vs_yaml=virtual_service(rules), a_test_yaml=suite)

    result = call("test", tmp_path, "--full-coverage")

    assert "2 of 2 assertions hold; 1 of 2 rules and matches reached" in result.out, result.err
    assert "assumed: Gateway shop/edge" in result.out
    assert "assumed: DestinationRule shop/kv with the subsets v1, v2" in result.out
    assert result.code == 1
