"""``tallykv``: start reading here: settings, serve, exit code."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from . import __version__
from .server import ListenFailed, serve
from .settings import (
    FIELDS,
    SettingInvalid,
    Settings,
    env_name,
    flag_name,
    load_settings,
    shown_default,
)
from .stores.embedded import EmbeddedUnavailable
from .stores.opening import StoreUrlInvalid, mode_of
from .telemetry.logs import set_up_logs
from .tracing_settings import load_tracing, service_name

log = logging.getLogger("svc")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 after a drain, 2 when it could not start."""
    arguments = build_parser().parse_args(argv)
    try:
        settings = load_settings(os.environ, vars(arguments))
        tracing = load_tracing(os.environ)
    except SettingInvalid as error:
        print(f"tallykv: {error}", file=sys.stderr)
        return 2
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )
    logs = set_up_logs(as_json=as_json, resource=_speaker(settings))
    announce = _log_ready if as_json else _print_ready
    try:
        _warn_of_faults(settings)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(
                serve(
                    settings,
                    lambda port, admin_port: announce(settings, port, admin_port),
                    tracing,
                    logs,
                )
            )
    except (ListenFailed, EmbeddedUnavailable) as error:
        print(f"tallykv: {error}", file=sys.stderr)
        return 2
    except StoreUrlInvalid as error:
        print(f"tallykv: KV_STORE_URL: {error}", file=sys.stderr)
        return 2
    finally:
        logs.close()
    return 0


def _speaker(settings: Settings) -> dict[str, str]:
    """Return what every log line says of who wrote it."""
    return {
        "service.name": service_name(os.environ),
        "service.version": settings.version or __version__,
        "service.instance.id": settings.pod,
        "track": settings.track,
    }


def _warn_of_faults(settings: Settings) -> None:
    if settings.injects_faults:
        log.warning(
            "deliberate faults are on for /v1",
            extra={
                "error_ratio": settings.fault_error_ratio,
                "latency_ms": settings.fault_latency_ms,
                "latency_ratio": settings.fault_latency_ratio,
            },
        )


def build_parser() -> argparse.ArgumentParser:
    """Build the command line: one flag for each setting, read as text and checked later."""
    parser = argparse.ArgumentParser(prog="tallykv", description="key-value and counter service")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="serve")
    serving = commands.add_parser(
        "serve",
        help="serve until SIGTERM or SIGINT",
        description="Serve until SIGTERM or SIGINT. Each flag is also an environment variable.",
    )
    for name, declared in FIELDS.items():
        serving.add_argument(
            flag_name(name),
            dest=name,
            metavar="VALUE",
            help=f"{declared.metadata['doc']} [{env_name(name)}={shown_default(name)}]".replace(
                "%", "%%"
            ),
        )
    return parser


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not on every platform; asyncio's own loop serves as well, slower
        return None
    return uvloop.Loop


def _log_ready(settings: Settings, port: int, admin_port: int) -> None:
    log.info(
        "serving",
        extra={
            "host": settings.host,
            "port": port,
            "admin_port": admin_port,
            "store": mode_of(settings.store_url),
        },
    )


def _print_ready(settings: Settings, port: int, admin_port: int) -> None:
    host = "localhost" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104
    where = f"http://{host}:{port}"
    version = settings.version or __version__
    lines = [f"tallykv {version} serves {where} (probes and metrics: http://{host}:{admin_port})"]
    if mode_of(settings.store_url) == "embedded":
        lines.append(f"data: {settings.data_dir.absolute()}")
    else:
        lines.append(f"store: {mode_of(settings.store_url)}")
    lines += [
        "try:",
        f"  curl -i -X PUT {where}/v1/kv/greeting -H 'Content-Type: text/plain' -d hello",
        f"  curl -i {where}/v1/kv/greeting",
        f"  curl -X POST {where}/v1/counters/visits/increments",
    ]
    print("\n".join(lines), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
