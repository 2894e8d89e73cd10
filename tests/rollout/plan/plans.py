"""Small rollouts in a directory: one VirtualService per step, over the cluster fixture."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.rollout.lint.lint_runner import CLUSTER

RULE: Final = """\
    - name: {name}
{match}\
      retries: {{attempts: 0}}
      route:
{route}"""
DESTINATION: Final = """\
        - {{destination: {{host: kv, port: {{number: 8080}}, subset: {subset}}}, weight: {weight}}}
"""
HEAD: Final = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: kv, namespace: shop}
spec:
  hosts: [kv.example.com, kv]
  gateways: [kv, mesh]
  http:
"""
BETA: Final = "      match: [{headers: {x-variant: {exact: b}}}]\n"
PATHS: Final = '      match: [{uri: {prefix: "/v1/kv/"}}]\n'


def rule(name: str, weights: dict[str, int], match: str = "") -> str:
    route = "".join(DESTINATION.format(subset=s, weight=w) for s, w in weights.items())
    return RULE.format(name=name, match=match, route=route)


def routes(*rules: str) -> str:
    return HEAD + "".join(rules)


def split(canary: int) -> str:
    """Return a step in which every request is given by weight."""
    return routes(rule("all", {"stable": 100 - canary, "canary": canary}))


def write_plan(
    directory: Path, steps: dict[str, str], plan: str = "prerequisites: [cluster.yaml]\n"
) -> str:
    """Write a rollout of these steps and the cluster fixture; return its directory."""
    (directory / "cluster.yaml").write_text(CLUSTER.read_text())
    (directory / "plan.yaml").write_text(plan)
    for name, text in steps.items():
        step = directory / "steps" / name
        step.mkdir(parents=True)
        (step / "routes.yaml").write_text(text)
    return str(directory)
