"""The annotation by which an object is allowed to break a rule."""

from __future__ import annotations

from typing import Final

from ..findings import Severity
from ..rule import Rule

RULES: Final = (
    Rule(
        "allow-unknown-rule",
        Severity.ERROR,
        "the annotation tallykv-rollout/allow names rules that exist and can be allowed",
        allowable=False,
    ),
    Rule(
        "allow-unused",
        Severity.INFO,
        "what an object is allowed to break, it breaks",
        allowable=False,
    ),
)
