"""CPU, memory, Redis and pods by version."""

from __future__ import annotations

from ..layout import Row
from ..panels import limits, table
from ..promql import ROUND_TRIPS, over, quantile, rate, select, share, total
from .versions import COUNT, VERSION, by_version


def cost() -> Row:
    cpu = rate("process_cpu_seconds_total")
    return Row(
        "Does a version cost more to run?",
        [
            by_version(
                "CPU per request by version",
                "CPU time per request. With little traffic, the cost of idling is in it.",
                f"{total(cpu, *VERSION)} / ({total(rate(COUNT), *VERSION)} > 0)",
                unit="s",
                width=8,
            ),
            by_version(
                "CPU per pod by version",
                "Mean of a version's pods. 100 % is one core, about the most that a pod can use.",
                over("avg", cpu, *VERSION),
                unit="percentunit",
                width=8,
                thresholds=limits((0.8, "orange")),
            ),
            by_version(
                "Resident memory per pod by version",
                "The largest of a version's pods.",
                over("max", select("process_resident_memory_bytes"), *VERSION),
                unit="bytes",
                width=8,
            ),
            by_version(
                "In flight by version",
                "Requests in progress.",
                total(select("http_server_active_requests"), *VERSION),
                unit="short",
                width=12,
            ),
            by_version(
                "Event loop lag p99 by version",
                "How late a version's event loops run due tasks.",
                quantile(0.99, "kv_event_loop_lag_seconds", *VERSION),
                unit="s",
                width=12,
                thresholds=limits((0.1, "red")),
            ),
        ],
    )


def redis() -> Row:
    used = total(select("db_client_connections", 'state="used"'), *VERSION)
    most = total(select("db_client_connections_max"), *VERSION)
    return Row(
        "Does Redis treat the versions alike?",
        [
            by_version(
                "Redis p99 by version",
                "The slowest 1 % of a version's round trips took longer.",
                quantile(0.99, ROUND_TRIPS, *VERSION),
                unit="s",
            ),
            by_version(
                "Redis error ratio by version",
                "Share of a version's round trips that failed.",
                share(f"{ROUND_TRIPS}_count", 'error_type!=""', *VERSION),
                unit="percentunit",
            ),
            by_version(
                "Redis connections in use by version",
                "Share of the connections a version may open that are in use.",
                f"{used} / ({most} > 0)",
                unit="percentunit",
                most=1,
            ),
            by_version(
                "Wait for a Redis connection p99 by version",
                "How long operations wait for a free connection.",
                quantile(0.99, "db_client_connection_wait_time_seconds", *VERSION),
                unit="s",
            ),
        ],
    )


def pods() -> Row:
    started = (
        f"{select('process_start_time_seconds')} * 1000"
        " * on (namespace, job, pod) group_left (revision, python_version) "
        f"{select('kv_build_info')}"
    )
    columns = {
        "namespace": "Namespace",
        "pod": "Pod",
        "track": "Track",
        "version": "Version",
        "revision": "Revision",
        "python_version": "Python",
        "Value": "Started",
    }
    labels = [name for name in columns if name != "Value"]
    return Row(
        "Which pods run which version?",
        [
            by_version(
                "Pods by version",
                "Pods that Prometheus scrapes.",
                over("count", select("kv_build_info"), *VERSION),
                unit="short",
            ),
            by_version(
                "Restarts by version",
                "Container restarts within a pod: crashes, failed probes, out of memory.",
                total(
                    f"changes({select('process_start_time_seconds')}[$__rate_interval])", *VERSION
                ),
                unit="short",
            ),
            table(
                "Pods",
                "Every pod with its version and start time.",
                over("max", started, *labels),
                unit="dateTimeAsIso",
                columns=columns,
                width=12,
            ),
        ],
    )
