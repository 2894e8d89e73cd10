"""The subcommand ``lint``: finds mistakes in manifests before they are applied."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import Final

from ..lint.custom_resources import load_custom_resources
from ..lint.findings import Severity
from ..lint.kustomize import CouldNotRun
from ..lint.linter import lint
from ..lint.rendering import FORMATS, render_rules
from ..lint.resource_parser import ResourceParser
from ..lint.rules.table import RULES
from ..lint.schemas import Schemas, VersionUnknown
from ..lint.sources import collect, collect_steps
from ..manifests.kinds import ISTIO_VERSION

_EPILOG: Final = """\
A directory with a kustomization is built with kubectl or kustomize. Other directories are searched:
every kustomization in them is built and linted separately, and objects that it only refers to are
looked up in the other ones. All files that are named or found form one set.

exit code: 0 no errors, 1 errors found, 2 lint could not run
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("paths", metavar="DIR|FILE", nargs="*", help="manifests; - reads stdin")
    parser.add_argument(
        "--with",
        dest="given",
        metavar="DIR|FILE",
        action="append",
        default=[],
        help="manifests of what is in the cluster: used for look-ups, not linted (repeatable)",
    )
    parser.add_argument(
        "--plan",
        action="store_true",
        help="the directories are steps, applied in this order; a directory that contains only"
        " numbered directories stands for those",
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    parser.add_argument(
        "--min-severity",
        choices=[each.value for each in Severity],
        default=Severity.INFO.value,
        help="show only findings of this severity and above (default: info)",
    )
    parser.add_argument(
        "--namespace",
        metavar="NAME",
        default="default",
        help="namespace of objects that name none (default: default)",
    )
    parser.add_argument(
        "--kubernetes-version",
        metavar="1.NN",
        help="version of the Kubernetes schemas to validate against (default: the newest known)",
    )
    parser.add_argument(
        "--crds",
        metavar="FILE|DIR|cluster",
        action="append",
        default=[],
        help="CustomResourceDefinitions that say which fields custom resources have, from a file or"
        " from the cluster of kubectl (repeatable; default: those of Istio"
        f" {ISTIO_VERSION}, no others)",
    )
    parser.add_argument("--rules", action="store_true", help="list all rules and exit")


def run(arguments: argparse.Namespace) -> int:
    """Lint and print; return the exit code."""
    if arguments.rules:
        sys.stdout.write(render_rules(RULES))
        return 0
    if not arguments.paths:
        return _fail("nothing to lint: name directories or files")
    try:
        schemas = Schemas(arguments.kubernetes_version)
        parser = ResourceParser(
            schemas,
            arguments.namespace,
            load_custom_resources(arguments.crds),
        )
        bundles = (collect_steps if arguments.plan else collect)(arguments.paths)
        given = collect(arguments.given)
    except (CouldNotRun, VersionUnknown) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename} can't be read: {error.strerror}; change its permissions")
    report = lint(bundles, parser, existing=given, plan=arguments.plan)
    against = (f"Kubernetes {schemas.version}", f"Istio {ISTIO_VERSION}", *arguments.crds)
    shown = replace(report.above(Severity(arguments.min_severity)), against=against)
    if arguments.crds:
        sys.stderr.write(f"checked against {', '.join(against)}\n")
    sys.stdout.write(FORMATS[arguments.format](shown))
    return 1 if report.count(Severity.ERROR) else 0


def _fail(why: str) -> int:
    sys.stderr.write(f"tallykv-rollout lint: {why}\n")
    return 2
