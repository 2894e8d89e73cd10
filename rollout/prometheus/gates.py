"""Gates that ask Prometheus: a sample within bounds, or a pair of counters of both releases."""

from __future__ import annotations

from ..evidence import Evidence
from ..evidence.objective import Objective
from ..evidence.windows import WindowBuilder, sum_windows
from ..plan.gate_spec import CompareGate, PrometheusGate
from ..runner.gates import Answer, AskGate, GateAnswer, GateFailed, Question
from ..runner.ports import SourceFailed
from .counter_pair import CounterPair
from .query import ReleaseLabel
from .response import parse_response
from .source import PrometheusSource


def threshold_gate(source: PrometheusSource, gate: PrometheusGate) -> AskGate:
    """Return the function that asks for one sample; outside of its bounds it denies."""

    async def ask(_: Question) -> GateAnswer:
        try:
            vector = parse_response(*await source.post("query", query=gate.query)).vector
        except SourceFailed as failed:
            raise GateFailed(str(failed)) from failed
        if len(vector) != 1:
            raise GateFailed(f"the query returned {len(vector)} samples instead of one")
        value = vector[0].value
        low, high = gate.min, gate.max
        # NaN lies within no bounds.
        within = (low is None or value >= low) and (high is None or value <= high)
        named = {"min": low, "max": high}
        bounds = ", ".join(f"{name} {each:g}" for name, each in named.items() if each is not None)
        return GateAnswer(Answer.GO_ON if within else Answer.DENY, f"{value:g}, {bounds}")

    return ask


def counter_pair(gate: CompareGate) -> CounterPair:
    """Return the counters of a gate that compares the releases."""
    label = ReleaseLabel(gate.label.name, gate.label.stable, gate.label.canary)
    return CounterPair(gate.total, gate.bad, gate.good, label)


def compare_gate(source: PrometheusSource, gate: CompareGate) -> AskGate:
    """Return the function that reads the counters, and denies once the canary is proven worse.

    ``source`` reads the counters of ``counter_pair``. The evidence begins with this runner.
    """
    objective = Objective(
        error_ratio=gate.error_ratio, slow_seconds=(), false_rollback=gate.false_rollback
    )
    evidence, windows = Evidence(objective), WindowBuilder(0)

    async def ask(_: Question) -> GateAnswer:
        try:
            found = windows.add(await source.read())
        except SourceFailed as failed:
            raise GateFailed(str(failed)) from failed
        if found:
            evidence.observe(sum_windows(found), None)
        detail = (
            f"harm {evidence.harm:.3g} of {1 / gate.false_rollback:g}; canary"
            f" {evidence.canary.failures} of {evidence.canary.requests} bad, stable"
            f" {evidence.stable.failures} of {evidence.stable.requests}"
        )
        return GateAnswer(Answer.DENY if evidence.harmful else Answer.GO_ON, detail)

    return ask
