"""Rules without a check function: the parser, kustomize and the linter itself report them. Pure."""

from __future__ import annotations

from typing import Final

from ...manifests.field_errors import Reason
from ..findings import Severity
from ..rule import Rule

_ERROR: Final = Severity.ERROR


def _rule(rule_id: str, summary: str, severity: Severity = _ERROR) -> Rule:
    return Rule(rule_id, severity, summary, allowable=False)


RULES: Final = (
    _rule("yaml-invalid", "every file must be valid YAML without duplicate keys"),
    _rule("not-an-object", "every document must be a Kubernetes object"),
    _rule("build-failed", "kustomize must be able to build every kustomization"),
    _rule(
        "kustomize-deprecated",
        "a kustomization should not use deprecated fields",
        Severity.WARNING,
    ),
    _rule("object-twice", "an object must not appear twice in the same input"),
    _rule(
        "not-checked",
        "reports files and objects that the linter can't check",
        Severity.INFO,
    ),
    _rule(
        "not-modelled",
        "reports what is valid in Istio and not interpreted here, and what that leaves unchecked",
        Severity.INFO,
    ),
    _rule(Reason.UNKNOWN_KIND, "the kind and its apiVersion must exist"),
    _rule(Reason.UNKNOWN_FIELD, "every field must exist in its kind"),
    _rule(Reason.MISSING_FIELD, "every required field must be set"),
    _rule(Reason.WRONG_TYPE, "every value must have the type of its field"),
    _rule(Reason.BAD_VALUE, "every value must be one that its field allows"),
    _rule(Reason.BAD_DURATION, "a duration must be written like 1h, 1m, 1s or 1ms"),
    _rule(Reason.BAD_REGEX, "a regular expression must be valid for RE2, which Envoy uses"),
    _rule(Reason.MATCH_KINDS, "a match must have exactly one of exact, prefix and regex"),
    _rule(Reason.NEGATIVE_WEIGHT, "a weight must not be negative"),
    _rule(Reason.ZERO_WEIGHTS, "at least one weight of a route must be above 0"),
    _rule(Reason.ROUTE_ACTIONS, "a route must have exactly one action"),
    _rule(Reason.RETRIES_CONTRADICT, "a route with attempts: 0 must not configure retries"),
    _rule(
        "allow-unknown-rule",
        "the annotation tallykv-rollout/allow must list existing rules that can be allowed",
    ),
    _rule(
        "allow-unused",
        "reports allowed rules that the object does not break",
        Severity.INFO,
    ),
)
