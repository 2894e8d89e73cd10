"""How often the test of a weight is right on a real Envoy."""

from __future__ import annotations

from rollout.probing.mesh import Mesh
from rollout.probing.probe import probing
from rollout.routing.requests import Request
from rollout.routing.sample_sizes import bounds_for

from .generated import base_documents

_HOSTS = {10: "right.example.com", 20: "wrong.example.com"}


async def measure_weights(count: int) -> tuple[int, int]:
    """Return how many of ``count`` tests of 90/10 pass at 90/10, and how many at 80/20."""
    services = []
    for weight, host in _HOSTS.items():
        destinations = [
            {"destination": {"host": "kv", "subset": name}, "weight": share}
            for name, share in (("stable", 100 - weight), ("canary", weight))
        ]
        services.append(
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "VirtualService",
                "metadata": {"name": f"weight-{weight}", "namespace": "shop"},
                "spec": {"hosts": [host], "gateways": ["edge"], "http": [{"route": destinations}]},
            }
        )
    mesh = Mesh([*base_documents(), *services])
    bounds = bounds_for(90.0)
    passed = []
    async with probing([mesh.view(each) for each in mesh.gateways.values()]) as probe:
        for host in _HOSTS.values():
            request = Request(host=host)
            counts = [await probe.count_clusters(0, request, bounds.requests) for _ in range(count)]
            stable = [sum(n for name, n in each.items() if "|stable|" in name) for each in counts]
            passed.append(sum(map(bounds.allow, stable)))
    return passed[0], passed[1]
