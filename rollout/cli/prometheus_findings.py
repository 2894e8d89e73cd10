"""What a Prometheus lacks for a rollout: the series, the label of the releases, Istio's version."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ..manifests.kinds import ISTIO_VERSION
from ..prometheus.promql import build_selector
from ..prometheus.query import Query
from ..prometheus.response import Response, parse_response
from ..prometheus.source import PrometheusServer, PrometheusSource, open_source
from ..runner.ports import SourceFailed
from .findings import Finding, Health


async def prometheus_findings(server: PrometheusServer, query: Query) -> AsyncIterator[Finding]:
    """Yield what there is and what is missing."""
    async with open_source(server, query) as source:
        try:
            versions = await _ask(source, 'istio_build{component="pilot"}')
        except SourceFailed as failed:
            yield Finding(Health.MISSING, f"{server.url}: {failed}", "give --prometheus URL")
            return
        yield _istio(versions)
        label = query.release_label
        found = await _ask(source, f"count by ({label.name}) ({build_selector(query)})")
        series = _series(query, found)
        yield series
        if series.health is Health.MISSING:
            return
        try:
            await source.read()
        except SourceFailed as failed:
            what, _, remedy = str(failed).partition("; ")
            yield Finding(
                Health.MISSING, what, remedy or "mend it: run would hold each step for it"
            )
        else:
            yield Finding(Health.OK, "the counters of the releases can be read")


async def _ask(source: PrometheusSource, expression: str) -> Response:
    return parse_response(*await source.post("query", query=expression))


def _istio(found: Response) -> Finding:
    tags = sorted({each.labels.get("tag", "unknown") for each in found.vector})
    if not tags:
        return Finding(
            Health.UNKNOWN,
            "Istio's version: Prometheus has no series istio_build of istiod",
            "scrape istiod's port 15014, or see istioctl version",
        )
    said = f"istiod {', '.join(tags)}; lint and rehearse know Istio {ISTIO_VERSION}"
    newer = any(_minor(each) > _minor(ISTIO_VERSION) for each in tags)
    remedy = "look in its release notes for what changed in routes" if newer else ""
    return Finding(Health.UNKNOWN if newer else Health.OK, said, remedy)


def _minor(version: str) -> tuple[int, ...]:
    parts = version.lstrip("v").split(".")[:2]
    return tuple(int(each) for each in parts if each.isdecimal())


def _series(query: Query, found: Response) -> Finding:
    label = query.release_label
    values = {each.labels.get(label.name, "") for each in found.vector}
    if not values:
        return Finding(
            Health.MISSING,
            f"Prometheus has no {query.counter} of this service",
            "send it a request through the mesh, and see that Prometheus scrapes the proxies"
            " (port 15020); with a waypoint, give --reporter waypoint",
        )
    if values == {""}:
        return Finding(
            Health.MISSING,
            f"{query.counter} has no label {label.name}, which tells the releases apart",
            "remove what drops it (a Telemetry's tagOverrides, a metricRelabeling), or name"
            " another with --label",
        )
    lacking = [each for each in (label.stable, label.canary) if each not in values]
    if label.stable in lacking:
        return Finding(
            Health.MISSING,
            f"{label.name} is {', '.join(sorted(filter(None, values)))}, never {label.stable}",
            "name the label and its values with --label",
        )
    if lacking:
        return Finding(
            Health.UNKNOWN,
            f"no request has reached {label.canary} yet",
            "that is as it should be before the first step with a share",
        )
    return Finding(
        Health.OK, f"the label {label.name} tells {label.stable} and {label.canary} apart"
    )
