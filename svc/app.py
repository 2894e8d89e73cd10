"""All wiring: builds the traffic and the admin application from the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Middleware

from . import __version__
from .api import admin
from .api.admission import ADMISSION, Admission
from .api.budget import BUDGET, ByteBudget
from .api.context import (
    CHARGING,
    IDENTITY,
    LIFECYCLE,
    ROLES,
    SIGNALS,
    STORE,
    Charging,
    Identity,
    Lifecycle,
)
from .api.docs import CONTRACT_VERSION
from .api.json_turns import JSON_TURNS, JsonTurns
from .api.limits import LIMITS, Limits
from .api.middlewares import answer_uncached, inject_faults, observe_request
from .api.routes import admin_routes, traffic_routes
from .api.static_files import SHELF, Shelf
from .api.status import GRANTING, Granting
from .api.strict_json import MAX_DEPTH, MAX_NODES
from .api.tokens_status import TOKENS_STATUS
from .api.watchers import WATCHERS, Watchers
from .domain.model import MAX_KEY_BYTES, MAX_TTL_SECONDS
from .domain.store import Store
from .door.browsers import let_listed_pages_read, refuse_foreign_pages
from .door.callers import CALLER, TOKENS, authenticate, require_admin
from .door.guarded_store import GuardedStore
from .door.limiter import Limiter
from .door.rates import Rates
from .door.token_file import TokenFile
from .settings import Settings
from .stores.measured import MeasuredStore
from .stores.passwords import PasswordSource, password_in
from .stores.store_url import describe_database, mode_of, open_store
from .telemetry.metrics import Metrics
from .telemetry.sampling import Sampler
from .telemetry.settings import TracingSettings
from .telemetry.signals import Signals, Tracing


def build_app(settings: Settings, store: Store, signals: Signals | None = None) -> web.Application:
    """Build the traffic application. Raises TokensInvalid."""
    identity, limits, lifecycle = build_identity(settings), build_limits(settings), Lifecycle()
    signals = build_signals(settings) if signals is None else signals
    signals.metrics.watch_lifecycle(
        active=lambda: lifecycle.active,
        ready=lambda: lifecycle.ready,
        draining=lambda: lifecycle.draining,
    )
    observer = signals.requests if settings.telemetry else None
    budget = ByteBudget(settings.max_buffered_bytes, signals.metrics.rejected)
    signals.metrics.watch_budget(lambda: budget.held)
    admission = Admission(
        lifecycle,
        budget,
        places=settings.max_in_flight,
        wait_seconds=settings.queue_ms / 1000,
    )
    chain: list[Middleware] = []
    if settings.cors_origins:
        chain.append(let_listed_pages_read(settings.cors_origins))
    chain += [
        observe_request(lifecycle, admission, budget, observer),
        refuse_foreign_pages(settings.cors_origins, signals.metrics.rejected),
    ]
    inner: list[Middleware] = []
    if settings.injects_faults:
        inner.append(
            inject_faults(
                settings.fault_error_ratio,
                settings.fault_latency_ms / 1000,
                settings.fault_latency_ratio,
            )
        )
    tokens = None
    if settings.tokens_file is not None:
        tokens = TokenFile(settings.tokens_file, signals.metrics)
    rates = build_rates(settings, store, signals.metrics) if limits_requests(settings) else None
    app = web.Application(middlewares=chain + build_door(tokens, rates, signals.metrics) + inner)
    port: Store = MeasuredStore(store, signals) if settings.telemetry else store
    if tokens is not None:
        port = guarded = GuardedStore(port, tokens)
        tokens.after_look = guarded.end_watches
        app[TOKENS] = tokens
        app[GRANTING] = Granting(CALLER.get)
        app.cleanup_ctx.append(tokens.watch)
    if rates is not None:
        app[CHARGING] = Charging(rates.charge)
    app[STORE] = port
    app[IDENTITY] = identity
    app[LIMITS] = limits
    app[ADMISSION] = admission
    app[BUDGET] = budget
    app[JSON_TURNS] = JsonTurns()
    app[WATCHERS] = watchers = Watchers(
        lifecycle,
        budget,
        signals.metrics,
        max_watchers=settings.max_watchers,
        max_per_token=settings.max_watchers_per_token,
        max_bytes=settings.max_watcher_bytes,
    )
    app.on_shutdown.append(watchers.shut)
    app[ROLES] = settings.roles
    app[LIFECYCLE] = lifecycle
    app[SIGNALS] = signals
    app[CONTRACT_VERSION] = __version__
    app[SHELF] = Shelf()
    app.add_routes(traffic_routes(settings.roles))
    return app


def limits_requests(settings: Settings) -> bool:
    """Return True if there may be rates: of the settings, or of a token."""
    return bool(settings.rate_limits) or settings.tokens_file is not None


def build_rates(settings: Settings, store: Store, metrics: Metrics) -> Rates:
    """Build the rates of requests, whose permits are in the store."""
    limiter = Limiter(
        store.take,
        fails_open=settings.rate_limit_failure == "open",
        unchecked=metrics.rate_limits_unchecked,
    )
    return Rates(limiter, settings.rate_limits, settings.trusted_proxies)


def build_door(tokens: TokenFile | None, rates: Rates | None, metrics: Metrics) -> list[Middleware]:
    """Build what a request passes before its handler: who is it, and how often.

    Where there are tokens there may be rates: theirs.
    """
    if rates is None:
        return []
    limit = rates.middleware()
    if tokens is None:
        return [limit]
    return [authenticate(tokens, metrics.rejected, limit, limits_all=rates.limits_all)]


def build_admin_app(settings: Settings, traffic: web.Application) -> web.Application:
    """Build the admin application, which shows the state of the traffic application."""
    chain: list[Middleware] = [answer_uncached]
    if TOKENS in traffic:
        chain.append(require_admin(traffic[TOKENS]))
    app = web.Application(middlewares=chain)
    if TOKENS in traffic:
        app[TOKENS_STATUS] = traffic[TOKENS]
    app[STORE] = traffic[STORE]
    app[IDENTITY] = traffic[IDENTITY]
    app[LIFECYCLE] = traffic[LIFECYCLE]
    app[SIGNALS] = traffic[SIGNALS]
    app[BUDGET] = traffic[BUDGET]
    app[admin.MODE] = mode_of(settings.store_url)
    app[admin.UPTIME] = admin.Uptime()
    app.add_routes(admin_routes())
    return app


@asynccontextmanager
async def open_apps(
    settings: Settings, tracing: TracingSettings | None = None
) -> AsyncIterator[tuple[web.Application, web.Application]]:
    """Open the store, and yield the traffic and the admin application over it.

    Close the store at the end. Raises StoreUrlInvalid, PasswordUnreadable, TokensInvalid,
    EmbeddedUnavailable.
    """
    signals = build_signals(settings, tracing)
    async with open_store(
        settings.store_url,
        data_dir=settings.data_dir,
        timeout_seconds=settings.store_timeout_ms / 1000,
        operation_ttl_seconds=settings.idempotency_ttl,
        meter=signals.store_meter if settings.telemetry else None,
        password=password_source(settings),
    ) as store:
        signals.metrics.watch_connections(store.link.connections)
        traffic = build_app(settings, store, signals)
        yield traffic, build_admin_app(settings, traffic)


def password_source(settings: Settings) -> PasswordSource | None:
    """Return where the store's password comes from; None: from its URL, if it has one."""
    if settings.store_password_file is not None:
        return password_in(settings.store_password_file)
    return (lambda: settings.store_password) if settings.store_password else None


def build_signals(settings: Settings, tracing: TracingSettings | None = None) -> Signals:
    """Build metrics, access lines and, if there are settings for it, tracing."""
    metrics = Metrics(settings.revision)
    exporter: Tracing | None = None
    sampler: Sampler | None = None
    if tracing is not None and settings.telemetry:
        from .telemetry.tracing import OtelTracing  # noqa: PLC0415 - the SDK takes 25 MiB of memory

        identity = build_identity(settings)
        exporter = OtelTracing(
            metrics,
            resource={
                "service.version": identity.version,
                "service.instance.id": identity.pod,
                "track": identity.track,
            },
            database=describe_database(settings.store_url),
            max_queue_size=tracing.max_queue_size,
            max_batch_size=tracing.max_batch_size,
            protocol=tracing.protocol,
            shows_keys=settings.trace_keys,
        )
        sampler = Sampler(
            tracing.ratio,
            parent_based=tracing.parent_based,
            per_second=settings.traces_per_second,
            decisions=metrics.trace_decisions,
        )
    return Signals(
        metrics,
        exporter,
        sampler,
        slow_seconds=settings.slow_ms / 1000,
        log_all=settings.access_log == "all",
        log_mistakes=settings.telemetry and settings.log_format == "text",
        proxies=settings.trusted_proxies,
    )


def build_identity(settings: Settings) -> Identity:
    return Identity(settings.version or __version__, settings.track, settings.pod)


def build_limits(settings: Settings) -> Limits:
    return Limits(
        max_value_bytes=settings.max_value_bytes,
        max_json_depth=MAX_DEPTH,
        max_json_nodes=MAX_NODES,
        max_key_bytes=MAX_KEY_BYTES,
        max_batch_operations=settings.max_batch_operations,
        max_batch_bytes=settings.max_batch_bytes,
        max_page_items=1000,
        max_ttl_seconds=MAX_TTL_SECONDS,
        default_ttl_seconds=settings.default_ttl,
        idempotency_ttl_seconds=settings.idempotency_ttl,
        header_timeout_seconds=settings.header_timeout_seconds,
        body_timeout_seconds=settings.body_timeout_seconds,
        send_timeout_seconds=settings.send_timeout_seconds,
        store_timeout_ms=settings.store_timeout_ms,
        max_in_flight=settings.max_in_flight,
        max_buffered_bytes=settings.max_buffered_bytes,
        max_watchers=settings.max_watchers,
        max_watchers_per_token=settings.max_watchers_per_token,
        max_watcher_bytes=settings.max_watcher_bytes,
    )
