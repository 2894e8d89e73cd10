"""The subcommand ``lint``: its flags, and its exit code."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from ..lint.findings import Severity
from ..lint.kustomize import CouldNotRun
from ..lint.linter import lint
from ..lint.rendering import FORMATS, render_rules
from ..lint.resource_parser import ResourceParser
from ..lint.rules.table import RULES
from ..lint.schemas import Schemas, VersionUnknown
from ..lint.sources import collect, collect_steps

NAME: Final = "lint"
SUMMARY: Final = "say what is wrong with manifests before a cluster sees them"
_EPILOG: Final = """\
A directory with a kustomization is built by kubectl or kustomize. Any other directory is searched:
every kustomization in it is built and linted on its own, and what one leaves open is looked up in
those beside it. All files together are one set.

exit code: 0 no errors, 1 errors, 2 it could not run
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("paths", metavar="DIR|FILE", nargs="*", help="manifests; - is stdin")
    parser.add_argument(
        "--with",
        dest="given",
        metavar="DIR|FILE",
        action="append",
        default=[],
        help="what is in the cluster already: looked up, not judged (may be repeated)",
    )
    parser.add_argument(
        "--plan",
        action="store_true",
        help="the directories are steps, applied in this order; one that only holds numbered"
        " directories stands for these",
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    parser.add_argument(
        "--namespace",
        metavar="NAME",
        default="default",
        help="of objects that name none (default: default)",
    )
    parser.add_argument(
        "--kubernetes-version",
        metavar="1.NN",
        help="whose schemas to check against (default: the newest known)",
    )
    parser.add_argument("--rules", action="store_true", help="list all rules and exit")


def run(arguments: argparse.Namespace) -> int:
    """Lint and print; return the exit code."""
    if arguments.rules:
        sys.stdout.write(render_rules(RULES))
        return 0
    if not arguments.paths:
        return _give_up("nothing to lint: name directories or files")
    try:
        parser = ResourceParser(Schemas(arguments.kubernetes_version), arguments.namespace)
        bundles = (collect_steps if arguments.plan else collect)(arguments.paths)
        given = collect(arguments.given)
    except (CouldNotRun, VersionUnknown) as error:
        return _give_up(str(error))
    except OSError as error:
        return _give_up(f"{error.filename} can't be read: {error.strerror}; mend its permissions")
    report = lint(bundles, parser, existing=given, plan=arguments.plan)
    sys.stdout.write(FORMATS[arguments.format](report))
    return 1 if report.count(Severity.ERROR) else 0


def _give_up(why: str) -> int:
    sys.stderr.write(f"tallykv-rollout lint: {why}\n")
    return 2
