"""``tallykv serve``: settings, then serve, then the exit code."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import __version__
from .door.tokens import TokensInvalid
from .serving.server import ListenFailed, serve
from .serving.supervisor import supervise
from .serving.tls import TlsUnusable
from .serving.worker import CANT_START, WorkersFailed
from .serving.worker_channel import WorkerChannel
from .settings import FLAGS, SettingInvalid, Settings, flag_name, load_settings
from .stores.embedded import EmbeddedUnavailable
from .stores.reasons import PasswordUnreadable
from .stores.store_url import StoreUrlInvalid, mode_of
from .telemetry.logs import set_up_logs
from .telemetry.settings import TracingSettingInvalid, load_tracing, service_name

log = logging.getLogger(__package__)


def run_serve(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Serve until told to stop; return the exit code.

    0 after a drain, 1 if the workers or the embedded Redis kept ending, 2 if the service could not
    start.
    """
    channel = (
        WorkerChannel(arguments["channel"], arguments["parent"]) if "channel" in arguments else None
    )
    try:
        settings = load_settings(environ, arguments)
        tracing = load_tracing(environ)
    except (SettingInvalid, TracingSettingInvalid) as error:
        print(f"tallykv: {error}", file=sys.stderr)
        return 2
    if settings.log_format == "auto":
        found = "text" if sys.stderr.isatty() else "json"
        settings = dataclasses.replace(settings, log_format=found)
    as_json = settings.log_format == "json"
    resource = _resource(settings, environ)
    if channel is not None:
        resource["process.pid"] = str(os.getpid())
    is_shared = channel is not None or settings.workers > 1
    logs = set_up_logs(as_json=as_json, resource=resource, is_shared=is_shared)
    show = _log_ready if as_json else _print_ready

    def announce(port: int, admin_port: int) -> None:
        if channel is None:
            show(settings, port, [admin_port])
        else:
            channel.send_serving(admin_port)

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            if settings.workers > 1:
                command = _worker_command(arguments)
                runner.run(supervise(settings, command, lambda *ports: show(settings, *ports)))
            else:
                _warn_of_faults(settings)
                runner.run(serve(settings, announce, tracing, logs, channel))
    except WorkersFailed as error:
        if error.code != CANT_START:  # else the worker has printed the reason
            print(f"tallykv: {error}", file=sys.stderr)
        return error.code
    except ListenFailed as error:
        print(f"tallykv: {error}", file=sys.stderr)
        return 2
    except EmbeddedUnavailable as error:
        print(f"tallykv: {error}", file=sys.stderr)
        return 1 if error.has_served else 2
    except StoreUrlInvalid as error:
        print(f"tallykv: KV_STORE_URL: {error}", file=sys.stderr)
        return 2
    except TlsUnusable as error:
        print(f"tallykv: {error}", file=sys.stderr)
        return 2
    except TokensInvalid as error:
        print(f"tallykv: KV_TOKENS_FILE: {error}", file=sys.stderr)
        return 2
    except PasswordUnreadable as error:
        print(f"tallykv: KV_STORE_PASSWORD_FILE: {error}", file=sys.stderr)
        return 2
    finally:
        logs.close()
    return 0


def _worker_command(arguments: Mapping[str, str | None]) -> list[str]:
    """Return the command that starts a worker: this package, with the flags of this process.

    The worker inherits the environment.
    """
    # python -m looks into the current directory first. Unless this package is in it, -P keeps
    # another one of the same name there from being started instead.
    found_here = Path(__file__).parents[1] == Path.cwd()
    flags = [f"{flag_name(name)}={text}" for name in FLAGS if (text := arguments[name])]
    python = [sys.executable] if found_here else [sys.executable, "-P"]
    return [*python, "-m", str(__package__), "worker", f"--parent={os.getpid()}", *flags]


def _resource(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the OpenTelemetry resource attributes that every log line has."""
    return {
        "service.name": service_name(environ),
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


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not available on every platform; asyncio's own loop is slower
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
    scheme = "https" if settings.tls_cert_file else "http"
    where = f"{scheme}://{_reachable(settings.host)}:{port}"
    admin_host = _reachable(settings.admin_host or settings.host)
    version = settings.version or __version__
    workers = f" with {len(admin_ports)} workers" if len(admin_ports) > 1 else ""
    admin = ", ".join(f"{scheme}://{admin_host}:{each}" for each in admin_ports)
    lines = [f"tallykv {version} serves {where}{workers} (probes and metrics: {admin})"]
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


def _reachable(host: str) -> str:
    return "localhost" if host in {"0.0.0.0", "::"} else host  # noqa: S104
