"""Who sends the requests of a rehearsal, and with which tokens: arguments of ``rehearse``."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Final

from ..envoy.proxy import Proxy
from .exit_codes import UsageError

_CALLER: Final = re.compile(r"(?P<namespace>[a-z0-9-]+)(?:/(?P<account>[a-z0-9.-]+))?")
_LABEL: Final = re.compile(r"(?P<name>[\w./-]+)=(?P<value>[\w.-]*)")
_HEADER: Final = re.compile(r"(?P<name>[!#$%&'*+.^_`|~\w-]+):\s*(?P<value>.*)")


def add_caller_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add(
        "--caller",
        metavar="NAMESPACE[/ACCOUNT]",
        type=_parse_caller,
        help="send the requests from inside the mesh: from a pod of this namespace and service"
        " account (default: through the VirtualService's Gateway)",
    )
    add(
        "--caller-label",
        dest="caller_labels",
        metavar="NAME=VALUE",
        type=_parse_label,
        action="append",
        default=[],
        help="a label of the caller's pod (repeatable; needs --caller)",
    )
    add(
        "--header",
        dest="headers",
        metavar="'NAME: VALUE'",
        type=_parse_header,
        action="append",
        default=[],
        help="a header of every request, for example a token (repeatable)",
    )
    add(
        "--jwks",
        metavar="ISSUER|URI=FILE",
        type=_parse_keys,
        action="append",
        default=[],
        help="the keys (JWKS) of an issuer of tokens, or of a jwksUri (repeatable)",
    )


def caller_of(arguments: argparse.Namespace) -> Proxy | None:
    """Return the caller inside the mesh, None without ``--caller``; raise UsageError."""
    if arguments.caller is None:
        if arguments.caller_labels:
            raise UsageError("--caller-label needs --caller")
        return None
    namespace, account = arguments.caller
    return Proxy.sidecar(namespace, dict(arguments.caller_labels), account)


def _parse_caller(text: str) -> tuple[str, str]:
    found = _CALLER.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f'"{text}" is no caller: write it as NAMESPACE or NAMESPACE/ACCOUNT'
        )
    return found["namespace"], found["account"] or "default"


def _parse_label(text: str) -> tuple[str, str]:
    found = _LABEL.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f'"{text}" is no label: write it as NAME=VALUE')
    return found["name"], found["value"]


def _parse_header(text: str) -> tuple[str, str]:
    found = _HEADER.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"\"{text}\" is no header: write it as 'NAME: VALUE'")
    return found["name"], found["value"]


def _parse_keys(text: str) -> tuple[str, str]:
    name, equals, file = text.rpartition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f'"{text}" names no keys: write it as ISSUER=FILE')
    try:
        return name, Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{file}: {error}") from None
