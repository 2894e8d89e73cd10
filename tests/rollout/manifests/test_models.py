"""The models: durations, string matches, JSON paths, hosts, and field errors."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from rollout.lint.yaml_documents import parse_documents
from rollout.manifests.destination_rule import DestinationRule
from rollout.manifests.field_types import parse_duration
from rollout.manifests.hosts import ServiceName, expand_host, half_qualified, overlap, service_of
from rollout.manifests.parsing import parse_manifest
from rollout.manifests.string_match import Exact, Prefix, Present, Regex
from rollout.manifests.virtual_service import VirtualService
from tests.rollout.lint.lint_runner import FIXTURES

VALID: Final = FIXTURES / "valid"


def read(name: str) -> list[Any]:
    documents = parse_documents((VALID / f"{name}.yaml").read_text())
    return [parse_manifest(document.value).manifest for document in documents]


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("1h", 3_600_000), ("1m30s", 90_000), ("0.5s", 500), ("25ms", 25), ("0s", 0), ("1.5h", 5.4e6)],
)
def test_a_duration_is_parsed(text: str, milliseconds: float) -> None:
    assert parse_duration(text) == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize("text", ["", "5", "5 s", "-1s", "1d", "1us", "s", "0.1ms", 5, None, "1s "])
def test_an_invalid_duration_is_an_error(text: object) -> None:
    with pytest.raises(PydanticCustomError):
        parse_duration(text)


@given(st.integers(0, 10**10))
def test_whole_milliseconds_are_kept(milliseconds: int) -> None:
    assert parse_duration(f"{milliseconds}ms") == timedelta(milliseconds=milliseconds)


def test_a_match_has_one_of_its_kinds() -> None:
    [service] = read("header-and-cookie-routes")
    by_header, by_cookie, by_parameter = service.spec.http[0].match

    assert by_header.headers == {"x-variant": Exact("b"), "x-debug": Present()}
    assert by_header.without_headers == {"x-robot": Present()}
    assert isinstance(by_cookie.headers["cookie"], Regex)
    assert by_parameter.uri == Prefix("/v1/")


@pytest.mark.parametrize(
    ("cookie", "hit"),
    [
        ("variant=b", True),
        ("a=1; variant=b; c=2", True),
        ("variant=bb", False),
        ("xvariant=b", False),
        ("variant=a", False),
    ],
)
def test_a_regex_matches_the_whole_text(cookie: str, hit: bool) -> None:
    assert Regex(r"^(.*?;\s*)?(variant=b)(;.*)?$").matches(cookie) is hit


def test_a_model_knows_its_json_path() -> None:
    [service] = read("weighted-canary")

    assert service.spec.http[1].route[0].json_path("weight") == "spec.http[1].route[0].weight"
    assert service.spec.http[0].retries.json_path("retryOn") == "spec.http[0].retries.retryOn"
    assert service.json_path("metadata", "annotations", "a.b/c") == 'metadata.annotations["a.b/c"]'


def test_models_compare_by_their_fields_not_by_their_paths() -> None:
    [service] = read("weighted-canary")
    first, second = (rule.route[0].destination for rule in service.spec.http)

    assert first == second
    assert first.json_path() != second.json_path()


def test_a_model_can_not_be_changed() -> None:
    [service] = read("weighted-canary")

    with pytest.raises(ValueError, match="frozen"):
        service.spec.http[0].route[0].weight = 50


def test_defaults_are_istio_s() -> None:
    [rule] = read("blue-green")[:1]
    [secure] = read("gateway-with-tls")[1:]

    assert isinstance(rule, DestinationRule)
    assert rule.spec.export_to == ("*",)
    assert isinstance(secure, VirtualService)
    assert secure.gateways == ("shop/secure",)
    assert read("weighted-canary")[0].gateways == ("mesh",)


def test_mirror_and_mirrors_have_the_same_form() -> None:
    [service] = read("mirror-of-reads")
    one, several, _ = service.spec.http

    assert [(to.subset, share) for to, share in one.mirror_destinations] == [("canary", 10.0)]
    assert [(to.subset, share) for to, share in several.mirror_destinations] == [
        ("canary", 0.5),
        ("idle", 0),
    ]


def test_all_field_errors_are_reported_at_once() -> None:
    [document] = parse_documents((VALID / "weighted-canary.yaml").read_text())
    broken = document.value
    broken["spec"]["http"][0]["timeout"] = "soon"
    broken["spec"]["http"][0]["route"][0]["weight"] = -1
    broken["spec"]["http"][1]["retry"] = {}
    broken["spec"]["hostz"] = []

    parsed = parse_manifest(broken)

    assert parsed.manifest is None
    assert [each.path for each in parsed.errors] == [
        "spec.http[0].route[0].weight",
        "spec.http[0].timeout",
        "spec.http[1].retry",
        "spec.hostz",
    ]


def test_the_remedy_names_each_possible_field_once() -> None:
    [document] = parse_documents((VALID / "header-and-cookie-routes.yaml").read_text())
    document.value["spec"]["http"][0]["match"][0]["headers"] = {"x-beta": {"equals": "1"}}

    [error] = parse_manifest(document.value).errors

    assert error.path == "spec.http[0].match[0].headers.x-beta.equals"
    assert error.remedy == "use one of: exact, prefix, regex"


@pytest.mark.parametrize(
    ("written", "qualified"),
    [
        ("mesh", "mesh"),
        ("edge", "shop/edge"),
        ("./edge", "shop/edge"),
        ("outside/edge", "outside/edge"),
        ("edge.outside.svc.cluster.local", "outside/edge"),
    ],
)
def test_gateways_are_named_with_their_namespace(written: str, qualified: str) -> None:
    [service] = read("weighted-canary")

    assert service.qualify(written) == qualified


@pytest.mark.parametrize(
    ("host", "full", "service"),
    [
        ("kv", "kv.shop.svc.cluster.local", ServiceName("shop", "kv")),
        ("kv.other.svc.cluster.local", "kv.other.svc.cluster.local", ServiceName("other", "kv")),
        ("kv.other", "kv.other", None),
        ("example.org", "example.org", None),
        ("*", "*", None),
        ("a.b.c.svc.cluster.local", "a.b.c.svc.cluster.local", None),
    ],
)
def test_short_hosts_are_completed(host: str, full: str, service: ServiceName | None) -> None:
    assert expand_host(host, "shop") == full
    assert service_of(full) == service


def test_a_half_qualified_host_is_recognised() -> None:
    assert half_qualified("kv.shop") == ServiceName("shop", "kv")
    assert half_qualified("kv.shop.svc") == ServiceName("shop", "kv")
    assert half_qualified("kv") is None
    assert half_qualified("api.example.org") is None


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("a.example.com", "*.example.com", True),
        ("*", "a.example.com", True),
        ("*.example.com", "*.a.example.com", True),
        ("a.example.com", "b.example.com", False),
        ("example.com", "*.example.com", False),
    ],
)
def test_hosts_overlap(one: str, other: str, shared: bool) -> None:
    assert overlap(one, other) is overlap(other, one) is shared


@pytest.mark.parametrize(
    ("at", "value", "remedy"),
    [
        ("sha256", "abc", "write 64 of 0-9 and a-f"),
        ("imagePullSecret", "", "it must be a text of 1 or more characters"),
        ("imagePullSecret", "a" * 254, "it must be a text of 253 or fewer characters"),
        (
            "vmConfig.env",
            [{"name": f"A{index}"} for index in range(257)],
            "it must be a list or mapping of 256 or fewer items",
        ),
    ],
)
def test_a_value_of_the_wrong_length_has_a_remedy(at: str, value: object, remedy: str) -> None:
    outer, _, inner = at.partition(".")
    spec = {"url": "oci://example.com/a", outer: {inner: value} if inner else value}
    api = "extensions.istio.io/v1alpha1"
    document = {"apiVersion": api, "kind": "WasmPlugin", "metadata": {"name": "a"}, "spec": spec}

    [error] = parse_manifest(document).errors

    assert (error.reason, error.path, error.remedy) == ("bad-value", f"spec.{at}", remedy)
