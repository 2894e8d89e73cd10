"""Match conditions, and the order of routes."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout.envoy.configuration import Resource
from rollout.manifests.http_match import HttpMatch
from rollout.manifests.string_match import compile_regex
from tests.rollout.envoy.example_mesh import (
    CANARY,
    EDGE_GATEWAY,
    KV_MANIFESTS,
    STABLE,
    routes_of,
    translated,
    virtual_hosts,
    virtual_service,
)

TO_KV: Final = "route: [{destination: {host: kv, subset: stable}}]"
CASED: Final = {"case_sensitive": True}
ANY: Final = {"prefix": "/", **CASED}


@pytest.mark.parametrize(
    ("match", "envoy"),
    [
        ("uri: {exact: /a/}", {"path": "/a/", **CASED}),
        ("uri: {prefix: /a}", {"prefix": "/a", **CASED}),
        ("uri: {regex: '/a.*'}", {"safe_regex": {"regex": "/a.*"}, **CASED}),
        ("uri: {prefix: /a}, ignoreUriCase: true", {"prefix": "/a", "case_sensitive": False}),
        (
            "method: {exact: GET}",
            {**ANY, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]},
        ),
        (
            "authority: {prefix: a.}, scheme: {exact: https}",
            {
                **ANY,
                "headers": [
                    {"name": ":authority", "string_match": {"prefix": "a."}},
                    {"name": ":scheme", "string_match": {"exact": "https"}},
                ],
            },
        ),
        (
            "headers: {x-b: {regex: '1|2'}, x-a: {}}",
            {
                **ANY,
                "headers": [
                    {"name": "x-a", "present_match": True},
                    {"name": "x-b", "string_match": {"safe_regex": {"regex": "1|2"}}},
                ],
            },
        ),
        (
            "headers: {x-a: {regex: '*'}}",
            {**ANY, "headers": [{"name": "x-a", "present_match": True}]},
        ),
        (
            "withoutHeaders: {x-a: {exact: '1'}}",
            {
                **ANY,
                "headers": [
                    {
                        "name": "x-a",
                        "string_match": {"exact": "1"},
                        "invert_match": True,
                        "treat_missing_header_as_empty": True,
                    }
                ],
            },
        ),
        (
            "withoutHeaders: {x-a: {}}",
            {**ANY, "headers": [{"name": "x-a", "present_match": True, "invert_match": True}]},
        ),
        (
            "queryParams: {b: {exact: '1'}, a: {}}",
            {
                **ANY,
                "query_parameters": [
                    {"name": "a", "present_match": True},
                    {"name": "b", "string_match": {"exact": "1"}},
                ],
            },
        ),
    ],
)
def test_matches_are_translated(match: str, envoy: dict[str, Any]) -> None:
    route = routes_of(KV_MANIFESTS, virtual_service(f"- match: [{{{match}}}]\n  {TO_KV}"))[0]

    assert route["match"] == envoy


def named(rules: str, host: str = "kv:8080") -> list[str]:
    return [
        each.get("name", "") for each in routes_of(KV_MANIFESTS, virtual_service(rules), host=host)
    ]


def test_each_match_is_a_route_in_the_order_written() -> None:
    rules = f"""
    - name: some
      match: [{{uri: {{exact: /b}}, name: first}}, {{uri: {{exact: /a}}}}]
      {TO_KV}
    - {{name: rest, {TO_KV}}}
    """

    assert named(rules) == ["some.first", "some", "rest"]


@pytest.mark.parametrize(
    "match", ["", "match: [{uri: {prefix: /}}]", "match: [{uri: {regex: '.*'}}]"]
)
def test_routes_after_a_catch_all_are_omitted(match: str) -> None:
    rules = f"- {{name: all, {TO_KV}{', ' if match else ''}{match}}}\n- {{name: late, {TO_KV}}}"

    assert named(rules) == ["all"]


def test_matches_after_a_catch_all_are_omitted() -> None:
    rules = f"""
    - name: all
      match: [{{uri: {{prefix: /}}}}, {{uri: {{exact: /a}}}}]
      {TO_KV}
    """

    assert len(named(rules)) == 1


@pytest.mark.parametrize(
    "match", ["headers: {x-a: {}}", "queryParams: {a: {}}", "uri: {regex: /.*}"]
)
def test_a_match_with_a_condition_is_not_a_catch_all(match: str) -> None:
    rules = f"- {{name: some, match: [{{{match}}}], {TO_KV}}}\n- {{name: rest, {TO_KV}}}"

    assert named(rules) == ["some", "rest"]


def test_a_match_for_a_gateway_does_not_apply_in_the_mesh() -> None:
    rules = f"""
    - {{name: edge, match: [{{gateways: [edge]}}], {TO_KV}}}
    - {{name: mesh, match: [{{gateways: [mesh], uri: {{exact: /a}}}}], {TO_KV}}}
    - {{name: rest, {TO_KV}}}
    """

    configuration = translated(
        KV_MANIFESTS, EDGE_GATEWAY, virtual_service(rules, "[kv.example.com, kv]")
    )

    inside = virtual_hosts(configuration, "mesh")["kv"]["routes"]
    outside = virtual_hosts(configuration, "http.80")["kv.example.com"]["routes"]
    assert [each["name"] for each in inside] == ["mesh", "rest"]
    assert [each["name"] for each in outside] == ["edge"]


def test_a_match_for_a_port_does_not_apply_to_another() -> None:
    rules = f"- {{name: one, match: [{{port: 80}}], {TO_KV}}}\n- {{name: rest, {TO_KV}}}"

    configuration = translated(
        KV_MANIFESTS, EDGE_GATEWAY, virtual_service(rules, "[kv.example.com, kv]")
    )

    inside = virtual_hosts(configuration, "mesh")["kv"]["routes"]
    outside = virtual_hosts(configuration, "http.80")["kv.example.com"]["routes"]
    assert [each["name"] for each in inside] == ["rest"]
    assert [each["name"] for each in outside] == ["one"]


TEXTS: Final = ("/", "/a", "/a/b", "/A")
HEADERS: Final = (None, "1", "2")


def written(*values: str) -> st.SearchStrategy[dict[str, str]]:
    return st.one_of(
        st.sampled_from(values).map(lambda value: {"exact": value}),
        st.sampled_from(values).map(lambda value: {"prefix": value}),
        st.sampled_from([*values, ".*"]).map(lambda value: {"regex": value}),
    )


MATCHES: Final = st.fixed_dictionaries(
    {},
    optional={
        "uri": written(*TEXTS),
        "method": written("GET", "POST"),
        "headers": st.fixed_dictionaries({"x": st.one_of(written("1", "2"), st.just({}))}),
        # Not ".*": Envoy treats a missing header as empty, so it would match.
        "withoutHeaders": st.fixed_dictionaries(
            {"x": st.sampled_from([{"exact": "1"}, {"prefix": "2"}, {"regex": "1|2"}, {}])}
        ),
    },
)


def fits(match: HttpMatch, method: str, path: str, header: str | None) -> bool:
    """Return True if a VirtualService's match applies to a request."""
    return (
        (match.uri is None or match.uri.matches(path))
        and (match.method is None or match.method.matches(method))
        and all(header is not None and each.matches(header) for each in match.headers.values())
        and not any(
            header is not None and each.matches(header) for each in match.without_headers.values()
        )
    )


def envoy_fits(match: Resource, headers: dict[str, str], path: str) -> bool:
    """Return True if an Envoy match applies, according to Envoy's documentation."""
    if "path" in match:
        hit = path == match["path"]
    elif "prefix" in match:
        hit = path.startswith(match["prefix"])
    else:
        hit = bool(compile_regex(match["safe_regex"]["regex"]).fullmatch(path))
    return hit and all(_header_fits(each, headers) for each in match.get("headers", ()))


def _header_fits(each: Resource, headers: dict[str, str]) -> bool:
    inverted = each.get("invert_match", False)
    value = headers.get(each["name"])
    if "present_match" in each:
        return (value is not None) is not inverted
    if value is None:
        if not each.get("treat_missing_header_as_empty"):
            return False
        value = ""
    text = each["string_match"]
    if "exact" in text:
        hit = value == text["exact"]
    elif "prefix" in text:
        hit = value.startswith(text["prefix"])
    else:
        hit = bool(compile_regex(text["safe_regex"]["regex"]).fullmatch(value))
    return hit is not inverted


@given(rules=st.lists(st.lists(MATCHES, max_size=2), min_size=1, max_size=4))
@settings(max_examples=40)
def test_envoy_selects_the_same_rule_as_istio(rules: list[list[dict[str, Any]]]) -> None:
    text = "\n".join(
        f"- {{name: '{index}', match: {json.dumps(match)}, {TO_KV}}}"
        for index, match in enumerate(rules)
    )
    routes = routes_of(KV_MANIFESTS, virtual_service(text))
    meant = [[HttpMatch.model_validate(one) for one in match] or [HttpMatch()] for match in rules]

    for method in ("GET", "POST"):
        for path in TEXTS:
            for header in HEADERS:
                headers = {":method": method, **({} if header is None else {"x": header})}
                picked = [
                    each["name"] for each in routes if envoy_fits(each["match"], headers, path)
                ]
                wanted = [
                    str(index)
                    for index, match in enumerate(meant)
                    if any(fits(one, method, path, header) for one in match)
                ]
                assert picked[:1] == wanted[:1]


def test_both_tracks_are_reached_by_name() -> None:
    rules = """
    - match: [{headers: {x-track: {exact: canary}}}]
      route: [{destination: {host: kv, subset: canary}}]
    - route: [{destination: {host: kv, subset: stable}}]
    """

    first, second = routes_of(KV_MANIFESTS, virtual_service(rules))

    assert first["route"]["cluster"] == CANARY
    assert second["route"]["cluster"] == STABLE
