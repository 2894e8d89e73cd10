"""Texts in, findings out: no file is read here and nothing is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import PurePath

from .documents import Assembling, Remark, Text
from .findings import ORDER, Finding, Severity
from .inventory import Inventory
from .rule import Problem, Rule
from .rules.table import BY_ID, RULES
from .subjects import ALLOW, Identity, Subject


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is applied together: a directory that kustomize builds, or files.

    ``remarks`` tell what happened on the way here. ``tree`` is the directory in which it was
    found, None if it was named itself.
    """

    directory: str
    texts: tuple[Text, ...]
    remarks: tuple[Remark, ...] = ()
    tree: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """``findings`` are sorted, the same of several files told once."""

    findings: tuple[Finding, ...]
    objects: int

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)


@dataclass(frozen=True, slots=True)
class _Read:
    bundle: Bundle
    subjects: tuple[Subject, ...]
    remarks: tuple[Remark, ...]


def lint(
    bundles: Sequence[Bundle],
    assembling: Assembling,
    *,
    given: Sequence[Bundle] = (),
    plan: bool = False,
) -> Report:
    """Lint each bundle; as a plan, they are steps that are applied one after the other."""
    known = [_read(bundle, assembling) for bundle in given]
    reads = [_read(bundle, assembling) for bundle in bundles]
    findings = [finding for each in known for finding in _unread(each)]
    for index, each in enumerate(reads):
        earlier = _applied([*known, *(reads[:index] if plan else ())])
        around = () if plan else _around(each, reads)
        inventory = Inventory(each.subjects, earlier, around)
        before = Inventory((), earlier) if plan and index else None
        findings += _judge(each, inventory, before)
    return Report(_sorted(findings), sum(len(each.subjects) for each in reads))


def _read(bundle: Bundle, assembling: Assembling) -> _Read:
    read = [assembling.read(text) for text in bundle.texts]
    subjects = tuple(chain.from_iterable(subjects for subjects, _ in read))
    remarks = tuple(chain.from_iterable(remarks for _, remarks in read))
    return _Read(bundle, subjects, (*bundle.remarks, *remarks, *_twice(subjects)))


def _unread(given: _Read) -> Iterator[Finding]:
    """Tell what of the given could not be read: whoever refers to it would be blamed."""
    for remark in given.remarks:
        if remark.rule in {"build-failed", "yaml-invalid"}:
            yield _remarked(BY_ID[remark.rule], remark, set())


def _twice(subjects: Iterable[Subject]) -> Iterator[Remark]:
    first: dict[Identity, Subject] = {}
    for subject in subjects:
        if (other := first.setdefault(subject.identity, subject)) is not subject:
            yield Remark(
                "object-twice",
                subject,
                "metadata.name",
                f"the object is in {other.file} already: the later one replaces it",
                "keep one",
            )


def _applied(reads: Iterable[_Read]) -> tuple[Subject, ...]:
    """Return what the cluster then has: as with kubectl apply, the last one counts, all stays."""
    return tuple(
        {subject.identity: subject for each in reads for subject in each.subjects}.values()
    )


def _around(one: _Read, reads: Sequence[_Read]) -> tuple[tuple[Subject, ...], ...]:
    """Return what else the same tree holds: by the directory that both are in, nearest first."""
    tree = one.bundle.tree
    if tree is None:
        return ()
    rings: dict[int, list[Subject]] = {}
    for other in reads:
        if other is not one and other.bundle.tree == tree:
            shared = _shared_depth(one.bundle.directory, other.bundle.directory)
            rings.setdefault(shared, []).extend(other.subjects)
    return tuple(tuple(rings[depth]) for depth in sorted(rings, reverse=True))


def _shared_depth(one: str, other: str) -> int:
    pairs = zip(PurePath(one).parts, PurePath(other).parts, strict=False)
    depth = 0
    for mine, theirs in pairs:
        if mine != theirs:
            break
        depth += 1
    return depth


def _judge(read: _Read, inventory: Inventory, before: Inventory | None) -> Iterator[Finding]:
    broken: set[tuple[Subject, str]] = set()
    for rule, problem in _problems(read, inventory, before):
        if isinstance(problem, Remark):
            yield _remarked(rule, problem, broken)
        else:
            yield _found(rule, problem.subject, problem.path, problem.what, problem.remedy, broken)
    for subject in read.subjects:
        yield from _allowances(subject, broken)


def _problems(
    read: _Read, inventory: Inventory, before: Inventory | None
) -> Iterator[tuple[Rule, Problem | Remark]]:
    for remark in read.remarks:
        yield BY_ID[remark.rule], remark
    for rule in RULES:
        if rule.check is not None:
            yield from ((rule, problem) for problem in rule.check(inventory))
        if rule.step_check is not None and before is not None:
            yield from ((rule, problem) for problem in rule.step_check(before, inventory))


def _remarked(rule: Rule, remark: Remark, broken: set[tuple[Subject, str]]) -> Finding:
    if isinstance(remark.where, Subject):
        return _found(rule, remark.where, remark.path, remark.what, remark.remedy, broken)
    return Finding(
        rule.severity,
        rule.id,
        remark.where,
        remark.path,
        remark.what,
        remark.remedy,
        remark.line,
    )


def _found(
    rule: Rule,
    subject: Subject,
    path: str,
    what: str,
    remedy: str,
    broken: set[tuple[Subject, str]],
) -> Finding:
    severity = rule.severity
    if rule.allowable and rule.id in subject.allows:
        broken.add((subject, rule.id))
        severity, remedy = Severity.INFO, f"nothing: {ALLOW} allows it"
    return Finding(severity, rule.id, subject.place, path, what, remedy, subject.line_of(path))


def _allowances(subject: Subject, broken: set[tuple[Subject, str]]) -> Iterator[Finding]:
    path = f'metadata.annotations["{ALLOW}"]'
    line = subject.line_of(path)
    for name in sorted(subject.allows):
        rule = BY_ID.get(name)
        if rule is None or not rule.allowable:
            what = "there is no such rule" if rule is None else "that rule can't be allowed"
            yield Finding(
                Severity.ERROR,
                "allow-unknown-rule",
                subject.place,
                path,
                f'"{name}": {what}',
                "lint --rules lists them",
                line,
            )
        elif (subject, name) not in broken:
            yield Finding(
                Severity.INFO,
                "allow-unused",
                subject.place,
                path,
                f"{name} is allowed and not broken here",
                "take it off the annotation",
                line,
            )


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort by severity, file and object; tell once what several files say alike."""
    alike: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        whose = replace(finding.place, file="") if finding.place.kind else finding.place
        key = (finding.rule, whose, finding.path, finding.what, finding.severity)
        alike.setdefault(key, []).append(finding)
    told = [
        replace(first, also_in=tuple(dict.fromkeys(each.place.file for each in others)))
        for first, *others in alike.values()
    ]
    return tuple(
        sorted(
            told,
            key=lambda it: (
                ORDER.index(it.severity),
                it.place.file,
                it.place.label,
                it.line or 0,
                it.path,
            ),
        )
    )
