"""What Flagger or Argo Rollouts would have decided, beside our verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ..lint.argo_rollout import rollouts
from ..lint.flagger_canary import flagger_canaries
from ..lint.resource import Resource
from ..lint.resource_parser import ResourceParser
from ..lint.schemas import Schemas
from ..lint.sources import collect
from ..peers import argo, flagger
from ..plan.loading import resources_of
from ..prometheus.source import PrometheusSource
from ..prometheus.values import read_values
from ..report.formats import timestamp
from ..runner.decisions import Reason
from .exit_codes import UsageError

_AGAINST: Final = (Reason.HARM, Reason.SILENT, Reason.BREACH, Reason.SLOWER)


def load_controllers(directory: str, namespace: str) -> tuple[Resource, ...]:
    """Return the objects of a directory with one Canary or Rollout, or several of them.

    Raise UsageError without any, CouldNotRun if it can't be read.
    """
    parser = ResourceParser(Schemas(None), namespace)
    bundles = collect([directory])
    resources = tuple(each for bundle in bundles for each in resources_of(parser, bundle))
    if not [*rollouts(resources), *flagger_canaries(resources)]:
        raise UsageError(
            f"--beside {directory}: it has no Canary of Flagger and no Rollout of Argo"
        )
    return resources


async def decide_beside(
    resources: Sequence[Resource], source: PrometheusSource, since: float, until: float
) -> list[dict[str, Any]]:
    """Return what each controller decides if the canary gets its first requests at ``since``.

    Raise PlanInvalid for a field that is not known, SourceFailed if Prometheus can't be queried.
    """

    async def ask(promql: str, at: float) -> list[float]:
        return await read_values(source, promql, at)

    found = []
    for canary in flagger_canaries(resources):
        decision = await flagger.decide(canary, resources, ask, since, until)
        found.append((f"Flagger, Canary {canary.resource.name}", decision))
    for rollout in rollouts(resources):
        decision = await argo.decide(rollout, resources, ask, since, until)
        found.append((f"Argo Rollouts, Rollout {rollout.name}", decision))
    return [
        {"who": who, "verdict": each.verdict, "time": each.time, "reason": each.reason}
        for who, each in found
    ]


def our_decision(changes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return our first verdict that a rollout would act on, else the last one."""
    against = next((each for each in changes if each["verdict"] in _AGAINST), None)
    chosen = against or next((each for each in changes if each["verdict"] == Reason.GOOD), None)
    shown = chosen or changes[-1]
    words = {Reason.GOOD.value: "proven"}
    verdict = "rolled back" if against else words.get(shown["verdict"], shown["verdict"])
    return {
        "who": "tallykv-rollout",
        "verdict": verdict,
        "time": shown["time"],
        "reason": shown["reason"],
    }


def render_beside(rows: Sequence[dict[str, Any]], since: float) -> str:
    """Render a line for each; times also as seconds since the canary's first requests."""
    who, verdict = (max(len(each[key]) for each in rows) for key in ("who", "verdict"))
    return "".join(
        f"{each['who']:{who}}  {each['verdict']:{verdict}}  {timestamp(each['time'])}"
        f"  after {each['time'] - since:,.0f} s  {each['reason']}".rstrip()
        + "\n"
        for each in rows
    )
