"""Pairs of routes: each that a request can meet has one, and the routes take it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from rollout.routing.evaluation import chosen_route
from rollout.routing.request_classes import pair_classes
from rollout.routing.requests import Request

PATHS = ["/", "/a", "/a/", "/a/b", "/A", "/ax", "/b", "/a/b.png"]
VALUES = [None, "b", "beta", "canary"]


def random_match(chance: random.Random) -> dict[str, Any]:
    path: dict[str, Any] = chance.choice(
        [
            {"prefix": chance.choice(PATHS)},
            {"path": chance.choice(PATHS)},
            {"path_separated_prefix": "/a"},
            {"safe_regex": {"regex": chance.choice([r"/a/.*", r".*\.png", r"/[ab]"])}},
        ]
    )
    headers = [
        {"name": name, **chance.choice(HEADERS)} for name in ("h", "k") if chance.random() < 0.4
    ]
    methods = [{"name": ":method", "string_match": {"exact": "GET"}}]
    found = {**path, "case_sensitive": chance.random() < 0.8}
    return {**found, "headers": headers + (methods if chance.random() < 0.3 else [])}


HEADERS: list[dict[str, Any]] = [
    {"string_match": {"exact": "b"}},
    {"string_match": {"prefix": "b"}},
    {"string_match": {"safe_regex": {"regex": "b.*|canary"}}},
    {"present_match": True},
    {"present_match": True, "invert_match": True},
    {
        "string_match": {"exact": "b"},
        "invert_match": True,
        "treat_missing_header_as_empty": True,
    },
]


@pytest.mark.parametrize("seed", range(20))
def test_every_pair_of_routes_that_some_request_meets_is_found(seed: int) -> None:
    chance = random.Random(seed)
    sides = [[{"match": random_match(chance)} for _ in range(4)] for _ in range(2)]

    def taken(request: Request) -> tuple[int | None, ...]:
        found = [chosen_route({"routes": side}, request) for side in sides]
        return tuple(None if each is None else each[0] for each in found)

    classes = pair_classes(sides[0], sides[1], Request(host="h"), tls=False).classes

    known = {(each.old, each.new) for each in classes}
    for each in classes:
        assert {taken(one) for one in each.witnesses} == {(each.old, each.new)}
    for path in PATHS:
        for one in VALUES:
            for other in VALUES:
                for method in ("GET", "POST"):
                    headers = [(name, each) for name, each in (("h", one), ("k", other)) if each]
                    request = Request(method, "h", path, tuple(headers))
                    assert taken(request) in known, request


def test_the_value_of_a_parameter_may_have_an_equals_sign() -> None:
    match = {"string_match": {"exact": "canary=1"}, "name": "debug"}
    routes = [{"match": {"prefix": "/", "query_parameters": [match]}}]

    classes = pair_classes(routes, [], Request(host="h"), tls=False).classes

    assert [each.witnesses[0].path for each in classes if each.old == 0] == ["/?debug=canary=1"]
