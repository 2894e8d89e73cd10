"""All settings of the service, read from ``KV_*`` variables and flags."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Final

from .domain.limits import Rate, parse_rates
from .setting_kinds import (
    a_path,
    advice,
    anything,
    choice,
    choices,
    decimal,
    host_names,
    is_loopback,
    networks,
    on_or_off,
    origins,
    setting,
    token,
    whole,
)

PREFIX: Final = "KV_"
ROLES: Final = ("kv", "counters")

#: What one request may take of the byte budget, as multiples of the largest body: a batch and its
#: answer; a value and what PATCH makes of it.
BATCH_BUDGET_FACTOR: Final = 5
VALUE_BUDGET_FACTOR: Final = 2


class SettingInvalid(ValueError):
    """A setting can't be used. The message names it and says what is allowed."""


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
        choices(*ROLES),
        frozenset(ROLES),
        "which resources this process serves: kv, counters, or both",
    )
    host: str = setting(
        anything,
        "127.0.0.1",
        "address that the ports are bound to; other hosts reach 0.0.0.0 and ::",
    )
    port: int = setting(whole(0, 65535), 8080, "traffic port; 0 takes a free one")
    admin_port: int = setting(
        whole(0, 65535), 9102, "port of probes, metrics and version; 0 takes a free one"
    )
    admin_host: str = setting(
        anything, "", "address that the admin port is bound to; default: KV_HOST"
    )
    auth: str = setting(
        choice("none", "tokens"),
        "",
        "none: serve other hosts without asking who they are, behind something that does;"
        " tokens: start only with KV_TOKENS_FILE",
    )
    tokens_file: Path | None = setting(
        a_path, None, "file of the tokens that requests must have; read again when it changes"
    )
    hosts: frozenset[str] = setting(
        host_names,
        frozenset(),
        "names in Host that a port on a loopback address takes beside its own; *: any",
    )
    tls_cert_file: Path | None = setting(
        a_path, None, "certificate chain of both ports (PEM); read again when it changes"
    )
    tls_key_file: Path | None = setting(a_path, None, "its private key (PEM)")
    tls_client_ca_file: Path | None = setting(
        a_path, None, "CA that signs the certificates which clients of the traffic port must have"
    )
    rate_limits: Mapping[str, Rate | None] = setting(
        parse_rates,
        dict,
        "most requests of a client by class, such as read=100/s,write=600/m,delete=1/s,list=5/s",
    )
    rate_limit_failure: str = setting(
        choice("open", "closed"),
        "open",
        "while the store can't count requests: open lets them in, closed answers 503",
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = setting(
        networks, (), "networks of proxies whose X-Forwarded-For names the client"
    )
    cors_origins: frozenset[str] = setting(
        origins, frozenset(), "origins whose pages may use the API from a browser; *: any"
    )
    workers: int = setting(
        whole(1, 256),
        1,
        "processes that share the traffic port, one for each core; the admin port of number n is"
        " KV_ADMIN_PORT + n - 1",
    )
    version: str = setting(token, "", "version of this release; default: the package's")
    track: str = setting(
        token, "stable", "release track: stable, canary, baseline, blue, green, shadow"
    )
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
        whole(1, 1_000_000), 1024, "requests served at once; further ones wait for KV_QUEUE_MS"
    )
    queue_ms: int = setting(
        whole(0, 60_000),
        1000,
        "how long a request may wait until it is served; then it gets 503; 0: none waits",
    )
    max_connections: int = setting(
        whole(1, 1_000_000),
        1024,
        "most connections to the traffic port; further ones replace the oldest idle ones",
    )
    max_watchers: int = setting(
        whole(1, 1_000_000), 500, "most watches of this process; further ones get 503"
    )
    max_watchers_per_token: int = setting(
        whole(1, 1_000_000), 100, "most watches of one token in this process"
    )
    max_watcher_bytes: int = setting(
        whole(1, 1_099_511_627_776),
        1_048_576,
        "most bytes that wait for one watcher; a slower one is closed",
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
    if name == "pod":
        return "host name"
    if isinstance(declared.default, bool):
        return "on" if declared.default else "off"
    if name == "roles":
        return ",".join(ROLES)
    if name == "version":
        return "package"
    if name == "auth":  # "none" is a value of this one
        return "unset"
    if name == "admin_host":
        return env_name("host")
    if declared.default in (None, "", (), frozenset(), dataclasses.MISSING):
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
            f"{unknown[0]}: there is no such setting; {advice(unknown, list(known))}"
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
    _check_reach(settings)
    return settings


def _check_reach(settings: Settings) -> None:
    """Raise SettingInvalid if others reach a port, and nothing asks them who they are."""
    if settings.auth == "none" and settings.tokens_file is not None:
        raise SettingInvalid("KV_AUTH: none, but KV_TOKENS_FILE is set too: keep one")
    if settings.auth == "tokens" and settings.tokens_file is None:
        raise SettingInvalid("KV_AUTH: tokens, but KV_TOKENS_FILE is not set: it names their file")
    if "*" in settings.cors_origins and settings.tokens_file is None:
        raise SettingInvalid("KV_CORS_ORIGINS: * lets every web page in: set KV_TOKENS_FILE, too")
    for name in ("host", "admin_host"):
        host = getattr(settings, name)
        if host and not is_loopback(host) and not settings.auth and not settings.tokens_file:
            raise SettingInvalid(
                f"{env_name(name)}: whoever reaches {host} could read and delete everything: set"
                " KV_TOKENS_FILE, or KV_AUTH=none if a mesh or a firewall decides who gets in"
            )
