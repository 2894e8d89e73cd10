"""Who sends the requests of a rehearsal, and with which tokens."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Final

import pytest
import yaml

from rollout.cli.caller_arguments import add_caller_arguments, caller_of
from rollout.envoy.proxy import Proxy
from tests.rollout.cli.cli_process import assert_promoted
from tests.rollout.cli.cli_runner import call
from tests.rollout.cli.test_rehearse_manifests import SUBSETS, rehearse
from tests.rollout.plan.manifests import routes, subset, with_subsets
from tests.support.certificates import Issuer


def parsed(line: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_caller_arguments(parser)
    return parser.parse_args(shlex.split(line))


@pytest.mark.parametrize(
    ("line", "caller"),
    [
        ("", None),
        ("--caller shop", Proxy.sidecar("shop")),
        ("--caller shop/cart", Proxy.sidecar("shop", {}, "cart")),
        (
            "--caller shop --caller-label app=cart --caller-label example.com/track=",
            Proxy.sidecar("shop", {"app": "cart", "example.com/track": ""}),
        ),
    ],
)
def test_a_caller_has_a_namespace_an_account_and_labels(line: str, caller: Proxy | None) -> None:
    assert caller_of(parsed(line)) == caller


def test_headers_and_keys_are_read(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text("{}")

    found = parsed(f"--header 'Authorization: Bearer a=b' --jwks 'https://a/b?c=d={file}'")

    assert found.headers == [("Authorization", "Bearer a=b")]
    assert found.jwks == [("https://a/b?c=d", "{}")]


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--caller", "Shop", "write it as NAMESPACE or NAMESPACE/ACCOUNT"),
        ("--caller-label", "app", "write it as NAME=VALUE"),
        ("--header", "Authorization", "write it as 'NAME: VALUE'"),
        ("--jwks", "keys.json", "write it as ISSUER=FILE"),
        ("--jwks", "https://a=/nowhere/keys.json", "No such file"),
    ],
)
def test_a_mistake_is_named(flag: str, value: str, said: str) -> None:
    refused = call("rehearse", "p", flag, value)

    assert refused.code == 2
    assert said in refused.err


#: Only ``cart`` may call, and only with a token.
POLICIES: Final = [
    {
        "kind": "AuthorizationPolicy",
        "spec": {
            "rules": [
                {"from": [{"source": {"serviceAccounts": ["cart"], "requestPrincipals": ["*"]}}]}
            ]
        },
    },
    {
        "kind": "RequestAuthentication",
        "spec": {"jwtRules": [{"issuer": "https://a.example.com"}]},
    },
]


def test_a_caller_with_a_token_is_served(tmp_path: Path) -> None:
    issuer = Issuer.named("https://a.example.com")
    keys = tmp_path / "keys.json"
    keys.write_text(issuer.jwks)
    head = {
        "apiVersion": "security.istio.io/v1",
        "metadata": {"name": "cart", "namespace": "shop"},
    }
    policies = [yaml.safe_dump({**head, **each}) for each in POLICIES]
    inside = routes(subset("v1", 1), subset("v2", 0), host="reviews", gateways="mesh")
    flags = [
        *("--caller", "shop/cart", "--header", f"Authorization: Bearer {issuer.token()}"),
        *("--jwks", f"{issuer.name}={keys}"),
    ]

    said = rehearse(tmp_path, [*with_subsets(inside), *policies], *SUBSETS, *flags)

    assert_promoted(said)
    assert "-H 'Authorization: Bearer " in said.out
    assert "clients: " in said.out
    assert ", 0 failed" in said.out
