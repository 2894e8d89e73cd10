"""The subcommand ``judge``: verdicts over HTTP, for releases that others roll out."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import sys
import time
from pathlib import Path
from typing import Final

from ..judge.comparison import Clocks
from ..judge.comparisons import Comparisons, Limits
from ..judge.definition import DefinitionInvalid, JudgeFile, parse_judge_file
from ..judge.server import build_app, serve
from ..prometheus.source import PrometheusServer
from .arguments import parse_port, parse_seconds
from .exit_codes import UsageError, run_command

NAME: Final = "judge"
_EPILOG: Final = """\
Answers questions of Flagger, Argo Rollouts, Kargo or any other program: is the canary worse than
the stable release, and is it proven to be good? The evidence is the same as that of run; the
weights belong to the other program.

  tallykv-rollout judge --config judge.yaml
  curl localhost:9280/v1/comparisons/kv
  curl -X POST localhost:9280/v1/comparisons/kv/gate/advance     200: go on; 403: wait

PROMETHEUS_TOKEN is the bearer token for Prometheus. There is no authentication: whoever reaches
the port can define comparisons and delete their evidence.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--config", metavar="FILE", help="comparisons, as YAML")
    parser.add_argument(
        "--prometheus",
        metavar="URL",
        help="address of the Prometheus server, for comparisons that name none (default: that of"
        " the file)",
    )
    parser.add_argument(
        "--host", metavar="NAME", default="127.0.0.1", help="listen here (default: 127.0.0.1)"
    )
    parser.add_argument(
        "--port",
        type=parse_port,
        metavar="PORT",
        default=9280,
        help="default: 9280; 0 takes a free one",
    )
    parser.add_argument(
        "--state",
        metavar="DIR",
        default=".tallykv-rollout/judge",
        help="where evidence is saved (default: .tallykv-rollout/judge)",
    )
    parser.add_argument(
        "--idle",
        type=parse_seconds,
        metavar="TIME",
        default=3600.0,
        help="end a comparison that nobody asked for so long (default: 1h)",
    )
    parser.add_argument(
        "--max-comparisons",
        type=_parse_count,
        metavar="NUMBER",
        default=100,
        help="the most comparisons at a time (default: 100)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    return run_command(NAME, _run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    configured = _read_config(arguments.config)
    url = arguments.prometheus or configured.prometheus
    token = os.environ.get("PROMETHEUS_TOKEN", "")
    if url is None and (
        lacking := [each.name for each in configured.comparisons if not each.prometheus]
    ):
        raise UsageError(f"{', '.join(lacking)}: no Prometheus; give --prometheus")
    if url is None and not configured.comparisons:
        raise UsageError("there is nothing to compare; give --config, or --prometheus")
    comparisons = Comparisons(
        {each.name: each for each in configured.comparisons},
        None if url is None else PrometheusServer(url=url, token=token),
        Path(arguments.state),
        Limits(comparisons=arguments.max_comparisons, idle_seconds=arguments.idle),
        Clocks(time.time, time.monotonic),
        token,
    )
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(comparisons.running())
        try:
            port = await stack.enter_async_context(
                serve(build_app(comparisons), arguments.host, arguments.port)
            )
        except OSError as error:
            raise UsageError(
                f"{arguments.host}:{arguments.port}: {error.strerror}; choose another --port"
            ) from None
        sys.stdout.write(f"listening on http://{arguments.host}:{port}\n")
        sys.stdout.flush()
        # Ctrl-C and SIGTERM cancel it: the end of a server is no error.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    return 0


def _read_config(path: str | None) -> JudgeFile:
    if path is None:
        return JudgeFile()
    try:
        return parse_judge_file(Path(path).read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} can't be read: {error}") from None
    except DefinitionInvalid as error:
        raise UsageError(str(error)) from None


def _parse_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f'"{text}" is no number of comparisons: 1 to 10000')
    return int(text)
