"""The subcommand ``test``: assertions about routes, tested on a real Envoy."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..lint.kustomize import CouldNotRun
from ..probing.assertion_run import Outcome, Report, run_suite
from ..probing.junit import junit_xml
from ..probing.suite import Overrides, find_test_files, load_suite
from ..routing.assertions import AssertionsInvalid, json_schema
from .exit_codes import ERROR, UsageError, run_command

NAME: Final = "test"
_EPILOG: Final = """\
A file of assertions says what the mesh does with requests. Its manifests are those beside it, or
what its fields manifests, given and steps name. One Envoy is configured from them as istiod would,
with an echo in place of all pods.

  tallykv-rollout test istio/canary                       the files *.test.yaml below a directory
  tallykv-rollout test routes.test.yaml --explain
  helm template chart | tallykv-rollout test routes.test.yaml --manifests -
  kubectl get gateway,vs,dr,svc -A -o yaml | tallykv-rollout test live.test.yaml --manifests -

exit code: 0 all assertions hold, 1 some do not, 2 the test could not run
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("files", metavar="FILE|DIR", nargs="*", help="files of assertions (*.test.yaml)")
    add_manifest_arguments(parser)
    add(
        "--explain",
        action="store_true",
        help="say for every request which rule takes it, and why those before it do not",
    )
    add("--junit", metavar="FILE", help="write the results as JUnit XML")
    add(
        "--full-coverage",
        action="store_true",
        help="fail if no assertion reaches some rule, or one of its matches",
    )
    add("--schema", action="store_true", help="print the JSON schema of the files, and exit")


def add_manifest_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is read in place of what a file names."""
    add = parser.add_argument
    add(
        "--manifests",
        metavar="DIR|FILE|-",
        action="append",
        default=[],
        help="the manifests to test, in place of those that a file names (repeatable)",
    )
    add(
        "--given",
        metavar="DIR|FILE",
        action="append",
        default=[],
        help="manifests of what is in the cluster already (repeatable)",
    )
    add(
        "--namespace",
        metavar="NAME",
        help="namespace of objects that name none (default: default)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Test; return the exit code."""
    if arguments.schema:
        sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
        return 0
    return run_command(NAME, _test(arguments))


async def _test(arguments: argparse.Namespace) -> int:
    if not arguments.files:
        raise UsageError("nothing to test: name files of assertions, or directories with some")
    overrides = Overrides(arguments.manifests, arguments.given, arguments.namespace)
    reports = []
    for file in find_test_files(arguments.files):
        try:
            suite = load_suite(file, overrides)
        except AssertionsInvalid as error:
            sys.stderr.write(f"{error}\n")
            return ERROR
        report = await run_suite(suite, explained=arguments.explain)
        sys.stdout.write(render(report, explained=arguments.explain))
        sys.stdout.flush()
        reports.append(report)
    if arguments.junit:
        _write(arguments.junit, junit_xml(reports))
    bad = any(each.failed for each in reports)
    uncovered = arguments.full_coverage and any(each.unreached for each in reports)
    return int(bad or uncovered)


def _write(file: str, text: str) -> None:
    try:
        Path(file).write_text(text, "utf-8")
    except OSError as error:
        raise CouldNotRun(f"--junit {file}: {error.strerror}") from None


def render(report: Report, *, explained: bool) -> str:
    """Return the results of a file for a terminal."""
    lines = [f"{report.file}"]
    for each in report.outcomes:
        if each.failures or explained:
            lines += _outcome(report.file, each)
    rules, reached = len(report.rules), len(report.rules) - len(report.unreached)
    count = len(report.outcomes)
    lines.append(
        f"  {count - report.failed} of {count} assertions hold; {reached} of {rules} rules and"
        f" matches reached; {report.requests:,} requests in {report.seconds:.1f} s"
    )
    lines += [f"  no assertion reaches {each}" for each in report.unreached]
    lines += [f"  {each}" for each in report.assumptions]
    lines += [f"  not imitated: {each}" for each in report.not_modelled]
    return "\n".join(lines) + "\n"


def _outcome(file: str, outcome: Outcome) -> Sequence[str]:
    step = f" at step {outcome.step}" if outcome.step else ""
    mark = "FAILED" if outcome.failures else "ok"
    lines = [f"  {mark} {file}:{outcome.line}{step}: {outcome.title}"]
    lines += [f"    {each}" for each in outcome.failures]
    lines += [f"    {each}" for each in outcome.explanation]
    return lines
