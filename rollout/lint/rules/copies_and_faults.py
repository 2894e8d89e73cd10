"""Copies of requests, and faults on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..findings import Severity
from ..inventory import Inventory
from ..reach import reach
from ..rule import Problem, Rule


def mirrored_writes(inventory: Inventory) -> Iterator[Problem]:
    for subject, service in inventory.virtual_services():
        for reached in reach(service):
            writes = ", ".join(sorted(reached.writes))
            for destination, share in reached.route.mirroring:
                if writes and share:
                    yield Problem(
                        subject,
                        destination.at(),
                        f"{writes} can get here, and {share:g} % of them are sent to"
                        f' "{destination.host}" as well: with one store behind both,'
                        " they are applied twice",
                        "mirror a rule for GET and HEAD only; if the mirror has a store of its"
                        " own, allow it",
                    )


def without_percentage(inventory: Inventory) -> Iterator[Problem]:
    for subject, service in inventory.virtual_services():
        for route in service.spec.http:
            fault = route.fault
            for one in (fault.delay, fault.abort) if fault else ():
                if one is not None and one.percentage is None:
                    yield Problem(
                        subject,
                        one.at(),
                        "without a percentage the fault hits no request at all",
                        "add percentage: {value: …}",
                    )


RULES: Final = (
    Rule(
        "mirrored-writes",
        Severity.ERROR,
        "no write is mirrored; to be allowed only for a mirror with a store of its own",
        mirrored_writes,
    ),
    Rule(
        "fault-without-percentage",
        Severity.WARNING,
        "every fault says how many requests it hits",
        without_percentage,
    ),
)
