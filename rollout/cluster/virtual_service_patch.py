"""Build the JSON patch that writes a step's weights to a live VirtualService. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..manifests.json_path import render_path
from ..plan.model import Plan, Step, Strategy
from ..runner.ports import ManagedByOther, TargetFailed

Json = Mapping[str, Any]
Operation = dict[str, Any]
#: Keys and list indexes from the root of the object.
JsonPath = tuple[str | int, ...]

_HTTP = ("spec", "http")


@dataclass(frozen=True, slots=True)
class Patch:
    """A JSON patch (RFC 6902): its ``test`` operations and its edits. Falsy without edits."""

    tests: tuple[Operation, ...] = ()
    edits: tuple[Operation, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.edits)

    def __add__(self, other: Patch) -> Patch:
        return Patch(self.tests + other.tests, self.edits + other.edits)

    def operations(self, live: Json) -> list[Operation]:
        """Return all operations. They fail as a whole if ``live`` has changed since it was read."""
        version = live["metadata"]["resourceVersion"]
        return [_test(("metadata", "resourceVersion"), version), *self.tests, *self.edits]


class PatchBuilder:
    """Builds patches of weights, of destinations and, in an A/B plan, of the plan's own rules.

    Rules are matched by name. Everything else must be equal to the step's document and is never
    written. The rollback step (the plan's first) is exempt from this check: a changed timeout must
    not stop an abort during an incident.
    """

    def __init__(self, plan: Plan) -> None:
        """Raise TargetFailed if a rule of the plan has no name."""
        self._strategy = plan.strategy
        self._rollback_step = plan.steps[0].name
        #: For each rule name, all forms of that rule in the plan's steps.
        self._known: dict[str, list[Json]] = {}
        for step in plan.steps:
            for index, rule in enumerate(_rules(step.document)):
                self._known.setdefault(_name(rule, index), []).append(rule)

    def is_rollback(self, step: Step) -> bool:
        """Return True for the step that a rollback applies."""
        return step.name == self._rollback_step

    def build(self, live: Json, step: Step) -> Patch:
        """Return the patch that puts ``step`` in force; it is empty if the step is in force.

        Raise ManagedByOther for rules and destinations that are in no step of the plan.
        Raise TargetFailed for other differences. Both name the path.
        """
        strict = not self.is_rollback(step)
        present, wanted = _rules(live), _rules(step.document)
        _refuse_duplicates(present, self._known)
        if strict:
            _refuse_differences(
                live.get("spec") or {}, step.document["spec"], ("spec",), ignored="http"
            )
        live_index = {rule.get("name"): index for index, rule in enumerate(present)}
        order = [rule.get("name") for rule in present]
        names = [rule["name"] for rule in wanted]
        if strict and order != names:
            return self._replace_rules(present, wanted)
        patch = Patch()
        for index, rule in enumerate(wanted):
            if rule["name"] not in live_index:
                raise TargetFailed(
                    f'{render_path((*_HTTP, index))}: the cluster has no rule "{rule["name"]}";'
                    " apply the plan's first step by hand"
                )
            place = live_index[rule["name"]]
            if strict:
                _refuse_differences(present[place], rule, (*_HTTP, place), ignored="route")
            patch += self._patch_route(present[place], rule, place)
        if self._strategy is Strategy.AB:
            patch += self._remove_rules(present, names)
        return patch

    def _patch_route(self, live: Json, wanted: Json, index: int) -> Patch:
        """Write the weights of a rule; replace its destinations if they differ."""
        old, new = _list(live, "route"), _list(wanted, "route")
        route = (*_HTTP, index, "route")
        name_test = _test((*_HTTP, index, "name"), live["name"])
        if list(map(_without_weight, old)) == list(map(_without_weight, new)):
            edits = tuple(_write_weights(old, new, route))
            tests = (
                _test((*route, place, "destination"), each["destination"])
                for place, each in enumerate(old)
            )
            return Patch((name_test, *tests), edits) if edits else Patch()
        known = [
            _without_weight(each)
            for rule in self._known[live["name"]]
            for each in _list(rule, "route")
        ]
        for place, each in enumerate(old):
            if _without_weight(each) not in known:
                raise ManagedByOther(
                    f"{render_path((*route, place))}: no step of the plan has this destination;"
                    " remove it, or add it to the plan"
                )
        return Patch((name_test, _test(route, old)), (_operation("replace", route, new),))

    def _replace_rules(self, present: Sequence[Json], wanted: Sequence[Json]) -> Patch:
        """Replace the whole list of rules: only an A/B plan may add rules and remove them."""
        names = [rule["name"] for rule in wanted]
        for index, rule in enumerate(present):
            path = (*_HTTP, index)
            forms = self._known.get(str(rule.get("name")))
            if forms is None:
                raise ManagedByOther(
                    f"{render_path(path)}: no step of the plan has the rule"
                    f' "{rule.get("name", "")}"; remove it, or add it to the plan'
                )
            if rule["name"] not in names and self._strategy is not Strategy.AB:
                raise TargetFailed(
                    f'{render_path(path)}: the step has no rule "{rule["name"]}", and only an A/B'
                    " plan may add and remove rules; give all steps the same rules"
                )
            if self._strategy is Strategy.AB:
                for form in forms:
                    if _without(form, "route") == _without(rule, "route"):
                        break
                else:
                    _refuse_differences(rule, forms[0], path, ignored="route")
        if self._strategy is not Strategy.AB:
            live_names = [rule["name"] for rule in present]
            raise TargetFailed(
                f"spec.http: the rules are {', '.join(live_names)} where the step has"
                f" {', '.join(names)}; apply the plan's first step by hand"
            )
        return Patch((_test(_HTTP, list(present)),), (_operation("replace", _HTTP, list(wanted)),))

    def _remove_rules(self, present: Sequence[Json], names: Sequence[str]) -> Patch:
        """Remove the plan's rules that the step does not have; keep the rules of others."""
        patch = Patch()
        # Backwards, so that each removal keeps the indexes of the rules still to be removed.
        for index, rule in reversed(list(enumerate(present))):
            name = rule.get("name")
            if name in self._known and name not in names:
                tests = (_test((*_HTTP, index, "name"), name),)
                patch += Patch(tests, (_operation("remove", (*_HTTP, index)),))
        return patch


def _write_weights(
    old: Sequence[Json], new: Sequence[Json], route: JsonPath
) -> Iterator[Operation]:
    """Yield an operation for each destination whose weight changes."""
    if len(old) == 1:
        return  # a single destination gets all requests, whatever its weight
    for index, (live, wanted) in enumerate(zip(old, new, strict=True)):
        if live.get("weight", 0) != wanted.get("weight", 0):
            op = "replace" if "weight" in live else "add"
            yield _operation(op, (*route, index, "weight"), wanted.get("weight", 0))


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


def _refuse_duplicates(rules: Sequence[Json], names: Mapping[str, Any]) -> None:
    seen = set()
    for index, rule in enumerate(rules):
        name = rule.get("name")
        if name in seen and name in names:
            raise TargetFailed(
                f'{render_path((*_HTTP, index))}: a second rule "{name}"; give it another name'
            )
        seen.add(name)


def _refuse_differences(live: Json, wanted: Json, path: JsonPath, *, ignored: str) -> None:
    different = _first_difference(_without(live, ignored), _without(wanted, ignored), path)
    if different is not None:
        raise TargetFailed(
            f"{render_path(different)}: the cluster and the step differ, and a rollout changes"
            " weights only; apply the plan's first step by hand, or make the change in the plan"
        )


def _first_difference(live: Any, wanted: Any, path: JsonPath) -> JsonPath | None:
    """Return the path of the first value that differs, None if there is none."""
    if isinstance(live, dict) and isinstance(wanted, dict):
        for key in sorted({*live, *wanted}):
            if key not in live or key not in wanted:
                return (*path, key)
            if (found := _first_difference(live[key], wanted[key], (*path, key))) is not None:
                return found
        return None
    if isinstance(live, list) and isinstance(wanted, list) and len(live) == len(wanted):
        pairs = enumerate(zip(live, wanted, strict=True))
        paths = (_first_difference(one, other, (*path, index)) for index, (one, other) in pairs)
        return next((each for each in paths if each is not None), None)
    return None if live == wanted else path


def _without(part: Json, name: str) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != name}


def _without_weight(destination: Json) -> dict[str, Any]:
    return _without(destination, "weight")


def _test(path: JsonPath, value: Any) -> Operation:
    return _operation("test", path, value)


def _operation(op: str, path: JsonPath, value: Any = None) -> Operation:
    """Build one operation; ``path`` becomes a JSON pointer (RFC 6901)."""
    pointer = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return {"op": op, "path": pointer} | ({} if op == "remove" else {"value": value})
