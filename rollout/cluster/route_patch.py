"""What has to change in a live VirtualService so that a step is in force: a JSON patch (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..manifests.json_path import render_path
from ..plan.model import Plan, Step, Strategy
from ..runner.ports import NotOurs, TargetFailed

Json = Mapping[str, Any]
Operation = dict[str, Any]
Steps = tuple[str | int, ...]

_HTTP = ("spec", "http")


@dataclass(frozen=True, slots=True)
class Change:
    """Operations of RFC 6902; ``tests`` says of what they are the change, and all hold or none."""

    tests: tuple[Operation, ...] = ()
    edits: tuple[Operation, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.edits)

    def __add__(self, other: Change) -> Change:
        return Change(self.tests + other.tests, self.edits + other.edits)

    def operations(self, live: Json) -> list[Operation]:
        """Return the patch; it fails if ``live`` was changed by then, by anybody and in any way."""
        version = live["metadata"]["resourceVersion"]
        return [_test(("metadata", "resourceVersion"), version), *self.tests, *self.edits]


class Changes:
    """What a plan may change: weights, destinations, and for A/B its own rules.

    Rules are matched by name. Everything else has to be as the step says and is never written. Only
    the way back, the plan's first step, is not refused for what differs elsewhere: who aborts in an
    incident must not be stopped by a timeout that somebody raised.
    """

    def __init__(self, plan: Plan) -> None:
        self._strategy = plan.strategy
        self._way_back = plan.steps[0].name
        #: Every form in which the plan's steps have a rule, by the rule's name.
        self._known: dict[str, list[Json]] = {}
        for step in plan.steps:
            for index, rule in enumerate(_rules(step.document)):
                self._known.setdefault(_name(rule, index), []).append(rule)

    def is_way_back(self, step: Step) -> bool:
        return step.name == self._way_back

    def build(self, live: Json, step: Step) -> Change:
        """Return the change that puts ``step`` in force, empty if it is.

        Raise NotOurs for rules and destinations that no step of the plan has, TargetFailed for
        other differences; both name the path.
        """
        strict = not self.is_way_back(step)
        present, wanted = _rules(live), _rules(step.document)
        _refuse_twins(present, self._known)
        if strict:
            _refuse_differences(
                live.get("spec") or {}, step.document["spec"], ("spec",), besides="http"
            )
        there = {rule.get("name"): index for index, rule in enumerate(present)}
        order = [rule.get("name") for rule in present]
        names = [rule["name"] for rule in wanted]
        if strict and order != names:
            return self._replace_rules(present, wanted)
        change = Change()
        for index, rule in enumerate(wanted):
            if rule["name"] not in there:
                raise TargetFailed(
                    f'{render_path((*_HTTP, index))}: the cluster has no rule "{rule["name"]}";'
                    " apply the plan's first step by hand"
                )
            place = there[rule["name"]]
            if strict:
                _refuse_differences(present[place], rule, (*_HTTP, place), besides="route")
            change += self._destinations(present[place], rule, place)
        if self._strategy is Strategy.AB:
            change += self._removals(present, names)
        return change

    def _destinations(self, live: Json, wanted: Json, place: int) -> Change:
        old, new = _list(live, "route"), _list(wanted, "route")
        where = (*_HTTP, place, "route")
        named = _test((*_HTTP, place, "name"), live["name"])
        if list(map(_unweighted, old)) == list(map(_unweighted, new)):
            edits = tuple(_reweighted(old, new, where))
            tests = (
                _test((*where, index, "destination"), each["destination"])
                for index, each in enumerate(old)
            )
            return Change((named, *tests), edits) if edits else Change()
        known = [
            _unweighted(each) for rule in self._known[live["name"]] for each in _list(rule, "route")
        ]
        for index, each in enumerate(old):
            if _unweighted(each) not in known:
                raise NotOurs(
                    f"{render_path((*where, index))}: no step of the plan has this destination;"
                    " take it out, or into the plan"
                )
        return Change((named, _test(where, old)), (_edit("replace", where, new),))

    def _replace_rules(self, present: Sequence[Json], wanted: Sequence[Json]) -> Change:
        names = [rule["name"] for rule in wanted]
        for index, rule in enumerate(present):
            where = (*_HTTP, index)
            forms = self._known.get(str(rule.get("name")))
            if forms is None:
                raise NotOurs(
                    f"{render_path(where)}: no step of the plan has the rule"
                    f' "{rule.get("name", "")}"; take it out, or into the plan'
                )
            if rule["name"] not in names and self._strategy is not Strategy.AB:
                raise TargetFailed(
                    f'{render_path(where)}: the step has no rule "{rule["name"]}", and only an A/B'
                    " plan may add and remove rules; give all steps the same rules"
                )
            if self._strategy is Strategy.AB:
                for each in forms:
                    if _without(each, "route") == _without(rule, "route"):
                        break
                else:
                    _refuse_differences(rule, forms[0], where, besides="route")
        if self._strategy is not Strategy.AB:
            here = [rule["name"] for rule in present]
            raise TargetFailed(
                f"spec.http: the rules are {', '.join(here)} where the step has"
                f" {', '.join(names)}; apply the plan's first step by hand"
            )
        return Change((_test(_HTTP, list(present)),), (_edit("replace", _HTTP, list(wanted)),))

    def _removals(self, present: Sequence[Json], names: Sequence[str]) -> Change:
        """Take out what the plan has put in, and leave what others did."""
        change = Change()
        # From the last one on, so that the places of the others stay as they are.
        for place, rule in reversed(list(enumerate(present))):
            name = rule.get("name")
            if name in self._known and name not in names:
                tests = (_test((*_HTTP, place, "name"), name),)
                change += Change(tests, (_edit("remove", (*_HTTP, place)),))
        return change


def _rules(document: Json) -> list[Json]:
    spec = document.get("spec")
    return _list(spec, "http") if isinstance(spec, dict) else []


def _list(part: Json, name: str) -> list[Json]:
    found = part.get(name)
    return found if isinstance(found, list) else []


def _name(rule: Json, index: int) -> str:
    name = rule.get("name")
    if not isinstance(name, str) or not name:
        raise TargetFailed(f"{render_path((*_HTTP, index))}: a rule without a name; give it one")
    return name


def _refuse_twins(rules: Sequence[Json], names: Mapping[str, Any]) -> None:
    seen = set()
    for index, rule in enumerate(rules):
        name = rule.get("name")
        if name in seen and name in names:
            raise TargetFailed(
                f'{render_path((*_HTTP, index))}: a second rule "{name}"; give it another name'
            )
        seen.add(name)


def _refuse_differences(live: Json, wanted: Json, steps: Steps, *, besides: str) -> None:
    different = _first_difference(_without(live, besides), _without(wanted, besides), steps)
    if different is not None:
        raise TargetFailed(
            f"{render_path(different)}: the cluster and the step differ, and a rollout changes"
            " weights only; apply the plan's first step by hand, or bring the change into the plan"
        )


def _first_difference(live: Any, wanted: Any, steps: Steps) -> Steps | None:
    """Return the path of the first value that differs, None if there is none."""
    if isinstance(live, dict) and isinstance(wanted, dict):
        for key in sorted({*live, *wanted}):
            if key not in live or key not in wanted:
                return (*steps, key)
            if (found := _first_difference(live[key], wanted[key], (*steps, key))) is not None:
                return found
        return None
    if isinstance(live, list) and isinstance(wanted, list) and len(live) == len(wanted):
        pairs = enumerate(zip(live, wanted, strict=True))
        ways = (_first_difference(one, other, (*steps, index)) for index, (one, other) in pairs)
        return next((way for way in ways if way is not None), None)
    return None if live == wanted else steps


def _without(part: Json, name: str) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != name}


def _unweighted(entry: Json) -> dict[str, Any]:
    return _without(entry, "weight")


def _reweighted(old: Sequence[Json], new: Sequence[Json], where: Steps) -> Iterator[Operation]:
    if len(old) == 1:
        return  # a single destination gets everything, whatever its weight
    for index, (live, wanted) in enumerate(zip(old, new, strict=True)):
        if live.get("weight", 0) != wanted.get("weight", 0):
            op = "replace" if "weight" in live else "add"
            yield _edit(op, (*where, index, "weight"), wanted.get("weight", 0))


def _test(steps: Steps, value: Any) -> Operation:
    return _edit("test", steps, value)


def _edit(op: str, steps: Steps, value: Any = None) -> Operation:
    path = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return {"op": op, "path": path} | ({} if op == "remove" else {"value": value})
