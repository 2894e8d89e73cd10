"""The list of all lint rules. To find a rule, search its id in this folder. Pure.

How to add a rule:

1. Write one check function in the module of its theme. It gets a LintContext and yields a Problem
   for each place that breaks the rule. ``weights.py`` is a short example.
2. Append a ``Rule`` (id, severity, summary, function) to ``RULES`` at the end of that module. A new
   module must be listed below.
3. Add a manifest with exactly this defect to ``tests/rollout/lint/fixtures/bad/``. Its first line
   names the finding: ``# expect: RULE-ID KIND NAMESPACE/NAME JSON-PATH``. A test fails if a rule
   has no such fixture.
4. Mark the correction in it: lines that end with ``#-`` are left out of the corrected manifest, and
   lines that begin with ``#+`` are in it only. A test fails if the linter reports an error or a
   warning for it. The documentation shows both.
5. Add a row to ``docs/reference/lint-rules.md``.
"""

from __future__ import annotations

from typing import Final

from ..rule import Rule
from . import (
    argo,
    conflicts,
    flagger,
    gateway_api,
    gateway_servers,
    gateways,
    hosts,
    mutual_tls,
    outlier_detection,
    ports,
    protocols,
    reach,
    retries_and_mirrors,
    routes,
    sidecars,
    steps,
    subsets,
    validation,
    weights,
    weights_reach,
    workloads,
)

#: In the order of ``tallykv-rollout lint --rules``.
RULES: Final[tuple[Rule, ...]] = (
    *validation.RULES,
    *hosts.RULES,
    *reach.RULES,
    *sidecars.RULES,
    *ports.RULES,
    *protocols.RULES,
    *mutual_tls.RULES,
    *subsets.RULES,
    *workloads.RULES,
    *weights_reach.RULES,
    *weights.RULES,
    *routes.RULES,
    *retries_and_mirrors.RULES,
    *outlier_detection.RULES,
    *gateways.RULES,
    *gateway_servers.RULES,
    *gateway_api.RULES,
    *conflicts.RULES,
    *argo.RULES,
    *flagger.RULES,
    *steps.RULES,
)
BY_ID: Final = {rule.id: rule for rule in RULES}
