"""A summary of what the directories under istio/ render. Change it only on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.istio.test_routes import Json, named, weights
from tests.support.manifests import kustomizations, of_kind, render

#: The beginning of a cookie's pattern.
AMONG_COOKIES: Final = r"^(.*?;\s*)?("
#: The kinds that route traffic. Other kinds are tested with the components.
TOLD: Final = (
    "Gateway",
    "Service",
    "Deployment",
    "StatefulSet",
    "Rollout",
    "Canary",
    "PromotionTask",
)

#: After a deliberate change, write the output of print(summary()) there.
GOLDEN: Final = Path(__file__).with_name("golden.txt")


def test_the_directories_amount_to_what_they_did() -> None:
    assert summary().splitlines() == GOLDEN.read_text().splitlines()


def summary() -> str:
    """Return each description once, with all directories that have it."""
    alike: dict[str, list[str]] = {}
    for directory in kustomizations("istio"):
        alike.setdefault("\n".join(describe(directory)), []).append(named(directory))
    return "\n".join(line for what, where in alike.items() for line in (*where, what))


def describe(directory: Path) -> Iterator[str]:
    rendered = render(directory)
    for kind in TOLD:
        if names := [each["metadata"]["name"] for each in of_kind(rendered, kind)]:
            yield f"  {kind} {' '.join(names)}"
    for each in of_kind(rendered, "DestinationRule"):
        subsets = [subset["name"] for subset in each["spec"].get("subsets", [])]
        yield f"  DestinationRule {each['metadata']['name']}: {' '.join(subsets) or 'no subsets'}"
    for each in of_kind(rendered, "VirtualService"):
        yield f"  VirtualService {each['metadata']['name']}.{each['metadata']['namespace']}"
        for route in each["spec"]["http"]:
            yield f"    {route['name']} -> {describe_route(route)}"
            yield from (f"      {describe_match(match)}" for match in route.get("match", []))
    for each in of_kind(rendered, "HTTPRoute"):
        yield f"  HTTPRoute {each['metadata']['name']}.{each['metadata']['namespace']}"
        for rule in each["spec"]["rules"]:
            yield f"    -> {describe_rule(rule)}"
            yield from (f"      {describe_rule_match(match)}" for match in rule.get("matches", []))


def describe_route(route: Json) -> str:
    parts = [f"{name} {weight}" for name, weight in weights(route).items()]
    parts += [f"mirrors {each['percentage']['value']}" for each in route.get("mirrors", [])]
    parts += [
        f"{kind} {each['percentage']['value']}" for kind, each in route.get("fault", {}).items()
    ]
    if attempts := route["retries"]["attempts"]:
        parts.append(f"retries {attempts}")
    return ", ".join(parts)


def describe_match(match: Json) -> str:
    parts = [*match.get("method", {}).values(), *match.get("uri", {}).values()]
    for name, wanted in match.get("headers", {}).items():
        parts += [f"{name}={value}" for value in wanted.values()]
    return shortened(" ".join(parts))


def describe_rule(rule: Json) -> str:
    parts = [f"{each['name']} {each['weight']}" for each in rule["backendRefs"]]
    for each in rule.get("filters", []):
        mirror = each["requestMirror"]
        parts.append(f"mirrors {mirror['percent']} to {mirror['backendRef']['name']}")
    return ", ".join(parts)


def describe_rule_match(match: Json) -> str:
    parts = [match["method"]] if "method" in match else []
    parts += [match["path"]["value"]] if "path" in match else []
    parts += [f"{each['name']}={each['value']}" for each in match.get("headers", [])]
    return shortened(" ".join(parts))


def shortened(text: str) -> str:
    return text.replace(AMONG_COOKIES, "…(").replace(")(;.*)?$", ")…")
