"""Which requests reach a route: the analysis must never call a reachable route unreachable."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.lint.reachability import METHODS, OTHER, reachable_routes, unmatched_methods
from rollout.manifests.http_match import HttpMatch
from rollout.manifests.parsing import parse_manifest
from rollout.manifests.string_match import Prefix, ValueMatch
from rollout.manifests.virtual_service import VirtualService

ROUTE: Final = [{"destination": {"host": "kv"}}]
PATHS: Final = ("/", "/a", "/a/b", "/ab", "/A/b", "/b")
HEADERS: Final = (None, "1", "2")


def service(*matches: list[dict[str, Any]]) -> VirtualService:
    parsed = parse_manifest(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": "kv"},
            "spec": {
                "hosts": ["kv"],
                "http": [{"match": match, "route": ROUTE} for match in matches],
            },
        }
    )
    assert isinstance(parsed.manifest, VirtualService), parsed.errors
    return parsed.manifest


def writes(*matches: list[dict[str, Any]]) -> list[set[str]]:
    return [set(reachable.writes) for reachable in reachable_routes(service(*matches))]


def test_writes_matched_above_do_not_reach_the_routes_below() -> None:
    assert writes([{"method": {"regex": "POST|PUT|PATCH|DELETE"}}], []) == [
        {"POST", "PUT", "PATCH", "DELETE"},
        set(),
    ]


def test_writes_matched_above_for_one_path_reach_the_routes_below_for_other_paths() -> None:
    assert writes([{"method": {"exact": "POST"}, "uri": {"prefix": "/a/"}}], [])[1] == {
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
    }


def test_a_route_for_one_gateway_takes_no_requests_of_another() -> None:
    both = service([{"gateways": ["edge"]}], [{"gateways": ["mesh"]}])

    assert [bool(reachable.matches[0].methods) for reachable in reachable_routes(both)] == [
        True,
        True,
    ]


def test_what_no_route_matches_is_unmatched() -> None:
    reads = service([{"method": {"regex": "GET|HEAD"}}])

    assert unmatched_methods(reads, "mesh") == METHODS - {"GET", "HEAD"}
    assert unmatched_methods(service([]), "mesh") == set()
    assert unmatched_methods(service([{"uri": {"regex": "/.*"}}]), "mesh") == set()


def texts(*values: str) -> st.SearchStrategy[dict[str, str]]:
    return st.one_of(
        st.sampled_from(values).map(lambda value: {"exact": value}),
        st.sampled_from(values).map(lambda value: {"prefix": value}),
        st.sampled_from([*values, ".*", "/.*"]).map(lambda value: {"regex": value}),
    )


MATCH: Final = st.fixed_dictionaries(
    {},
    optional={
        "uri": texts(*PATHS),
        "ignoreUriCase": st.booleans(),
        "method": texts("GET", "POST", "PURGE", "P"),
        "headers": st.fixed_dictionaries({"x": st.one_of(texts("1", "2"), st.just({}))}),
        "withoutHeaders": st.fixed_dictionaries({"x": st.one_of(texts("1", "2"), st.just({}))}),
    },
)


def is_matched(match: HttpMatch, method: str, path: str, header: str | None) -> bool:
    """Match a request as Envoy does."""
    return (
        _path_is_matched(match, path)
        and (match.method is None or match.method.matches(method))
        and all(header is not None and it.matches(header) for it in match.headers.values())
        and not any(
            header is not None and it.matches(header) for it in match.without_headers.values()
        )
    )


def _path_is_matched(match: HttpMatch, path: str) -> bool:
    if match.uri is None:
        return True
    if match.ignore_uri_case and not _is_regex(match.uri):
        lowered: ValueMatch = type(match.uri)(match.uri.value.lower())  # type: ignore[union-attr]
        return lowered.matches(path.lower())
    return match.uri.matches(path)


def _is_regex(match: ValueMatch) -> bool:
    return hasattr(match, "pattern")


@given(rules=st.lists(st.lists(MATCH, max_size=2), min_size=1, max_size=4))
def test_whatever_reaches_a_route_is_reported_as_reaching_it(
    rules: list[list[dict[str, Any]]],
) -> None:
    routed = service(*rules)
    reachable = list(reachable_routes(routed))
    unmatched = unmatched_methods(routed, "mesh")

    for method in ("GET", "POST", "PURGE"):
        name = method if method in METHODS else OTHER
        for path in PATHS:
            for header in HEADERS:
                for each in reachable:
                    matches = list(each.route.match) or [HttpMatch()]
                    hit = [
                        index
                        for index, one in enumerate(matches)
                        if is_matched(one, method, path, header)
                    ]
                    if hit:
                        assert name in each.matches[hit[0]].methods
                        break
                else:
                    assert name in unmatched


@pytest.mark.parametrize("prefix", ["/", "/v1/"])
def test_equal_matches_compare_equal(prefix: str) -> None:
    assert Prefix(prefix) == Prefix(prefix)
    assert Prefix(prefix) != Prefix(prefix + "x")
