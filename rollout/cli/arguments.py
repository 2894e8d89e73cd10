"""Flags that several subcommands have, and how their values are written."""

from __future__ import annotations

import argparse
import shlex

from pydantic_core import PydanticCustomError

from ..manifests.field_types import parse_duration


def seconds(text: str) -> float:
    """Read ``90s``, ``1m30s`` or ``250ms``."""
    try:
        return parse_duration(text).total_seconds()
    except PydanticCustomError as error:
        context = error.context or {}
        raise argparse.ArgumentTypeError(f"{context['what']}; {context['remedy']}") from None


def rate(text: str) -> float:
    """Read requests per second, 0 for none."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f'"{text}" is no rate: 0 to 10000 requests a second')
    return value


def variable(text: str) -> tuple[str, str]:
    """Read ``NAME=value``."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f'"{text}" is no variable: write it as NAME=value')
    return name, value


def words(text: str) -> tuple[str, ...]:
    """Read a command line, as a shell would."""
    try:
        found = tuple(shlex.split(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'"{text}" is no command: {error}') from None
    if not found:
        raise argparse.ArgumentTypeError("the command is empty")
    return found


def count(text: str) -> int:
    """Read a number of pods."""
    if not text.isdecimal() or not 1 <= int(text) <= 20:
        raise argparse.ArgumentTypeError(f'"{text}" is no number of pods: 1 to 20')
    return int(text)


def port(text: str) -> int:
    """Read a port, 0 for a free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f'"{text}" is no port: 0 to 65535')
    return int(text)


def add_plan(parser: argparse.ArgumentParser) -> None:
    """Declare the plan and what the cluster has before it."""
    parser.add_argument(
        "plan", metavar="PLAN", help="a directory such as istio/canary, or the plan.yaml in it"
    )
    parser.add_argument(
        "--given",
        metavar="DIR|FILE",
        action="append",
        default=[],
        help="what is in the cluster before (may be repeated; default: the plan's own)",
    )
    parser.add_argument(
        "--namespace",
        metavar="NAME",
        default="default",
        help="of objects that name none (default: default)",
    )
