"""What a rule is: an id, a promise, and a function that looks for what breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .findings import Severity
from .inventory import Inventory
from .subjects import Subject


@dataclass(frozen=True, slots=True)
class Problem:
    """What a rule found: the object, the JSON path in it, what is wrong, what to do."""

    subject: Subject
    path: str
    what: str
    remedy: str


Check = Callable[[Inventory], Iterator[Problem]]
#: Looks at one step of a plan: what the cluster has before it, and what it brings.
StepCheck = Callable[[Inventory, Inventory], Iterator[Problem]]


@dataclass(frozen=True, slots=True)
class Rule:
    """``promise`` says in one line what manifests that pass are free of.

    A rule without a check is reported by whoever reads the manifests: schema, models, kustomize.
    One that is ``allowable`` can be allowed by an object's annotation.
    """

    id: str
    severity: Severity
    promise: str
    check: Check | None = None
    step_check: StepCheck | None = None
    allowable: bool = True
