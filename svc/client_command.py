"""``tallykv get``, ``put``, ``incr``, ``ls``, ``watch`` and ``rm``: the client as commands."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:  # imported when a command runs: the extra that brings httpx may be missing
    from .client import Client

ABSENT: Final = 1
USAGE: Final = 2
FAILED: Final = 3
REFUSED: Final = 4
FORBIDDEN: Final = 5
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141

EPILOG: Final = (
    "exit codes: 0; 1 there is no such entry or counter; 2 misuse; 3 the service failed or can't be"
    " reached, or the output can't be written; 4 the stored value does not allow it; 5 the token"
    " does not allow it"
)
#: The most that any service can be set to take (KV_MAX_VALUE_BYTES).
MOST_BYTES: Final = 16_777_216
#: Short, as somebody may wait at a terminal; long enough for a process that starts anew.
DEADLINE_SECONDS: Final = 5.0


class Unreadable(Exception):
    """A file or the input can't be read. The message names it."""


def add_client_commands(commands: Any) -> None:
    """Add the subcommands to argparse's subparsers."""
    get = _add(commands, "get", _get, "write an entry's bytes to standard output")
    get.add_argument("key")
    get.add_argument("-i", "--include", action="store_true", help="its ETag, type and TTL first")

    put = _add(commands, "put", _put, "store a value; print the entry's ETag")
    put.add_argument("key")
    put.add_argument("value", nargs="?", help="text (default: the bytes of standard input)")
    put.add_argument("--type", help="content type (default: text/plain; of input, bytes)")
    put.add_argument("--json", action="store_true", help="the value is JSON")
    put.add_argument("--ttl", type=_ttl, metavar="SECONDS", help="or none, or keep")
    put.add_argument("--if-match", metavar="ETAG", help="replace only this version")
    put.add_argument("--create", action="store_true", help="replace nothing")

    incr = _add(commands, "incr", _incr, "add to a counter; print its new value")
    incr.add_argument("name")
    incr.add_argument("by", nargs="?", type=int, default=1, help="how much (default: 1)")
    incr.add_argument("--min", type=int, metavar="N", help="refuse to go below")
    incr.add_argument("--max", type=int, metavar="N", help="refuse to go beyond")
    incr.add_argument("--ttl", type=int, metavar="SECONDS", help="of a new counter")

    ls = _add(commands, "ls", _ls, "print the keys of entries, in no particular order")
    ls.add_argument("prefix", nargs="?", default="", help="what they begin with")
    ls.add_argument("--counters", action="store_true", help="counters, with their values")
    ls.add_argument("--json", action="store_true", help="a line of JSON for each, with all facts")

    watch = _add(commands, "watch", _watch, "print a line of JSON for each change, until stopped")
    watch.add_argument("key", nargs="?", default="", help="ends in /, or absent: all below it")
    watch.add_argument("--prefix", action="store_true", help="the key is what keys begin with")
    watch.add_argument("--counters", action="store_true", help="counters instead of entries")

    rm = _add(commands, "rm", _rm, "delete entries")
    rm.add_argument("key", nargs="+")
    rm.add_argument("--counters", action="store_true", help="counters instead of entries")

    for write in (put, incr):
        write.add_argument(
            "--idempotency-key", default=True, metavar="KEY", help="of an earlier try, to repeat it"
        )


def _add(
    commands: Any, name: str, call: Callable[[Client, Any], int], doc: str
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=doc, description=f"{doc[0].upper()}{doc[1:]}.", epilog=EPILOG
    )
    command.set_defaults(call=call)
    command.add_argument("--url", help="where the service is [TALLYKV_URL=http://localhost:8080]")
    command.add_argument("--token-file", help="file of the token [TALLYKV_TOKEN: the token]")
    command.add_argument("--ca-file", help="CA that signed the service's certificate (PEM)")
    command.add_argument("--cert-file", help="certificate to show (PEM)")
    command.add_argument("--key-file", help="its private key (PEM)")
    command.add_argument(
        "--deadline",
        type=_seconds,
        default=DEADLINE_SECONDS,
        metavar="SECONDS",
        help=f"how long to try (default: {DEADLINE_SECONDS:g})",
    )
    return command


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not seconds > 0:  # nan is not either
        raise argparse.ArgumentTypeError("it must be more than 0 seconds")
    return seconds


def _ttl(text: str) -> int | str:
    if text in {"none", "keep"}:
        return text
    if not text.isdigit():
        raise argparse.ArgumentTypeError("it must be seconds, none or keep")
    return int(text)


def run_client_command(arguments: Mapping[str, Any]) -> int:
    """Run the subcommand; return its exit code, as EPILOG lists them."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # as keys are, whatever the locale
    try:
        from .client import Client, Error
    except ImportError as error:
        print(f"tallykv: {error}", file=sys.stderr)
        return USAGE
    options = argparse.Namespace(**arguments)
    try:
        token = _read_token(Path(options.token_file)) if options.token_file else None
        with Client(
            options.url,
            token=token,
            deadline=options.deadline,
            ca_file=options.ca_file,
            cert_file=options.cert_file,
            key_file=options.key_file,
        ) as client:
            code: int = options.call(client, options)
            sys.stdout.flush()
            return code
    except Error as error:
        code, advice = _judge(error, options)
        print(f"tallykv: {error}{advice}", file=sys.stderr)
        return code
    except BrokenPipeError:  # who reads has read enough, as head does
        _drop_output()
        return BROKEN_PIPE
    except Unreadable as error:
        print(f"tallykv: {error}", file=sys.stderr)
        return USAGE
    except OSError as error:
        print(f"tallykv: standard output: {error.strerror}", file=sys.stderr)
        _drop_output()
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _drop_output() -> None:
    """Let nothing that waits be written at the end: it would fail again, with another code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _read_token(path: Path) -> str:
    """Return the token in the file. Raises Unreadable."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unreadable(f"{path}: it is not UTF-8") from None


def _read_input() -> bytes:
    """Return the value on standard input. Raises Unreadable."""
    if sys.stdin is None:  # closed, which is not empty
        raise Unreadable("standard input is closed: give the value as an argument")
    try:
        value = sys.stdin.buffer.read(MOST_BYTES + 1)
    except OSError as error:
        raise Unreadable(f"standard input: {error.strerror}") from None
    if len(value) > MOST_BYTES:
        raise Unreadable(f"standard input: no service takes more than {MOST_BYTES} bytes")
    return value


def _judge(error: Any, options: argparse.Namespace) -> tuple[int, str]:
    """Return the exit code for an error of the client, and what to do."""
    from .client import Conflict, Invalid, Missing, NotAllowed, Unauthenticated, Unavailable

    if isinstance(error, Missing):
        return ABSENT, ""
    if isinstance(error, Invalid):
        return USAGE, ""
    if isinstance(error, Unauthenticated):
        return FORBIDDEN, "; give a token in TALLYKV_TOKEN, or its file with --token-file"
    if isinstance(error, NotAllowed):
        return FORBIDDEN, ""
    if isinstance(error, Conflict):
        return REFUSED, ""
    if error.applied == "unknown" and error.idempotency_key is not None:
        if "idempotency_key" not in options:
            return FAILED, "; to be sure, delete it again"
        return FAILED, f"; to repeat it safely, add --idempotency-key {error.idempotency_key}"
    if isinstance(error, Unavailable) and error.status is None:
        return FAILED, "; start a service with: tallykv serve, or name one: --url, TALLYKV_URL"
    return FAILED, ""


def _get(client: Client, options: Any) -> int:
    entry = client.get(options.key)
    out = sys.stdout.buffer
    if options.include:
        ttl = "none" if entry.ttl is None else entry.ttl
        head = f"ETag: {entry.etag}\nContent-Type: {entry.content_type}\nKV-TTL: {ttl}\n\n"
        out.write(head.encode())
    out.write(entry.body)
    out.flush()
    return 0


def _put(client: Client, options: Any) -> int:
    value = _read_input() if options.value is None else options.value
    written = client.put(
        options.key,
        value,
        content_type="application/json" if options.json else options.type,
        ttl=options.ttl,
        if_match=options.if_match,
        if_none_match="*" if options.create else None,
        idempotency_key=options.idempotency_key,
    )
    print(written.etag)
    return 0


def _incr(client: Client, options: Any) -> int:
    stepped = client.increment(
        options.name,
        options.by,
        minimum=options.min,
        maximum=options.max,
        ttl=options.ttl,
        idempotency_key=options.idempotency_key,
    )
    print(stepped.value)
    return 0


def _ls(client: Client, options: Any) -> int:
    listed: Iterator[Any] = (
        client.counters(options.prefix) if options.counters else client.entries(options.prefix)
    )
    for each in listed:
        if options.json:
            print(msgspec.json.encode(each).decode())
        elif options.counters:
            print(f"{each.name}\t{each.value}")
        else:
            print(each.key)
    return 0


def _watch(client: Client, options: Any) -> int:
    is_prefix = options.prefix or not options.key or options.key.endswith("/")
    if options.counters:
        watch = client.watch_counters if is_prefix else client.watch_counter
        events: Iterator[Any] = watch(options.key)
    elif is_prefix:
        events = client.watch_prefix(options.key, values=True)
    else:
        events = client.watch(options.key)
    for event in events:
        print(msgspec.json.encode(_told(event)).decode(), flush=True)
    return 0


def _told(event: Any) -> dict[str, Any]:
    """Return an event as its line says it: the value as JSON, as text, or in base64."""
    from .client import Changed, Counted, Deleted, Entry

    if isinstance(event, Counted):
        return {"event": "counter", "name": event.name, "value": event.value, "ttl": event.ttl}
    if isinstance(event, Deleted):
        return {"event": "deleted", "name": event.name}
    if not isinstance(event, Changed):
        return {"event": "synced"}
    entry = event.entry
    told = {"event": "entry", "name": entry.key, "etag": entry.etag, "ttl": entry.ttl}
    told["type"] = entry.content_type
    if isinstance(entry, Entry):
        told |= entry.shown()
    return told


def _rm(client: Client, options: Any) -> int:
    code = 0
    for key in options.key:
        was_there = client.delete_counter(key) if options.counters else client.delete(key)
        if not was_there:
            print(f"tallykv: there is no {key!r}", file=sys.stderr)
            code = ABSENT
    return code
