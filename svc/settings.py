"""All settings of the service, read from ``KV_*`` variables and flags."""

from __future__ import annotations

import dataclasses
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

PREFIX: Final = "KV_"
ROLES: Final = ("kv", "counters")

#: What one request may take of the byte budget, as multiples of the largest body: a batch and its
#: answer; a value and what PATCH makes of it.
BATCH_BUDGET_FACTOR: Final = 5
VALUE_BUDGET_FACTOR: Final = 2

_TOKEN: Final = re.compile(r"[!-~]{1,128}")


class SettingInvalid(ValueError):
    """A setting can't be used. The message names it and says what is allowed."""


def setting(parse: Callable[[str], Any], default: Any, doc: str, *, is_secret: bool = False) -> Any:
    """Declare a setting: its parser, its default (or a function that returns it), and its doc.

    The parser raises ValueError, whose message completes "… is not". A secret has no flag: every
    user of the machine can read the command line.
    """
    metadata = {"parse": parse, "doc": doc, "is_secret": is_secret}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def decimal(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", text) or not low <= float(text) <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return float(text)

    return parse


def token(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError("1 to 128 visible ASCII characters, without spaces")
    return text


def roles(text: str) -> frozenset[str]:
    chosen = frozenset(part.strip() for part in text.split(","))
    if not chosen <= set(ROLES):
        raise ValueError(f"a comma-separated choice of {', '.join(ROLES)}")
    return chosen


def anything(text: str) -> str:
    if not text:
        raise ValueError("not empty")
    return text


def a_path(text: str) -> Path:
    return Path(anything(text))


def choice(*names: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return text

    return parse


def on_or_off(text: str) -> bool:
    return choice("on", "off")(text) == "on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings. Each field is the variable ``KV_<NAME>`` and the flag ``--<name>``."""

    store_url: str = setting(
        anything,
        "embedded:",
        "where the data lives: embedded:, redis://, rediss://, unix://,"
        " redis+sentinel://host:port,host:port/service, redis+cluster://host:port,…",
    )
    store_password: str = setting(
        anything, "", "the store's password, instead of one in KV_STORE_URL", is_secret=True
    )
    store_password_file: Path | None = setting(
        a_path, None, "file that holds the store's password; read for each new connection"
    )
    data_dir: Path = setting(
        a_path, Path("tallykv-data"), "directory of the embedded store's append-only file"
    )
    roles: frozenset[str] = setting(
        roles, frozenset(ROLES), "which resources this process serves: kv, counters, or both"
    )
    host: str = setting(anything, "0.0.0.0", "address that the ports are bound to")  # noqa: S104
    port: int = setting(whole(0, 65535), 8080, "traffic port; 0 takes a free one")
    admin_port: int = setting(
        whole(0, 65535), 9102, "port of probes, metrics and version; 0 takes a free one"
    )
    admin_host: str = setting(
        anything, "", "address that the admin port is bound to; default: KV_HOST"
    )
    workers: int = setting(
        whole(1, 256),
        1,
        "processes that share the traffic port, one for each core; the admin port of number n is"
        " KV_ADMIN_PORT + n - 1",
    )
    version: str = setting(token, "", "version of this release; default: the package's")
    track: str = setting(token, "stable", "release track: stable, canary, blue, green, shadow")
    pod: str = setting(token, socket.gethostname, "this pod's name; default: the host name")
    drain_seconds: float = setting(
        decimal(0, 3600), 5.0, "how long to keep serving after SIGTERM, with /readyz at 503"
    )
    shutdown_seconds: float = setting(
        decimal(0, 3600), 10.0, "how long requests in progress may take after the drain"
    )
    default_ttl: int = setting(
        whole(1, 315_360_000), 31_104_000, "TTL of entries written without one, in seconds"
    )
    idempotency_ttl: int = setting(
        whole(1, 604_800), 900, "how long an idempotency key is remembered, in seconds"
    )
    max_value_bytes: int = setting(whole(1, 16_777_216), 1_048_576, "largest value, in bytes")
    max_batch_bytes: int = setting(whole(1, 67_108_864), 4_194_304, "largest batch body, in bytes")
    max_batch_operations: int = setting(whole(1, 10_000), 500, "most operations in a batch")
    max_in_flight: int = setting(
        whole(1, 1_000_000), 1024, "most concurrent requests; further ones get 503 immediately"
    )
    max_connections: int = setting(
        whole(1, 1_000_000),
        1024,
        "most connections to the traffic port; further ones replace the oldest idle ones",
    )
    max_buffered_bytes: int = setting(
        whole(1, 1_099_511_627_776),
        67_108_864,
        "most bytes of bodies, values and unsent answers held; beyond it, requests get 503",
    )
    store_timeout_ms: int = setting(whole(1, 60_000), 500, "timeout of a store operation")
    header_timeout_seconds: float = setting(
        decimal(0.1, 3600), 10.0, "how long a client may take to send a request's head"
    )
    body_timeout_seconds: float = setting(
        decimal(0.1, 3600), 10.0, "how long a client may take to send a request's body"
    )
    send_timeout_seconds: float = setting(
        decimal(0.1, 3600),
        10.0,
        "how long a client may take to receive any 64 KiB of an answer",
    )
    keepalive_seconds: float = setting(
        decimal(1, 86_400),
        620.0,
        "how long an idle connection stays open; must be longer than the proxy's timeout",
    )
    revision: str = setting(token, "unknown", "commit that was built; shown in kv_build_info")
    log_format: str = setting(
        choice("auto", "json", "text"), "auto", "auto: text on a terminal, else JSON lines"
    )
    access_log: str = setting(
        choice("notable", "all"),
        "notable",
        "notable: an access line for each failed, slow or sampled request, at most 100 a second;"
        " all: for each request",
    )
    slow_ms: int = setting(whole(1, 600_000), 100, "a request of this duration or longer is slow")
    traces_per_second: float = setting(
        decimal(0, 1_000_000), 100.0, "most sampled requests a second; 0: no limit"
    )
    trace_keys: bool = setting(
        on_or_off, True, "whether spans contain keys (url.path); off: the route instead"
    )
    telemetry: bool = setting(
        on_or_off, True, "off: no metrics, traces or access lines, to measure their cost"
    )
    fault_error_ratio: float = setting(
        decimal(0, 1), 0.0, "for rehearsals: ratio of /v1 requests that get a deliberate 500"
    )
    fault_latency_ms: int = setting(
        whole(0, 600_000), 0, "for rehearsals: latency added to /v1 requests"
    )
    fault_latency_ratio: float = setting(
        decimal(0, 1), 1.0, "for rehearsals: ratio of /v1 requests that get that latency"
    )

    @property
    def injects_faults(self) -> bool:
        return self.fault_error_ratio > 0 or (
            self.fault_latency_ms > 0 and self.fault_latency_ratio > 0
        )


FIELDS: Final = {f.name: f for f in dataclasses.fields(Settings)}
#: The settings that are flags, too.
FLAGS: Final = [name for name, declared in FIELDS.items() if not declared.metadata["is_secret"]]


def env_name(name: str) -> str:
    return PREFIX + name.upper()


def flag_name(name: str) -> str:
    return "--" + name.replace("_", "-")


def shown_default(name: str) -> str:
    """Return the default as the documentation and ``--help`` show it."""
    declared = FIELDS[name]
    if declared.default is dataclasses.MISSING:
        return "host name"
    if isinstance(declared.default, bool):
        return "on" if declared.default else "off"
    if isinstance(declared.default, frozenset):
        return ",".join(ROLES)
    if name == "version":
        return "package"
    if name == "admin_host":
        return env_name("host")
    if declared.default in (None, ""):
        return "none"
    if isinstance(declared.default, float):
        return f"{declared.default:g}"
    return str(declared.default)


def load_settings(environ: Mapping[str, str], flags: Mapping[str, str | None]) -> Settings:
    """Parse the settings. A flag overrides its variable. Raises SettingInvalid."""
    known = {env_name(name): name for name in FIELDS}
    unknown = sorted(n for n in environ if n.startswith(PREFIX) and n not in known)
    if unknown:
        raise SettingInvalid(
            f"{unknown[0]}: there is no such setting; {_advice(unknown, list(known))}"
        )
    values: dict[str, Any] = {}
    for variable, name in known.items():
        flag = flags.get(name)
        text = environ.get(variable) if flag is None else flag
        if text is None:
            continue
        try:
            values[name] = FIELDS[name].metadata["parse"](text)
        except ValueError as error:
            source = variable if flag is None else flag_name(name)
            hint = ""
            if text.startswith("tcp://"):
                hint = " (a Kubernetes Service named kv sets this: use enableServiceLinks: false)"
            # A URL in the wrong place: it may hold a password.
            hidden = "://" in text or "@" in text or FIELDS[name].metadata["is_secret"]
            shown = "***" if hidden else repr(text)
            raise SettingInvalid(f"{source}: {shown} is not {error}{hint}") from None
    settings = Settings(**values)
    if settings.store_password and settings.store_password_file is not None:
        raise SettingInvalid("KV_STORE_PASSWORD_FILE: KV_STORE_PASSWORD is set too: keep one")
    least = max(
        BATCH_BUDGET_FACTOR * settings.max_batch_bytes,
        VALUE_BUDGET_FACTOR * settings.max_value_bytes,
    )
    if settings.max_buffered_bytes < least:
        raise SettingInvalid(
            f"KV_MAX_BUFFERED_BYTES: one request may need {least} bytes, with this"
            f" KV_MAX_BATCH_BYTES and KV_MAX_VALUE_BYTES; {settings.max_buffered_bytes} is less"
        )
    return settings


def _advice(unknown: Sequence[str], known: Sequence[str]) -> str:
    close = get_close_matches(unknown[0], known, n=1)
    return f"did you mean {close[0]}?" if close else "`serve --help` lists them all"
