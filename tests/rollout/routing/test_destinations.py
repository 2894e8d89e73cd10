"""How people name destinations."""

from __future__ import annotations

import pytest

from rollout.routing.destinations import Target, unambiguous

CANARY = Target("kv.shop.svc.cluster.local", "8080", "canary")


@pytest.mark.parametrize(
    "name",
    [
        "canary",
        "/canary",
        "kv",
        "kv/canary",
        "kv.shop",
        "kv.shop.svc/canary",
        "kv:8080",
        "kv.shop:8080/canary",
        "kv.shop.svc.cluster.local:8080/canary",
    ],
)
def test_names_of_a_destination(name: str) -> None:
    assert CANARY.is_named(name)


@pytest.mark.parametrize("name", ["stable", "/kv", "kv/stable", "kv:80", "shop", "kv.other", ""])
def test_names_of_others(name: str) -> None:
    assert not CANARY.is_named(name)


def test_the_shortest_name_that_means_no_other() -> None:
    other = Target("shop.shop.svc.cluster.local", "8080", "canary")

    assert unambiguous(CANARY, [CANARY]) == "canary"
    assert unambiguous(CANARY, [CANARY, other]) == "kv/canary"
