"""Route actions: what of a request and its answer changes: headers, host, path; redirects."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.rollout.envoy.example_mesh import (
    ONE,
    action,
    rule,
)


def options(*headers: tuple[str, str, str]) -> list[dict[str, Any]]:
    actions = {"set": "OVERWRITE_IF_EXISTS_OR_ADD", "add": "APPEND_IF_EXISTS_OR_ADD"}
    return [
        {"header": {"key": name, "value": value}, "append_action": actions[how]}
        for how, name, value in headers
    ]


HEADERS: Final = """
  headers:
    request: {set: {x-b: '1', x-a: '2'}, add: {x-c: '3'}, remove: [x-d]}
    response: {add: {x-e: '4'}, remove: [server]}
"""


def test_headers_are_set_added_and_removed() -> None:
    route = rule(ONE + HEADERS)

    assert route["request_headers_to_add"] == options(
        ("set", "x-a", "2"), ("set", "x-b", "1"), ("add", "x-c", "3")
    )
    assert route["request_headers_to_remove"] == ["x-d"]
    assert route["response_headers_to_add"] == options(("add", "x-e", "4"))
    assert route["response_headers_to_remove"] == ["server"]


def test_headers_of_a_single_destination_come_after_the_route_s() -> None:
    text = """
    - route: [{destination: {host: kv}, headers: {request: {set: {x-a: late, host: own}}}}]
      headers: {request: {set: {x-z: early}}}
    """

    route = rule(text)

    assert route["request_headers_to_add"] == options(
        ("set", "x-z", "early"), ("set", "x-a", "late")
    )
    assert route["route"]["host_rewrite_literal"] == "own"


def test_the_route_s_host_counts_before_the_destination_s() -> None:
    text = """
    - route: [{destination: {host: kv}, headers: {request: {set: {host: own}}}}]
      headers: {request: {set: {host: early}}}
    """

    assert action(text)["host_rewrite_literal"] == "early"


def test_headers_of_one_of_several_destinations_are_its_own() -> None:
    text = """
    - route:
        - {destination: {host: kv, subset: stable}, weight: 1, headers: {response: {set: {x: a}}}}
        - {destination: {host: kv, subset: canary}, weight: 1, headers: {request: {set: {Host: b}}}}
    """

    route = rule(text)

    stable, canary = route["route"]["weighted_clusters"]["clusters"]
    assert stable["response_headers_to_add"] == options(("set", "x", "a"))
    assert canary["host_rewrite_literal"] == "b"
    assert "response_headers_to_add" not in route


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("headers: {request: {set: {':authority': a}}}", "a"),
        ("headers: {request: {add: {Host: a}}}", "a"),
    ],
)
def test_the_host_among_headers_is_a_rewrite(text: str, host: str) -> None:
    assert action(f"{ONE}  {text}")["host_rewrite_literal"] == host


@pytest.mark.parametrize(
    ("text", "envoy"),
    [
        ("{uri: /v2/}", {"prefix_rewrite": "/v2/"}),
        ("{authority: inner}", {"host_rewrite_literal": "inner"}),
        (
            "{uriRegexRewrite: {match: '^/v1/(.*)$', rewrite: '/\\1'}}",
            {"regex_rewrite": {"pattern": {"regex": "^/v1/(.*)$"}, "substitution": "/\\1"}},
        ),
    ],
)
def test_rewrites_are_translated(text: str, envoy: dict[str, Any]) -> None:
    assert envoy.items() <= action(f"{ONE}  rewrite: {text}").items()


@pytest.mark.parametrize(
    ("text", "envoy"),
    [
        ("{uri: /new}", {"path_redirect": "/new", "response_code": "MOVED_PERMANENTLY"}),
        (
            "{authority: b, redirectCode: 307}",
            {"host_redirect": "b", "response_code": "TEMPORARY_REDIRECT"},
        ),
        (
            "{scheme: https, redirectCode: 308}",
            {"scheme_redirect": "https", "response_code": "PERMANENT_REDIRECT"},
        ),
        ("{port: 8443, redirectCode: 302}", {"port_redirect": 8443, "response_code": "FOUND"}),
        (
            "{uri: /, port: 80, redirectCode: 303}",
            {"path_redirect": "/", "response_code": "SEE_OTHER"},
        ),
        (
            "{scheme: https, port: 443}",
            {"scheme_redirect": "https", "response_code": "MOVED_PERMANENTLY"},
        ),
        (
            "{derivePort: FROM_REQUEST_PORT}",
            {"port_redirect": 8080, "response_code": "MOVED_PERMANENTLY"},
        ),
    ],
)
def test_a_redirect_says_only_what_changes(text: str, envoy: dict[str, Any]) -> None:
    assert rule(f"- redirect: {text}")["redirect"] == envoy
