"""A plan as a few flat files: what a runner needs where there is no kustomize and no Git. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from .loading import LoadedPlan
from .plan_file import NAME

_PREREQUISITES: Final = "prerequisites.yaml"
#: The fields of a plan file that name other files, with their deprecated names.
_PATHS: Final = frozenset({"prerequisites", "given", "setup", "make", "steps"})
#: What a Secret or a ConfigMap holds: no plan needs it, and it may be secret.
_CONTENTS: Final = frozenset({"data", "stringData", "binaryData"})


def pack_plan(loaded: LoadedPlan, written: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of the files, by name; ``written`` is the plan file of the plan.

    Loaded from a directory with these files, it is the same plan with the directory's name.
    """
    steps = {
        f"{step.name}.yaml": "---\n".join(_dump(each.document) for each in step.objects)
        for step in loaded.plan.steps
    }
    plan = {
        **{name: value for name, value in written.items() if name not in _PATHS},
        "prerequisites": [_PREREQUISITES],
        "setup": [],
        "steps": list(steps),
    }
    return {
        NAME: _dump(plan),
        _PREREQUISITES: "---\n".join(map(_dump, _documents(loaded))),
        **steps,
    }


def _documents(loaded: LoadedPlan) -> Iterator[Mapping[str, Any]]:
    for each in loaded.resources:
        holds = each.kind in {"Secret", "ConfigMap"}
        yield {
            name: value
            for name, value in each.document.items()
            if not (holds and name in _CONTENTS)
        }


def _dump(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False)
