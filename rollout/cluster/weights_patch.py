"""Build the JSON patch that writes a step's weights to live routes of any kind. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..manifests.json_path import render_path
from ..plan.model import Plan, Step, Strategy
from ..runner.ports import RoutesEdited, TargetFailed
from .json_patch import (
    Json,
    JsonPath,
    Operation,
    Patch,
    first_difference,
    operation,
    test,
    without,
)
from .route_kind import RouteKind


class PatchBuilder:
    """Builds patches of weights, of destinations and, in an A/B plan, of the plan's own rules.

    Rules are matched by their keys. Everything else must be equal to the step's document and is
    never written. The rollback step (the plan's first) is exempt from this check: a changed timeout
    must not stop an abort during an incident.
    """

    def __init__(self, plan: Plan, kind: RouteKind, place: int = 0) -> None:
        """Raise TargetFailed if a rule of the plan has no name, and its kind needs one.

        ``place`` is that of the object among those of each step.
        """
        self._place = place
        self._strategy = plan.strategy
        self._kind = kind
        self._path = ("spec", kind.rules)
        self._rollback_step = plan.steps[0].name
        #: For each rule's key, all forms of that rule in the plan's steps.
        self._known: dict[str, list[Json]] = {}
        for step in plan.steps:
            for index, rule in enumerate(self._rules(kind.normal(self._wanted(step)))):
                key = kind.key(rule)
                if key is None:
                    raise TargetFailed(
                        f"{render_path((*self._path, index))}: a rule without a name; give it one"
                    )
                self._known.setdefault(key, []).append(rule)

    def is_rollback(self, step: Step) -> bool:
        """Return True for the step that a rollback applies."""
        return step.name == self._rollback_step

    def build(self, live: Json, step: Step) -> Patch:
        """Return the patch that puts ``step`` in force; it is empty if the step is in force.

        Raise RoutesEdited for rules and destinations that are in no step of the plan.
        Raise TargetFailed for other differences. Both name the path.
        """
        strict = not self.is_rollback(step)
        normal_live = self._kind.normal(live)
        normal_step = self._kind.normal(self._wanted(step))
        present, wanted = self._rules(normal_live), self._rules(normal_step)
        order = [self._kind.key(rule) for rule in present]
        self._refuse_duplicates(order)
        if strict:
            _refuse_differences(
                normal_live.get("spec") or {},
                normal_step["spec"],
                ("spec",),
                ignored=self._kind.rules,
            )
        names = [self._kind.key(rule) for rule in wanted]
        if strict and order != names:
            return self._replace_rules(live, present, wanted)
        patch = Patch()
        written = self._rules(live)
        for index, (name, rule) in enumerate(zip(names, wanted, strict=True)):
            if name not in order:
                raise TargetFailed(
                    f"{render_path((*self._path, index))}: the cluster has no rule"
                    f' "{name}"; apply the plan\'s first step by hand'
                )
            place = order.index(name)
            if strict:
                _refuse_differences(
                    present[place], rule, (*self._path, place), ignored=self._kind.destinations
                )
            patch += self._patch_route(present[place], written[place], rule, place)
        if self._strategy is Strategy.AB:
            patch += self._remove_rules(written, order, names)
        return patch

    def _wanted(self, step: Step) -> Json:
        return dict(step.objects[self._place].document)

    def _patch_route(self, live: Json, written: Json, wanted: Json, index: int) -> Patch:
        """Write the weights of a rule; replace its destinations if they differ.

        ``live`` and ``wanted`` are normal; ``written`` is the live rule as it was read.
        """
        field = self._kind.destinations
        old, new = _list(live, field), _list(wanted, field)
        route = (*self._path, index, field)
        name_tests = self._name_tests(written, index)
        if list(map(_without_weight, old)) == list(map(_without_weight, new)):
            edits = tuple(self._write_weights(old, new, _list(written, field), route))
            target = self._kind.target
            tests = (test((*route, place, target), each[target]) for place, each in enumerate(old))
            return Patch((*name_tests, *tests), edits) if edits else Patch()
        known = [
            _without_weight(each)
            for rule in self._known[str(self._kind.key(live))]
            for each in _list(rule, field)
        ]
        for place, each in enumerate(old):
            if _without_weight(each) not in known:
                raise RoutesEdited(
                    f"{render_path((*route, place))}: no step of the plan has this destination;"
                    " remove it, or add it to the plan"
                )
        return Patch(
            (*name_tests, test(route, _list(written, field))), (operation("replace", route, new),)
        )

    def _write_weights(
        self, old: Sequence[Json], new: Sequence[Json], written: Sequence[Json], route: JsonPath
    ) -> Iterator[Operation]:
        """Yield an operation for each destination whose weight changes."""
        pairs = zip(self._kind.weights(old), self._kind.weights(new), strict=True)
        for index, (before, after) in enumerate(pairs):
            if before != after:
                op = "replace" if "weight" in written[index] else "add"
                yield operation(op, (*route, index, "weight"), after)

    def _name_tests(self, written: Json, index: int) -> tuple[Operation, ...]:
        name = written.get("name")
        return () if name is None else (test((*self._path, index, "name"), name),)

    def _replace_rules(self, live: Json, present: Sequence[Json], wanted: Sequence[Json]) -> Patch:
        """Replace the whole list of rules: only an A/B plan may add rules and remove them."""
        field = self._kind.destinations
        names = [self._kind.key(rule) for rule in wanted]
        for index, rule in enumerate(present):
            path = (*self._path, index)
            key = self._kind.key(rule)
            forms = self._known.get(str(key))
            if forms is None:
                raise RoutesEdited(
                    f"{render_path(path)}: no step of the plan has the rule"
                    f' "{key or ""}"; remove it, or add it to the plan'
                )
            if key not in names and self._strategy is not Strategy.AB:
                raise TargetFailed(
                    f'{render_path(path)}: the step has no rule "{key}", and only an A/B'
                    " plan may add and remove rules; give all steps the same rules"
                )
            if self._strategy is Strategy.AB:
                for form in forms:
                    if without(form, field) == without(rule, field):
                        break
                else:
                    _refuse_differences(rule, forms[0], path, ignored=field)
        if self._strategy is not Strategy.AB:
            live_names = [str(self._kind.key(rule)) for rule in present]
            raise TargetFailed(
                f"{render_path(self._path)}: the rules are {', '.join(live_names)} where the step"
                f" has {', '.join(map(str, names))}; apply the plan's first step by hand"
            )
        return Patch(
            (test(self._path, self._rules(live)),),
            (operation("replace", self._path, list(wanted)),),
        )

    def _remove_rules(
        self, written: Sequence[Json], order: Sequence[str | None], names: Sequence[str | None]
    ) -> Patch:
        """Remove the plan's rules that the step does not have; keep the rules of others."""
        patch = Patch()
        # Backwards, so that each removal keeps the indexes of the rules still to be removed.
        for index, name in reversed(list(enumerate(order))):
            if name in self._known and name not in names:
                tests = self._name_tests(written[index], index)
                patch += Patch(tests, (operation("remove", (*self._path, index)),))
        return patch

    def _rules(self, document: Json) -> list[Json]:
        spec = document.get("spec")
        return _list(spec, self._kind.rules) if isinstance(spec, dict) else []

    def _refuse_duplicates(self, keys: Sequence[str | None]) -> None:
        for index, key in enumerate(keys):
            if key in self._known and key in keys[:index]:
                raise TargetFailed(
                    f'{render_path((*self._path, index))}: a second rule "{key}"; give it another'
                    " name"
                )


def _list(part: Json, name: str) -> list[Json]:
    found = part.get(name)
    return found if isinstance(found, list) else []


def _refuse_differences(live: Json, wanted: Json, path: JsonPath, *, ignored: str) -> None:
    different = first_difference(without(live, ignored), without(wanted, ignored), path)
    if different is not None:
        raise TargetFailed(
            f"{render_path(different)}: the cluster and the step differ, and a rollout changes"
            " weights only; apply the plan's first step by hand, or make the change in the plan"
        )


def _without_weight(destination: Mapping[str, Any]) -> dict[str, Any]:
    return without(destination, "weight")
