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

#: After a deliberate change, copy the output of print(summary()) here.
GOLDEN: Final = """
ab/1-workloads
ab/9-remove/3-workloads
canary/9-remove/3-workloads
canary/workload
tracks/canary
  Deployment kv-canary
ab/2-subsets
canary/2-subsets
  DestinationRule kv: stable canary
ab/9-remove/1-routes
ab/steps/off
blue-green/9-remove/1-routes
canary/9-remove/1-routes
gateway/routes
microservices/9-remove/1-routes
microservices/steps/whole
mirror/9-remove/1-routes
  VirtualService kv.kv
    reads -> stable 100, retries 2
      GET|HEAD /.+
    writes -> stable 100
ab/9-remove/2-subsets
blue-green/9-remove/2-subsets
canary/9-remove/2-subsets
gateway/subsets
  DestinationRule kv: stable
ab/steps/on
  VirtualService kv.kv
    b-reads -> canary 100, retries 2
      GET|HEAD /.+ x-variant=b
      GET|HEAD /.+ cookie=…(variant=b)…
    b-writes -> canary 100
      x-variant=b
      cookie=…(variant=b)…
    reads -> stable 100, retries 2
      GET|HEAD /.+
    writes -> stable 100
argo-rollouts
judge/argo-rollouts
  Gateway kv
  Service kv kv-metrics redis redis-headless
  Deployment kv
  StatefulSet redis
  Rollout kv
  DestinationRule kv: stable canary
  VirtualService kv.kv
    reads -> stable 100, canary 0, retries 2
      GET|HEAD /.+
    writes -> stable 100, canary 0
argo-rollouts/workload
flagger/workload
  Deployment kv
blue-green/1-workloads
blue-green/9-remove/3-workloads
blue-green/settled
  Deployment kv-blue kv-green
blue-green/2-subsets
  DestinationRule kv: stable blue green
blue-green/blue
tracks/blue
  Deployment kv-blue
blue-green/green
tracks/green
  Deployment kv-green
blue-green/routes
  VirtualService kv.kv
    preview-blue -> blue 100
      x-preview=blue
    preview-green -> green 100
      x-preview=green
    reads -> stable 100, retries 2
      GET|HEAD /.+
    writes -> stable 100
blue-green/steps/blue
  VirtualService kv.kv
    preview-blue -> blue 100
      x-preview=blue
    preview-green -> green 100
      x-preview=green
    reads -> blue 100, retries 2
      GET|HEAD /.+
    writes -> blue 100
blue-green/steps/green
  VirtualService kv.kv
    preview-blue -> blue 100
      x-preview=blue
    preview-green -> green 100
      x-preview=green
    reads -> green 100, retries 2
      GET|HEAD /.+
    writes -> green 100
canary/1-workloads
canary/4-promote
  Deployment kv-canary kv-stable
canary/routes
canary/steps/00
  VirtualService kv.kv
    reads -> stable 100, canary 0, retries 2
      GET|HEAD /.+
    writes -> stable 100, canary 0
canary/steps/01
  VirtualService kv.kv
    reads -> stable 99, canary 1, retries 2
      GET|HEAD /.+
    writes -> stable 99, canary 1
canary/steps/05
  VirtualService kv.kv
    reads -> stable 95, canary 5, retries 2
      GET|HEAD /.+
    writes -> stable 95, canary 5
canary/steps/10
  VirtualService kv.kv
    reads -> stable 90, canary 10, retries 2
      GET|HEAD /.+
    writes -> stable 90, canary 10
canary/steps/100
  VirtualService kv.kv
    reads -> stable 0, canary 100, retries 2
      GET|HEAD /.+
    writes -> stable 0, canary 100
canary/steps/25
  VirtualService kv.kv
    reads -> stable 75, canary 25, retries 2
      GET|HEAD /.+
    writes -> stable 75, canary 25
canary/steps/50
  VirtualService kv.kv
    reads -> stable 50, canary 50, retries 2
      GET|HEAD /.+
    writes -> stable 50, canary 50
canary/steps/98
  VirtualService kv.kv
    reads -> stable 2, canary 98, retries 2
      GET|HEAD /.+
    writes -> stable 2, canary 98
canary/sticky/steps/01
  VirtualService kv.kv
    sticky-canary-reads -> canary 100, retries 2
      GET|HEAD /.+ cookie=…(kv-track=canary)…
    sticky-canary-writes -> canary 100
      cookie=…(kv-track=canary)…
    sticky-stable-reads -> stable 100, retries 2
      GET|HEAD /.+ cookie=…(kv-track=stable)…
    sticky-stable-writes -> stable 100
      cookie=…(kv-track=stable)…
    reads -> stable 99, canary 1, retries 2
      GET|HEAD /.+
    writes -> stable 99, canary 1
canary/sticky/steps/05
  VirtualService kv.kv
    sticky-canary-reads -> canary 100, retries 2
      GET|HEAD /.+ cookie=…(kv-track=canary)…
    sticky-canary-writes -> canary 100
      cookie=…(kv-track=canary)…
    sticky-stable-reads -> stable 100, retries 2
      GET|HEAD /.+ cookie=…(kv-track=stable)…
    sticky-stable-writes -> stable 100
      cookie=…(kv-track=stable)…
    reads -> stable 95, canary 5, retries 2
      GET|HEAD /.+
    writes -> stable 95, canary 5
canary/sticky/steps/10
  VirtualService kv.kv
    sticky-canary-reads -> canary 100, retries 2
      GET|HEAD /.+ cookie=…(kv-track=canary)…
    sticky-canary-writes -> canary 100
      cookie=…(kv-track=canary)…
    sticky-stable-reads -> stable 100, retries 2
      GET|HEAD /.+ cookie=…(kv-track=stable)…
    sticky-stable-writes -> stable 100
      cookie=…(kv-track=stable)…
    reads -> stable 90, canary 10, retries 2
      GET|HEAD /.+
    writes -> stable 90, canary 10
canary/sticky/steps/25
  VirtualService kv.kv
    sticky-canary-reads -> canary 100, retries 2
      GET|HEAD /.+ cookie=…(kv-track=canary)…
    sticky-canary-writes -> canary 100
      cookie=…(kv-track=canary)…
    sticky-stable-reads -> stable 100, retries 2
      GET|HEAD /.+ cookie=…(kv-track=stable)…
    sticky-stable-writes -> stable 100
      cookie=…(kv-track=stable)…
    reads -> stable 75, canary 25, retries 2
      GET|HEAD /.+
    writes -> stable 75, canary 25
canary/sticky/steps/50
  VirtualService kv.kv
    sticky-canary-reads -> canary 100, retries 2
      GET|HEAD /.+ cookie=…(kv-track=canary)…
    sticky-canary-writes -> canary 100
      cookie=…(kv-track=canary)…
    sticky-stable-reads -> stable 100, retries 2
      GET|HEAD /.+ cookie=…(kv-track=stable)…
    sticky-stable-writes -> stable 100
      cookie=…(kv-track=stable)…
    reads -> stable 50, canary 50, retries 2
      GET|HEAD /.+
    writes -> stable 50, canary 50
canary-baseline/1-workloads
  Deployment kv-baseline kv-canary kv-stable
canary-baseline/2-subsets
  DestinationRule kv: stable canary baseline
canary-baseline/routes
canary-baseline/steps/00
  VirtualService kv.kv
    reads -> stable 100, canary 0, baseline 0, retries 2
      GET|HEAD /.+
    writes -> stable 100, canary 0, baseline 0
canary-baseline/steps/01
  VirtualService kv.kv
    reads -> stable 98, canary 1, baseline 1, retries 2
      GET|HEAD /.+
    writes -> stable 98, canary 1, baseline 1
canary-baseline/steps/05
  VirtualService kv.kv
    reads -> stable 90, canary 5, baseline 5, retries 2
      GET|HEAD /.+
    writes -> stable 90, canary 5, baseline 5
canary-baseline/steps/10
  VirtualService kv.kv
    reads -> stable 80, canary 10, baseline 10, retries 2
      GET|HEAD /.+
    writes -> stable 80, canary 10, baseline 10
canary-baseline/steps/100
  VirtualService kv.kv
    reads -> stable 0, canary 100, baseline 0, retries 2
      GET|HEAD /.+
    writes -> stable 0, canary 100, baseline 0
canary-baseline/steps/25
  VirtualService kv.kv
    reads -> stable 50, canary 25, baseline 25, retries 2
      GET|HEAD /.+
    writes -> stable 50, canary 25, baseline 25
canary-baseline/steps/50
  VirtualService kv.kv
    reads -> stable 25, canary 50, baseline 25, retries 2
      GET|HEAD /.+
    writes -> stable 25, canary 50, baseline 25
canary-baseline/steps/98
  VirtualService kv.kv
    reads -> stable 1, canary 98, baseline 1, retries 2
      GET|HEAD /.+
    writes -> stable 1, canary 98, baseline 1
canary-baseline/workload
tracks/baseline
  Deployment kv-baseline
fault/dev/1-subsets
fault/staging/1-subsets
  Gateway kv
  DestinationRule kv: stable
fault/dev/steps/off
  VirtualService kv.kv-dev
    reads -> stable 100, retries 2
      GET|HEAD /.+
    writes -> stable 100
fault/dev/steps/on
  VirtualService kv.kv-dev
    fault-delay -> stable 100, delay 100
      x-fault=delay
    fault-abort -> stable 100, abort 50
      x-fault=abort
    reads -> stable 100, retries 2
      GET|HEAD /.+
    writes -> stable 100
fault/staging/steps/off
  VirtualService kv.kv-staging
    reads -> stable 100, retries 2
      GET|HEAD /.+
    writes -> stable 100
fault/staging/steps/on
  VirtualService kv.kv-staging
    fault-delay -> stable 100, delay 100
      x-fault=delay
    fault-abort -> stable 100, abort 50
      x-fault=abort
    reads -> stable 100, retries 2
      GET|HEAD /.+
    writes -> stable 100
flagger
judge/flagger
  Gateway kv
  Service kv-metrics redis redis-headless
  Deployment kv
  StatefulSet redis
  Canary kv
gateway
  Gateway kv
  Service kv kv-metrics redis redis-headless
  Deployment kv-stable
  StatefulSet redis
  DestinationRule kv: stable
  VirtualService kv.kv
    reads -> stable 100, retries 2
      GET|HEAD /.+
    writes -> stable 100
gateway/listener
gateway-api/2-listener
  Gateway kv
gateway/stable
tracks/stable
  Deployment kv-stable
gateway-api/1-workloads
  Service kv kv-canary kv-metrics kv-stable redis redis-headless
  Deployment kv-canary kv-stable
  StatefulSet redis
  DestinationRule kv-canary: no subsets
  DestinationRule kv-stable: no subsets
gateway-api/ab
  HTTPRoute kv.kv
    -> kv-stable 0, kv-canary 100
      x-variant=b
      cookie=…(variant=b)…
    -> kv-stable 100, kv-canary 0
gateway-api/mirror
  HTTPRoute kv.kv
    -> kv-stable 100, kv-canary 0, mirrors 10 to kv-shadow
      GET /v1
      HEAD /v1
    -> kv-stable 100, kv-canary 0
gateway-api/routes
gateway-api/steps/00
  HTTPRoute kv.kv
    -> kv-stable 100, kv-canary 0
gateway-api/services
  Service kv-canary kv-stable
  DestinationRule kv-canary: no subsets
  DestinationRule kv-stable: no subsets
gateway-api/steps/01
  HTTPRoute kv.kv
    -> kv-stable 99, kv-canary 1
gateway-api/steps/05
  HTTPRoute kv.kv
    -> kv-stable 95, kv-canary 5
gateway-api/steps/10
  HTTPRoute kv.kv
    -> kv-stable 90, kv-canary 10
gateway-api/steps/100
  HTTPRoute kv.kv
    -> kv-stable 0, kv-canary 100
gateway-api/steps/25
  HTTPRoute kv.kv
    -> kv-stable 75, kv-canary 25
gateway-api/steps/50
  HTTPRoute kv.kv
    -> kv-stable 50, kv-canary 50
gateway-api/steps/98
  HTTPRoute kv.kv
    -> kv-stable 2, kv-canary 98
judge/kargo
  PromotionTask kv-proven
microservices/1-workloads
  Service kv-counters kv-entries
  Deployment kv-counters kv-entries
microservices/2-policies
  DestinationRule kv-counters: no subsets
  DestinationRule kv-entries: no subsets
microservices/9-remove/2-workloads
  Service kv-counters kv-entries
  Deployment kv-counters kv-entries
  DestinationRule kv-counters: no subsets
  DestinationRule kv-entries: no subsets
microservices/counters
  Service kv-counters
  Deployment kv-counters
microservices/entries
  Service kv-entries
  Deployment kv-entries
microservices/jwt
mirror/monitor
scopes

microservices/steps/split
  VirtualService kv.kv
    counters-reads -> kv-counters 100, retries 2
      GET|HEAD /v1/counters(/.*)?
    counters-writes -> kv-counters 100
      /v1/counters(/.*)?
    batch -> stable 100
      /v1/batch
    reads -> kv-entries 100, retries 2
      GET|HEAD /.+
    writes -> kv-entries 100
mirror/1-workloads
  Service kv-shadow redis-headless-shadow redis-shadow
  Deployment kv-shadow
  StatefulSet redis-shadow
mirror/2-limits
  DestinationRule kv-shadow: no subsets
mirror/9-remove/2-workloads
  Service kv-shadow redis-headless-shadow redis-shadow
  Deployment kv-shadow
  StatefulSet redis-shadow
  DestinationRule kv-shadow: no subsets
mirror/routes
mirror/steps/00
  VirtualService kv.kv
    reads -> stable 100, mirrors 0, retries 2
      GET|HEAD /.+
    writes -> stable 100
mirror/shadow
  Service kv-shadow
  Deployment kv-shadow
mirror/steps/01
  VirtualService kv.kv
    reads -> stable 100, mirrors 1, retries 2
      GET|HEAD /.+
    writes -> stable 100
mirror/steps/10
  VirtualService kv.kv
    reads -> stable 100, mirrors 10, retries 2
      GET|HEAD /.+
    writes -> stable 100
mirror/steps/100
  VirtualService kv.kv
    reads -> stable 100, mirrors 100, retries 2
      GET|HEAD /.+
    writes -> stable 100
mirror/steps/50
  VirtualService kv.kv
    reads -> stable 100, mirrors 50, retries 2
      GET|HEAD /.+
    writes -> stable 100
mirror/store
  Service redis-headless-shadow redis-shadow
  StatefulSet redis-shadow
shared
  Service kv kv-metrics redis redis-headless
  StatefulSet redis
"""


def test_the_directories_amount_to_what_they_did() -> None:
    assert summary().splitlines() == GOLDEN.strip().splitlines()


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
