"""Checks bundles of manifests with all rules and returns a sorted report. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import PurePath

from .context import LintContext
from .findings import Finding, Location, Place, Severity
from .resource import ALLOW_ANNOTATION, Resource, ResourceId
from .resource_parser import ManifestText, ResourceParser
from .rule import InputProblem, Problem, Rule
from .rules.table import BY_ID, RULES


@dataclass(frozen=True, slots=True)
class Bundle:
    """Manifests that are applied together: the output of a kustomization, or files.

    ``problems`` were found while the bundle was built or read. ``tree`` is the directory whose
    search found the bundle, None if the user named the bundle itself.
    """

    directory: str
    texts: tuple[ManifestText, ...]
    problems: tuple[InputProblem, ...] = ()
    tree: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Sorted findings, one for each cause, and the number of checked objects."""

    findings: tuple[Finding, ...]
    objects: int
    #: Places with findings that are left out.
    hidden: int = 0
    #: What says which fields there are: versions, and files with definitions.
    against: tuple[str, ...] = ()

    def count(self, severity: Severity) -> int:
        """Return the number of places with a finding of a severity."""
        return sum(each.count for each in self.findings if each.severity is severity)

    def above(self, least: Severity) -> Report:
        """Return the report without the findings below a severity."""
        ranks = list(Severity)
        kept = [it for it in self.findings if ranks.index(it.severity) <= ranks.index(least)]
        hidden = sum(it.count for it in self.findings) - sum(it.count for it in kept)
        return replace(self, findings=tuple(kept), hidden=hidden)


@dataclass(frozen=True, slots=True)
class _ParsedBundle:
    bundle: Bundle
    resources: tuple[Resource, ...]
    problems: tuple[InputProblem, ...]


def lint(
    bundles: Sequence[Bundle],
    parser: ResourceParser,
    *,
    existing: Sequence[Bundle] = (),
    plan: bool = False,
) -> Report:
    """Check each bundle.

    ``existing`` is assumed to be in the cluster and is not checked. If ``plan`` is true, the
    bundles are the steps of a plan, applied one after the other.
    """
    known = [_parse(bundle, parser) for bundle in existing]
    parsed = [_parse(bundle, parser) for bundle in bundles]
    findings = [finding for each in known for finding in _unreadable(each)]
    for index, each in enumerate(parsed):
        earlier = _applied([*known, *(parsed[:index] if plan else ())])
        neighbors = () if plan else _neighbors(each, parsed)
        context = LintContext(each.resources, earlier, neighbors)
        before = LintContext((), earlier) if plan and index else None
        findings += _check(each, context, before)
    return Report(_by_cause(_sorted(findings)), sum(len(each.resources) for each in parsed))


def _parse(bundle: Bundle, parser: ResourceParser) -> _ParsedBundle:
    parsed = [parser.parse(text) for text in bundle.texts]
    resources = tuple(chain.from_iterable(resources for resources, _ in parsed))
    problems = tuple(chain.from_iterable(problems for _, problems in parsed))
    return _ParsedBundle(bundle, resources, (*bundle.problems, *problems, *_duplicates(resources)))


def _duplicates(resources: Iterable[Resource]) -> Iterator[InputProblem]:
    first: dict[ResourceId, Resource] = {}
    for resource in resources:
        if (other := first.setdefault(resource.id, resource)) is not resource:
            what = f"{other.file} has the same object; the later one replaces the earlier one"
            problem = Problem(resource, "metadata.name", what, "keep one of the two")
            yield InputProblem("object-twice", problem)


def _unreadable(existing: _ParsedBundle) -> Iterator[Finding]:
    """Report files of ``existing`` that can't be read.

    Otherwise rules would report every reference to an object in them.
    """
    for rule_id, problem in existing.problems:
        if rule_id in {"build-failed", "yaml-invalid"}:
            yield _finding(BY_ID[rule_id], problem)


def _applied(bundles: Iterable[_ParsedBundle]) -> tuple[Resource, ...]:
    """Return the objects that kubectl apply leaves in the cluster: the last version of each."""
    return tuple({it.id: it for bundle in bundles for it in bundle.resources}.values())


def _neighbors(
    one: _ParsedBundle, bundles: Sequence[_ParsedBundle]
) -> tuple[tuple[Resource, ...], ...]:
    """Return the other resources of the tree; those of the deepest shared directory come first."""
    tree = one.bundle.tree
    if tree is None:
        return ()
    by_depth: dict[int, list[Resource]] = {}
    for other in bundles:
        if other is not one and other.bundle.tree == tree:
            depth = _shared_depth(one.bundle.directory, other.bundle.directory)
            by_depth.setdefault(depth, []).extend(other.resources)
    return tuple(tuple(by_depth[depth]) for depth in sorted(by_depth, reverse=True))


def _shared_depth(one: str, other: str) -> int:
    depth = 0
    for mine, theirs in zip(PurePath(one).parts, PurePath(other).parts, strict=False):
        if mine != theirs:
            break
        depth += 1
    return depth


def _check(
    bundle: _ParsedBundle, context: LintContext, before: LintContext | None
) -> Iterator[Finding]:
    broken: set[tuple[Resource, str]] = set()
    for rule, problem in _problems(bundle, context, before):
        if isinstance(problem.where, Resource):
            broken.add((problem.where, rule.id))
        yield _finding(rule, problem)
    for resource in bundle.resources:
        yield from _check_annotation(resource, broken)


def _problems(
    bundle: _ParsedBundle, context: LintContext, before: LintContext | None
) -> Iterator[tuple[Rule, Problem]]:
    for rule_id, problem in bundle.problems:
        yield BY_ID[rule_id], problem
    for rule in RULES:
        if rule.check is not None:
            yield from ((rule, problem) for problem in rule.check(context))
        if rule.step_check is not None and before is not None:
            yield from ((rule, problem) for problem in rule.step_check(before, context))


def _finding(rule: Rule, problem: Problem) -> Finding:
    where, severity, remedy = problem.where, rule.severity, problem.remedy
    # Without a cause of their own, findings are one if one sentence and one remedy fit them all.
    cause = problem.cause or f"{problem.what}: {problem.remedy}"
    if isinstance(where, Location):
        return Finding(
            severity, rule.id, where, problem.path, problem.what, remedy, problem.line, cause=cause
        )
    if rule.allowable and rule.id in where.allowed_rules:
        severity, remedy = (
            Severity.INFO,
            f"nothing to do: the annotation {ALLOW_ANNOTATION} allows it",
        )
    line = where.line_of(problem.path)
    return Finding(
        severity, rule.id, where.location, problem.path, problem.what, remedy, line, cause=cause
    )


def _check_annotation(resource: Resource, broken: set[tuple[Resource, str]]) -> Iterator[Finding]:
    """Report allowed rules that do not exist, can't be allowed, or are not broken."""
    path = f'metadata.annotations["{ALLOW_ANNOTATION}"]'
    for rule_id in sorted(resource.allowed_rules):
        rule = BY_ID.get(rule_id)
        if rule is None or not rule.allowable:
            what = (
                f'there is no rule "{rule_id}"'
                if rule is None
                else f'the rule "{rule_id}" can\'t be allowed'
            )
            remedy = "correct or remove the id; tallykv-rollout lint --rules lists all rules"
            yield _finding(BY_ID["allow-unknown-rule"], Problem(resource, path, what, remedy))
        elif (resource, rule_id) not in broken:
            what = f'the annotation allows "{rule_id}", but the object does not break that rule'
            remedy = "remove the rule from the annotation"
            yield _finding(BY_ID["allow-unused"], Problem(resource, path, what, remedy))


def _by_cause(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Fold the findings of each cause into the first of them."""
    by_cause: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        key = (finding.severity, finding.rule, finding.cause)
        by_cause.setdefault(key, []).append(finding)
    return tuple(
        replace(first, more=tuple(Place(each.location, each.path, each.line) for each in others))
        for first, *others in by_cause.values()
    )


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort by severity, file and object; merge equal findings of several files into one."""
    equal: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        location = finding.location
        where = replace(location, file="") if location.kind else location
        key = (finding.rule, where, finding.path, finding.what, finding.severity)
        equal.setdefault(key, []).append(finding)
    merged = [
        replace(first, also_in=tuple(dict.fromkeys(each.location.file for each in others)))
        for first, *others in equal.values()
    ]
    severities = list(Severity)
    return tuple(
        sorted(
            merged,
            key=lambda it: (
                severities.index(it.severity),
                it.location.file,
                it.location.label,
                it.line or 0,
                it.path,
            ),
        )
    )
