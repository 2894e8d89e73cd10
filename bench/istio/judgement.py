"""Judges one case: which facts are equal, which differ, which are named as not modelled."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .cases import Case
from .comparison import Comparison, compare
from .translation import istio_facts, our_facts

_FILTERS = re.compile(r"/filters\[\d+\]$")
#: What docs/reference names as not modelled: facts that objects of a kind may change.
NOT_MODELLED = {
    "EnvoyFilter": re.compile(r"/filters\[\d+\]$|/typed_per_filter_config"),
    "WasmPlugin": _FILTERS,
    "AuthorizationPolicy": _FILTERS,
    "RequestAuthentication": _FILTERS,
}


def judge(case: Case) -> Comparison:
    """Compare a case with our own translation."""
    found = compare(istio_facts(case), our_facts(case))
    patterns = tuple(_patterns(case))
    unmodelled = [
        each for each in found.different if any(one.search(each.path) for one in patterns)
    ]
    different = [each for each in found.different if each not in unmodelled]
    return Comparison(found.equal, tuple(different), tuple(unmodelled))


def _patterns(case: Case) -> Iterator[re.Pattern[str]]:
    for document in case.documents:
        if pattern := NOT_MODELLED.get(str(document["kind"])):
            yield pattern
