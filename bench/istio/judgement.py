"""Judges one case: which facts are equal, which differ, which are named as not modelled."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from rollout.rehearsal.errors import ManifestsInvalid

from .cases import INPUT, Case
from .comparison import Comparison, Difference, compare
from .translation import istio_facts, our_facts

_FILTERS: Final = re.compile(r"/filters\[\d+\]$")
#: What docs/reference names as not modelled: a kind, a text in its objects, and the paths of the
#: facts that it may change.
NOT_MODELLED: Final = (
    ("EnvoyFilter", "", re.compile(r"/filters\[\d+\]$|/typed_per_filter_config")),
    ("WasmPlugin", "", _FILTERS),
    ("AuthorizationPolicy", "", _FILTERS),
    ("RequestAuthentication", "", _FILTERS),
    ("Gateway", "AUTO_PASSTHROUGH", re.compile(r"/ports/|/clusters/outbound_\.")),
    ("ServiceEntry", "DYNAMIC_DNS", re.compile(r"/clusters/")),
    ("Sidecar", "HTTP_PROXY", re.compile(r"^/sidecars/[^/]+/(routes|tcp)")),
)


def judge(case: Case) -> Comparison:
    """Compare a case with our own translation; an input that we refuse is one difference."""
    try:
        ours = our_facts(case)
    except ManifestsInvalid as error:
        return Comparison(0, (Difference(f"/{INPUT}", "accepted", f"refused: {error}"),))
    found = compare(istio_facts(case), ours)
    patterns = tuple(_patterns(case))
    unmodelled = [
        each for each in found.different if any(one.search(each.path) for one in patterns)
    ]
    different = [each for each in found.different if each not in unmodelled]
    return Comparison(found.equal, tuple(different), tuple(unmodelled))


def _patterns(case: Case) -> Iterator[re.Pattern[str]]:
    for document in case.documents:
        text = json.dumps(document, default=str)
        for kind, feature, pattern in NOT_MODELLED:
            if document["kind"] == kind and feature in text:
                yield pattern
