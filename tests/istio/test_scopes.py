"""istio/scopes on a real Envoy: a token's claim says which requests are let in."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from rollout.rehearsal.rehearsal import Rehearsal
from tests.rollout.rehearsal.derived import OPTIONS, rehearsed, status
from tests.support.certificates import Issuer
from tests.support.manifests import ROOT
from tests.support.raw_http import exchange

POLICIES: Final = ROOT / "istio" / "scopes" / "policies.yaml"
README: Final = POLICIES.with_name("README.md")
ISSUER: Final = "https://issuer.example.com"
ALL: Final = ("read", "write", "delete")
#: Each request, and the scopes that let it in only together.
NEEDED: Final = {
    ("GET", "/v1/kv/a"): {"read"},
    ("GET", "/v1/kv?prefix=a"): {"read"},
    ("GET", "/"): {"read", "write"},
    ("PUT", "/v1/kv/a"): {"write"},
    ("PATCH", "/v1/kv/a"): {"write"},
    ("POST", "/v1/counters/c/increments"): {"write"},
    ("OPTIONS", "/v1/kv/a"): {"write"},
    ("DELETE", "/v1/kv/a"): {"delete"},
    ("POST", "/v1/batch"): {"read", "write", "delete"},
    ("POST", "/v1/batch?x"): {"read", "write", "delete"},
}
CLAIMS: Final[tuple[Any, ...]] = (
    *ALL, "read write", "write delete", "read write delete", ["read", "delete"], "reader", "", None,
)  # fmt: skip


#: Paths, and whether the rule of the team team-a lets them through.
OF_A_TEAM: Final = {
    "/v1/kv/team-a/x": True,
    "/v1/kv/team-a/deep/z": True,
    "/v1/counters/team-a:n": True,
    "/v1/kv/team-b/x": False,
    "/v1/kv/team-a": False,
    "/v1/kv/team-ab/x": False,
    "/v1/kv/Team-a/x": False,
    "/v1/kv/%74eam-a/x": True,  # Envoy decodes letters
    "/v1/kv/%74eam-b/x": False,
    "/v1/kv/team-a%2Fx": False,  # and no slashes
    "/v1/kv/team-b%2Fteam-a%2Fx": False,
    "/v1/kv/team-a/../team-b/x": False,
    "/v1/kv/team-a/%2E%2E/team-b/x": False,
    "/v1/counters/team-b:n": False,
    "/v1/kv?prefix=team-a/": False,
    "/team-a/x": False,
    "/v1/batch": False,
}


def policies(*rules: Any) -> list[str]:
    """Return the policies for the pods of the rehearsal: other labels, namespace and port.

    With ``rules`` after those of the scopes.
    """
    texts = []
    for each in yaml.safe_load_all(POLICIES.read_text()):
        each["spec"].get("rules", []).extend(rules)
        each["metadata"]["namespace"] = "shop"
        del each["spec"]["selector"]
        texts.append(yaml.safe_dump(each).replace("'8080'", "'9080'"))
    return texts


def granted(claim: Any) -> set[str]:
    return set(claim.split() if isinstance(claim, str) else claim or ())


@pytest.mark.asyncio
async def test_a_claim_lets_in_what_it_names(tmp_path: Path) -> None:
    issuer = Issuer.named(ISSUER)
    options = replace(OPTIONS, keys={f"{ISSUER}/.well-known/jwks.json": issuer.jwks})
    async with rehearsed(tmp_path, *policies(), options=options) as running:
        for claim in CLAIMS:
            claims = {} if claim is None else {"scope": claim}
            token = issuer.token(aud="tallykv", **claims)
            for (method, path), needed in NEEDED.items():
                got = await status(running, path, method, Authorization=f"Bearer {token}")

                assert got == (200 if needed <= granted(claim) else 403), (claim, method, path)

        foreign = issuer.token(aud="another", scope="read write delete")
        assert await status(running, "/v1/kv/a", Authorization=f"Bearer {foreign}") == 403
        assert await status(running, "/v1/kv/a", Authorization="Bearer nonsense") == 401
        assert await status(running, "/v1/kv/a") == 403


async def status_of_raw(running: Rehearsal, path: str, token: str) -> int:
    """Return the status of a path that no client library has cleaned."""
    entrance = running.entrances[0]
    headers = {"Host": "localhost", **entrance.headers, "Authorization": f"Bearer {token}"}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    port = int(entrance.url.rpartition(":")[2].strip("/"))
    return (await exchange(port, "\r\n".join([*lines, "", ""]))).status


@pytest.mark.asyncio
async def test_a_rule_for_a_team_binds_its_tokens_to_its_prefix(tmp_path: Path) -> None:
    issuer = Issuer.named(ISSUER)
    options = replace(OPTIONS, keys={f"{ISSUER}/.well-known/jwks.json": issuer.jwks})
    [written] = re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
    every = {"aud": "tallykv", "scope": "read write delete"}
    async with rehearsed(tmp_path, *policies(*yaml.safe_load(written)), options=options) as running:
        for team, bound in (("team-a", True), ("team-b", False)):
            token = issuer.token(**every, team=team)
            for path, is_covered in OF_A_TEAM.items():
                got = await status_of_raw(running, path, token)

                assert got == (200 if is_covered or not bound else 403), (team, path)
