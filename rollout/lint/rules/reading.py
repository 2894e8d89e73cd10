"""What keeps a manifest from being read: YAML, kustomize, schemas, models."""

from __future__ import annotations

from typing import Final

from ...manifests.refusals import Reason
from ..findings import Severity
from ..rule import Rule

ERROR: Final = Severity.ERROR


def _refused(reason: Reason, promise: str) -> Rule:
    return Rule(reason.value, ERROR, promise, allowable=False)


RULES: Final = (
    Rule("yaml-invalid", ERROR, "every file is YAML, no key stands twice", allowable=False),
    Rule("not-an-object", ERROR, "all that is given is an object", allowable=False),
    Rule("build-failed", ERROR, "kustomize builds every directory", allowable=False),
    Rule(
        "kustomize-deprecated",
        Severity.WARNING,
        "nothing is used that kustomize will drop",
        allowable=False,
    ),
    Rule("object-twice", ERROR, "no object is given twice", allowable=False),
    Rule(
        "not-checked",
        Severity.INFO,
        "the schema of every kind is known here, and every file is a manifest",
        allowable=False,
    ),
    _refused(Reason.UNKNOWN_KIND, "kind and apiVersion exist"),
    Rule("unsupported-kind", ERROR, "no kind of Istio's that is not supported"),
    _refused(Reason.UNKNOWN_FIELD, "every field exists"),
    Rule("unsupported-field", ERROR, "no field of Istio's that is not supported"),
    Rule("unsupported-value", ERROR, "no value of Istio's that is not supported"),
    _refused(Reason.MISSING_FIELD, "no required field is missing"),
    _refused(Reason.WRONG_TYPE, "every value is of its field's type"),
    _refused(Reason.BAD_VALUE, "every value is one that its field allows"),
    _refused(Reason.BAD_DURATION, "durations are written as 1h, 1m, 1s or 1ms"),
    _refused(Reason.BAD_REGEX, "RE2 takes every pattern"),
    _refused(Reason.MATCH_KINDS, "a match is one of exact, prefix and regex"),
    _refused(Reason.NEGATIVE_WEIGHT, "no weight is negative"),
    _refused(Reason.ZERO_WEIGHTS, "some destination of a route has a weight"),
    _refused(Reason.ROUTE_ACTIONS, "one thing becomes of a request"),
    _refused(Reason.RETRIES_CONTRADICT, "no retries are described and switched off"),
)
