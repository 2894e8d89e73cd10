"""The subcommand ``plan``: forecasts a rollout by simulation, before it is run."""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from typing import Any, Final

from ..forecast.forecast import (
    CLEAR,
    GOOD,
    Forecast,
    kinds_of_releases,
    short_steps,
    simulate,
)
from ..forecast.world import Release, canary_share
from ..plan.model import Plan, Strategy
from ..report.formats import duration, percent
from ..runner.decisions import Verdict
from .arguments import add_plan_arguments, load_plan_of
from .exit_codes import UsageError, run_command

NAME: Final = "plan"
_EPILOG: Final = """\
Simulates rollouts with the controller of run, for a good release and for a few kinds of bad ones.
The requests are simulated: independent, at a constant rate. Real traffic is less even, so real
rollouts take longer. Nothing is sent anywhere.

  tallykv-rollout plan istio/canary --rate 50 --errors 0.001
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_plan_arguments(parser)
    parser.add_argument(
        "--rate",
        type=_parse_positive,
        required=True,
        metavar="RATE",
        help="requests per second to both releases together",
    )
    parser.add_argument(
        "--errors",
        type=_parse_ratio,
        default=0.001,
        metavar="RATIO",
        help="ratio of its requests that the stable release fails (default: 0.001)",
    )
    parser.add_argument(
        "--slow",
        type=_parse_ratios,
        metavar="RATIO,…",
        help="ratio of its requests that take longer than each latency threshold of the plan"
        " (default: 0.2, and a tenth of it at each further threshold)",
    )
    parser.add_argument(
        "--simulations",
        type=_parse_count,
        default=200,
        metavar="NUMBER",
        help="simulated rollouts of each kind of release (default: 200)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="NUMBER", help="of the random numbers (default: 1)"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


def run(arguments: argparse.Namespace) -> int:
    """Print the forecast; return 0."""
    return run_command(NAME, _forecast(arguments))


async def _forecast(arguments: argparse.Namespace) -> int:
    plan = (await load_plan_of(arguments)).plan
    if plan.strategy is Strategy.WALK:
        raise UsageError("the strategy walk compares nothing, so there is nothing to forecast")
    edges = plan.objective.slow_seconds
    slow = arguments.slow or tuple(0.2 * 0.1**power for power in range(len(edges)))
    if len(slow) != len(edges) or list(slow) != sorted(slow, reverse=True):
        raise UsageError(
            f"--slow: give {len(edges)} ratios, one for each latency threshold, the largest first"
        )
    stable = Release(arguments.errors, slow)
    forecasts = []
    kinds = kinds_of_releases(plan, stable)
    for index, (kind, canary) in enumerate(kinds.items()):
        outcomes = []
        for number in range(arguments.simulations):
            if sys.stderr.isatty():
                done = (index * arguments.simulations + number) / len(kinds)
                sys.stderr.write(f"\r{done / arguments.simulations * 100:.0f} % simulated ")
            chance = random.Random(f"{arguments.seed} {kind} {number}")
            outcomes.append(await simulate(plan, arguments.rate, stable, canary, chance))
        forecasts.append(Forecast(kind, tuple(outcomes)))
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    found = _describe(plan, arguments.rate, forecasts)
    if arguments.format == "json":
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in _render(plan, arguments, found))
    return 0


def _describe(plan: Plan, rate: float, forecasts: list[Forecast]) -> dict[str, Any]:
    [clear] = [each for each in forecasts if each.kind == CLEAR]
    short = dict(short_steps(plan, forecasts))
    return {
        "plan": plan.name,
        "releases": [
            {
                "kind": each.kind,
                "promoted": each.ratio(Verdict.PROMOTED),
                "rolledBack": each.ratio(Verdict.ROLLED_BACK),
                "inconclusive": each.ratio(Verdict.INCONCLUSIVE),
                "medianSeconds": each.seconds,
                "canaryFailures": {"median": each.failures[0], "ninetyPercent": each.failures[1]},
            }
            for each in forecasts
        ],
        "steps": [
            {
                "name": step.name,
                "canaryRequests": round(rate * canary_share(plan, step) * plan.seconds_at(step)),
                "finds": clear.found_at(number),
                "tooShort": step.name in short,
            }
            for number, step in enumerate(plan.steps)
            if canary_share(plan, step)
        ],
    }


def _render(plan: Plan, arguments: argparse.Namespace, found: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{plan.name}: {arguments.simulations} simulated rollouts of each kind of release, at"
        f" {arguments.rate:g} requests/s, of which the old release fails"
        f" {percent(arguments.errors)}"
    )
    yield ""
    width = max(len(each["kind"]) for each in found["releases"]) + 2
    yield f"{'the new release':{width}}promoted  rolled back  inconclusive  verdict after  failed"
    for each in found["releases"]:
        failed = each["canaryFailures"]
        yield (
            f"{each['kind']:{width}}{percent(each['promoted']):>8}"
            f"  {percent(each['rolledBack']):>11}  {percent(each['inconclusive']):>12}"
            f"  {duration(each['medianSeconds']):>13}"
            f"  {failed['median']:g} ({failed['ninetyPercent']:g})"
        )
    yield ""
    yield "verdict after: median. failed: requests that the new release failed, median (90 %)."
    yield ""
    yield f"{'step':{width}}requests to the new release   finds one that {CLEAR}"
    for step in found["steps"]:
        finds = "not reached" if step["finds"] is None else percent(step["finds"])
        note = "   too short" if step["tooShort"] else ""
        yield f"{step['name']:{width}}{step['canaryRequests']:>27,}   {finds}{note}"
    short = [step["name"] for step in found["steps"] if step["tooShort"]]
    if short:
        yield ""
        yield (
            f"{', '.join(short)}: within stepTime ({duration(plan.step_seconds)}), a release that"
            f" {CLEAR} is more often missed than found, and then gets a larger share"
        )
    good = next(each for each in found["releases"] if each["kind"] == GOOD)
    if good["inconclusive"] > 0.05:
        yield ""
        yield (
            f"{percent(good['inconclusive'])} of the good releases have no verdict at the deadline"
            f" ({duration(plan.deadline_seconds)}): they need more requests, or a longer deadline"
        )


def _parse_positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 100_000:
        raise argparse.ArgumentTypeError(f'"{text}" is no rate: above 0, 100000 at most')
    return value


def _parse_ratio(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is no ratio: 0 to 1')
    return value


def _parse_ratios(text: str) -> tuple[float, ...]:
    return tuple(_parse_ratio(part) for part in text.split(","))


def _parse_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f'"{text}" is no number of simulations: 1 to 100000')
    return int(text)
