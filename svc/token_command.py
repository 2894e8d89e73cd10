"""``tallykv token``: make, list and revoke tokens, by rewriting the tokens file as a whole."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .domain.access import ANY, SCOPES
from .door.tokens import (
    MARK,
    NEVER,
    TokensInvalid,
    digest_of,
    parse_line,
    parse_tokens,
    quoted,
    render_time,
)

_DAYS: Final = re.compile(r"([1-9][0-9]{0,4})([dh])")
_SECONDS: Final = {"d": 86_400, "h": 3_600}
BROKEN_PIPE: Final = 141


def add_token_command(commands: Any) -> None:
    """Add the subcommand to argparse's subparsers."""
    token = commands.add_parser(
        "token",
        help="make, list and revoke tokens",
        description="Make, list and revoke the tokens of a file. Running services read it again.",
    )
    verbs = token.add_subparsers(required=True, dest="verb", metavar="create|list|revoke")
    create = verbs.add_parser("create", help="add a token, and print it once")
    create.add_argument("--scope", required=True, help="some of read,write,delete,admin")
    create.add_argument("--id", help="its name in logs and traces (default: a random one)")
    create.add_argument("--expires", metavar="90d", help="when it ends: 90d, 12h (default: never)")
    create.add_argument(
        "--prefix", action="append", default=[], help="keys that it is limited to; repeatable"
    )
    create.add_argument(
        "--counter-prefix",
        action="append",
        default=[],
        help="counters that it is limited to; repeatable",
    )
    create.add_argument("--rates", metavar="read=100/s,…", help="rates of its own, by class")
    revoke = verbs.add_parser("revoke", help="remove a token")
    revoke.add_argument("id")
    for verb in (create, revoke, verbs.add_parser("list", help="show the tokens' lines")):
        verb.add_argument("--file", help="the tokens file [KV_TOKENS_FILE]")


def run_token_command(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Run the subcommand; return its exit code: 0, 1 if there is no such token, 2 for misuse."""
    named = arguments["file"] or environ.get("KV_TOKENS_FILE")
    if not named:
        print("tallykv: name the file: --file, or KV_TOKENS_FILE", file=sys.stderr)
        return 2
    # A link stays one: what it leads to is replaced.
    path = Path(named).resolve()
    try:
        if arguments["verb"] == "list":
            return _list(path)
        if arguments["verb"] == "revoke":
            return _revoke(path, arguments["id"])
        return _create(path, arguments)
    except (TokensInvalid, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        print(f"tallykv: {path}: {reason}", file=sys.stderr)
        return 2


def _create(path: Path, arguments: Mapping[str, Any]) -> int:
    name = arguments["id"] or secrets.token_hex(4)
    text = f"{MARK}_{name}_{secrets.token_hex(32)}"
    words = [name, f"sha256:{digest_of(text).hex()}", arguments["scope"]]
    if arguments["expires"] is not None:
        found = _DAYS.fullmatch(arguments["expires"])
        if found is None:
            raise TokensInvalid("--expires must be days or hours, such as 90d or 12h")
        words.append(f"expires={render_time(time.time() + int(found[1]) * _SECONDS[found[2]])}")
    for option, prefixes in (("keys", "prefix"), ("counters", "counter_prefix")):
        if arguments[prefixes]:
            try:
                words.append(f"{option}={','.join(map(quoted, arguments[prefixes]))}")
            except UnicodeEncodeError:
                raise TokensInvalid("a prefix is not UTF-8") from None
    if arguments["rates"] is not None:
        words.append(f"rates={arguments['rates']}")
    line = " ".join(words)
    if line.split() != words:  # else parts of it would be another line of the file
        raise TokensInvalid("an option is empty, or holds spaces or line breaks")
    parse_line(line)
    with _rewriting(path) as lines:
        if name in parse_tokens("\n".join(lines)):
            raise TokensInvalid("it has a token with this id")
        lines.append(line)
    print(f"tallykv: {line}\ntallykv: the token is not shown again:", file=sys.stderr)
    code = _show(text)
    if code:
        print(f"tallykv: nobody has seen the token: revoke {name}", file=sys.stderr)
    return code


def _show(text: str) -> int:
    """Print the text; return the exit code."""
    try:
        print(text, flush=True)
    except OSError as error:
        # What waits would fail again at the end, with another exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # who reads has read enough
            return BROKEN_PIPE
        print(f"tallykv: standard output: {error.strerror}", file=sys.stderr)
        return 2
    return 0


def _read(path: Path) -> str:
    """Return the file's text. Raises TokensInvalid."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise TokensInvalid("it is not UTF-8") from None


def _list(path: Path) -> int:
    lines = []
    for token in parse_tokens(_read(path)).values():
        grant, ends = token.grant, token.expires
        words = [grant.id, ",".join(scope for scope in SCOPES if scope in grant.scopes)]
        if ends != NEVER:
            words.append(f"expires={render_time(ends)}{'' if ends > time.time() else ' (expired)'}")
        for kind, prefixes in (("keys", grant.keys), ("counters", grant.counters)):
            if prefixes != ANY:
                words.append(f"{kind}={','.join(map(quoted, prefixes)) or 'none'}")
        if grant.rates:
            shown = (f"{name}={rate or 'none'}" for name, rate in grant.rates.items())
            words.append(f"rates={','.join(shown)}")
        lines.append(" ".join(words))
    return _show("\n".join(lines)) if lines else 0


def _revoke(path: Path, name: str) -> int:
    with _rewriting(path) as lines:
        kept = [line for line in lines if line.split(maxsplit=1)[:1] != [name]]
        if len(kept) == len(lines):
            print(f"tallykv: {path}: there is no such token", file=sys.stderr)
            return 1
        lines[:] = kept
    return 0


@contextlib.contextmanager
def _rewriting(path: Path) -> Iterator[list[str]]:
    """Yield the file's lines to change, and replace the file by them. One process at a time."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        before = _read(path).splitlines() if path.exists() else []
        lines = before.copy()
        yield lines
        if lines == before:
            return
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(number, "w", encoding="utf-8") as file:
            if path.exists():
                os.fchmod(number, path.stat().st_mode & 0o777)
            file.write("".join(f"{line}\n" for line in lines))
            file.flush()
            os.fsync(number)
        # A service that reads at this moment gets the old file or the new one, and no part.
        Path(name).replace(path)
    finally:
        os.close(folder)
