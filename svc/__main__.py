"""``tallykv``: start reading here: settings, serve, exit code."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import __version__
from .serving.server import ListenFailed, serve
from .serving.supervisor import CANT_START, WorkersFailed, supervise
from .serving.worker_channel import Tether
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
    """Run the command; return its exit code.

    0 after a drain, 1 when the workers could not be kept alive, 2 when it could not start.
    """
    arguments = vars(build_parser().parse_args(argv))
    tether = Tether(arguments["tether"], arguments["parent"]) if "tether" in arguments else None
    try:
        settings = load_settings(os.environ, arguments)
        tracing = load_tracing(os.environ)
    except SettingInvalid as error:
        print(f"tallykv: {error}", file=sys.stderr)
        return 2
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )
    resource = _speaker(settings)
    if tether is not None:
        resource["process.pid"] = str(os.getpid())
    logs = set_up_logs(as_json=as_json, resource=resource, is_shared=tether is not None)
    tell = _log_ready if as_json else _print_ready

    def announce(port: int, admin_port: int) -> None:
        if tether is None:
            tell(settings, port, [admin_port])
        else:
            tether.tell_serving(admin_port)

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            if settings.workers > 1:
                command = _worker_command(arguments)
                runner.run(supervise(settings, command, lambda *ports: tell(settings, *ports)))
            else:
                _warn_of_faults(settings)
                runner.run(serve(settings, announce, tracing, logs, tether))
    except WorkersFailed as error:
        if error.code != CANT_START:  # the worker has said why
            print(f"tallykv: {error}", file=sys.stderr)
        return error.code
    except (ListenFailed, EmbeddedUnavailable) as error:
        print(f"tallykv: {error}", file=sys.stderr)
        return 2
    except StoreUrlInvalid as error:
        print(f"tallykv: KV_STORE_URL: {error}", file=sys.stderr)
        return 2
    finally:
        logs.close()
    return 0


def _worker_command(arguments: Mapping[str, str | None]) -> list[str]:
    """Return what starts a worker: this package, the environment as it is, and the same flags."""
    # python -m looks into the current directory first. Found elsewhere, this package must not lose
    # to one of the same name that happens to lie there.
    found_here = Path(__file__).parents[1] == Path.cwd()
    flags = [f"{flag_name(name)}={text}" for name in FIELDS if (text := arguments[name])]
    python = [sys.executable] if found_here else [sys.executable, "-P"]
    return [*python, "-m", "svc", "worker", f"--parent={os.getpid()}", *flags]


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
    # How a supervisor starts a worker; without help it is not listed.
    worker = commands.add_parser("worker")
    worker.add_argument("--parent", type=int, required=True)
    worker.add_argument("--tether", type=int, required=True)
    for command in (serving, worker):
        _add_settings(command)
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    for name, declared in FIELDS.items():
        parser.add_argument(
            flag_name(name),
            dest=name,
            metavar="VALUE",
            help=f"{declared.metadata['doc']} [{env_name(name)}={shown_default(name)}]".replace(
                "%", "%%"
            ),
        )


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not on every platform; asyncio's own loop serves as well, slower
        return None
    return uvloop.Loop


def _log_ready(settings: Settings, port: int, admin_ports: Sequence[int]) -> None:
    admin = (
        {"admin_port": admin_ports[0]}
        if len(admin_ports) == 1
        else {"workers": len(admin_ports), "admin_ports": list(admin_ports)}
    )
    log.info(
        "serving",
        extra={
            "host": settings.host,
            "port": port,
            **admin,
            "store": mode_of(settings.store_url),
        },
    )


def _print_ready(settings: Settings, port: int, admin_ports: Sequence[int]) -> None:
    host = "localhost" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104
    where = f"http://{host}:{port}"
    version = settings.version or __version__
    crew = f" with {len(admin_ports)} workers" if len(admin_ports) > 1 else ""
    admin = ", ".join(f"http://{host}:{each}" for each in admin_ports)
    lines = [f"tallykv {version} serves {where}{crew} (probes and metrics: {admin})"]
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
