"""``diff`` on a real Envoy: every difference, and no other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bench.routing.migrations import MIGRATIONS, Migration
from rollout.probing.callers import view_pairs
from rollout.probing.comparison import confirm
from rollout.probing.comparison_text import groups_of, witness_line
from rollout.probing.mesh import Mesh
from rollout.routing.candidates import find_candidates
from tests.rollout.cli.cli_runner import call
from tests.rollout.envoy.envoy_binary import need_envoy
from tests.rollout.probing.meshes import SHOP, virtual_service, write

OLD: Final = """
- name: tests
  match: [{uri: {prefix: /v1}, headers: {x-variant: {regex: "b.*"}}}]
  route: [{destination: {host: kv, subset: canary}}]
- name: moved
  match: [{uri: {exact: /moved}}]
  redirect: {uri: /here}
- name: rest
  timeout: 7s
  route:
  - {destination: {host: kv, subset: stable}, weight: 90}
  - {destination: {host: kv, subset: canary}, weight: 10}
"""
MOVED, HERE = "kv.example.com/moved", "kv.example.com/here"
REST: Final = "stable 90 %, canary 10 %; timeout none → 7s"
#: Changes of OLD, and the lines that have to be shown for callers outside; nothing else is.
CHANGES: Final = {
    "weights": (
        ("weight: 90", "weight: 75", "weight: 10", "weight: 25"),
        ["GET kv.example.com/: stable 90 %, canary 10 % → stable 75 %, canary 25 %"],
    ),
    "another timeout": (
        ("timeout: 7s", "timeout: 3s"),
        ["GET kv.example.com/: timeout 7s → 3s"],
    ),
    "a narrower prefix": (
        ("prefix: /v1", "prefix: /v1/"),
        [f"GET kv.example.com/v1 with header x-variant: b: canary 100 % → {REST}"],
    ),
    "a regular expression": (
        ('regex: "b.*"', 'regex: "b[0-9]"'),
        [f"GET kv.example.com/v1 with header x-variant: b: canary 100 % → {REST}"],
    ),
    "a redirect": (
        ("uri: /here", "uri: /there"),
        [f"GET {MOVED}: location http://{HERE} → http://kv.example.com/there"],
    ),
    "a missing subset": (
        (
            "- {destination: {host: kv, subset: canary}, weight: 10}",
            "- {destination: {host: kv, subset: next}, weight: 10}",
        ),
        ["GET kv.example.com/: stable 90 %, canary 10 % → stable 90 %, no pod 10 %"],
    ),
    "names only": (("name: tests", "name: testers"), []),
}


def changed(name: str) -> str:
    text = OLD
    words = CHANGES[name][0]
    for before, after in zip(words[::2], words[1::2], strict=True):
        assert before in text
        text = text.replace(before, after)
    return text


@pytest.fixture(scope="module")
def lines() -> dict[str, list[str]]:
    """What is shown for each change and each migration; one Envoy has them all."""
    need_envoy()
    base = (SHOP / "base.yaml").read_text()
    sides = {
        **{name: (documents(base, OLD), documents(base, changed(name))) for name in CHANGES},
        **{each.name: each.sides for each in MIGRATIONS},
    }
    found = [find_candidates(view_pairs(Mesh(old), Mesh(new))) for old, new in sides.values()]
    confirmed = asyncio.run(confirm(found))
    return {
        name: [witness_line(group) for group in groups_of(each)]
        for name, each in zip(sides, confirmed, strict=True)
    }


def documents(base: str, http: str) -> list[dict[str, Any]]:
    texts = (base, virtual_service(http, "[kv.example.com]").replace("[edge, mesh]", "[edge]"))
    return [each for text in texts for each in yaml.safe_load_all(text) if each]


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_shown_with_one_line_for_what_it_does(
    lines: dict[str, list[str]], name: str
) -> None:
    assert lines[name] == CHANGES[name][1]


@pytest.mark.parametrize("migration", MIGRATIONS, ids=lambda each: each.name)
def test_a_migration_is_empty_or_shows_the_difference(
    lines: dict[str, list[str]], migration: Migration
) -> None:
    assert tuple(lines[migration.name]) == migration.differences


def test_what_is_not_imitated_is_reported_and_never_an_empty_difference(tmp_path: Path) -> None:
    patch = """
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: limits, namespace: istio-system}
        spec: {configPatches: []}
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: closed, namespace: shop}
        spec: {}
    """
    write(tmp_path / "new", more_yaml=patch, base_yaml=(SHOP / "base.yaml").read_text())
    write(tmp_path / "old", base_yaml=(SHOP / "base.yaml").read_text())

    result = call("diff", tmp_path / "old", tmp_path / "new", "--format", "markdown")

    assert result.code == 1, result.err
    assert "- EnvoyFilter istio-system/limits is added" in result.out
    assert "- AuthorizationPolicy shop/closed is added" in result.out


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  host: kv\n", "  host: kv\n  trafficPolicy: {outlierDetection: {interval: 5s}}\n"),
        (
            "name: canary, labels: {track: canary}",
            "name: canary, labels: {track: canary}, trafficPolicy: {tls: {mode: DISABLE}}",
        ),
    ],
    ids=["of the host", "of a subset"],
)
def test_a_changed_traffic_policy_is_no_empty_difference(
    tmp_path: Path, before: str, after: str
) -> None:
    need_envoy()
    rules = (SHOP / "rules.yaml").read_text()
    base = (SHOP / "base.yaml").read_text()
    assert before in base
    write(tmp_path / "old", base_yaml=base, rules_yaml=rules)
    write(tmp_path / "new", base_yaml=base.replace(before, after, 1), rules_yaml=rules)

    same = call("diff", tmp_path / "old", tmp_path / "old")
    changed = call("diff", tmp_path / "old", tmp_path / "new")

    assert (same.code, changed.code) == (0, 1), same.err + changed.err
    assert "not compared: DestinationRule shop/kv trafficPolicy is added" in changed.out
