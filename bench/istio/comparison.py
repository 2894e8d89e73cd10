"""Compares two sets of facts, leaf by leaf."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_ABSENT = object()
_DURATION = re.compile(r"\d+(\.\d+)?s")
#: Fields that mean the same as no field, if they have this value.
_WITHOUT_CONSEQUENCE = {
    "common_lb_config": {},
    "common_http_protocol_options": {},
    "path_redirect": "",
    "max_ejection_percent": 10,
    "track_remaining": True,
    "percentage": {"per million": 0},
    # The zero values of their types.
    "append_action": "APPEND_IF_EXISTS_OR_ADD",
    "response_code": "MOVED_PERMANENTLY",
    "lb_policy": "ROUND_ROBIN",
    "source_ip": False,
}


@dataclass(frozen=True)
class Difference:
    """A fact that differs; None where one side has no such fact."""

    path: str
    istio: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.path}: istiod {self.istio!r}, here {self.ours!r}"


@dataclass(frozen=True)
class Comparison:
    """The result for one case; ``not_modelled`` are differences that are named as such."""

    equal: int
    different: tuple[Difference, ...]
    not_modelled: tuple[Difference, ...] = ()

    @property
    def compared(self) -> int:
        return self.equal + len(self.different)


def compare(istio: Any, ours: Any) -> Comparison:
    """Compare facts: each leaf counts once, a missing one is different."""
    theirs, own = dict(_leaves(_plain(istio))), dict(_leaves(_plain(ours)))
    different = [
        Difference(path, _shown(theirs.get(path, _ABSENT)), _shown(own.get(path, _ABSENT)))
        for path in sorted({*theirs, *own})
        if theirs.get(path, _ABSENT) != own.get(path, _ABSENT)
    ]
    return Comparison(len({*theirs, *own}) - len(different), tuple(different))


def _shown(value: Any) -> Any:
    return None if value is _ABSENT else value


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value that is neither a mapping nor a list; empty ones are leaves, too."""
    if isinstance(value, Mapping) and value:
        for name, each in value.items():
            yield from _leaves(each, f"{path}/{name}")
    elif isinstance(value, list) and value:
        for index, each in enumerate(value):
            yield from _leaves(each, f"{path}[{index}]")
    else:
        yield path, value


def _number(text: str) -> str | int | float:
    """Return a number for 64 bits that is written as text, and a duration in seconds."""
    if text.isdecimal() and text == str(int(text)):
        return int(text)
    return float(text[:-1]) if _DURATION.fullmatch(text) else text


def _plain(value: Any) -> Any:
    """Write equal meanings in one way."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return _number(value)
    if not isinstance(value, Mapping):
        return value
    found = {name: _plain(each) for name, each in value.items()}
    if "denominator" in found or found.keys() == {"numerator"}:
        per = {"HUNDRED": 10_000, "TEN_THOUSAND": 100, "MILLION": 1}
        return {"per million": found.get("numerator", 0) * per[found.get("denominator", "HUNDRED")]}
    if found.get("healthy_panic_threshold") == {}:
        found["healthy_panic_threshold"] = {"value": 0}
    if found.get("percentage") == {}:
        found["percentage"] = {"per million": 0}
    if parameters := found.get("query_parameters"):
        found["query_parameters"] = sorted(parameters, key=lambda each: str(each["name"]))
    if endpoints := found.get("endpoints"):
        found["endpoints"] = sorted(endpoints)
    return {
        name: each
        for name, each in found.items()
        if name not in _WITHOUT_CONSEQUENCE or each != _WITHOUT_CONSEQUENCE[name]
    }
