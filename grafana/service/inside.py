"""What may hold it back: its own limits, and Redis."""

from __future__ import annotations

from ..layout import Row
from ..panels import dashed, graph, limits, query
from ..promql import ROUND_TRIPS, mean, or_zero, over, quantile, rate, select, total


def limits_near() -> Row:
    lag = "kv_event_loop_lag_seconds"
    return Row(
        "How close is it to its limits?",
        [
            graph(
                "In flight by pod",
                "Requests under way. A pod far above the others gets too much or answers too late.",
                query(total(select("http_server_active_requests"), "pod"), "{{pod}}"),
                unit="short",
                width=6,
            ),
            graph(
                "Requests rejected by reason",
                "Requests refused before any work: overloaded is KV_MAX_IN_FLIGHT reached, "
                "malformed is no HTTP, header_timeout is a head that came too slowly.",
                query(total(rate("kv_requests_rejected_total"), "reason"), "{{reason}}"),
                unit="reqps",
                width=6,
            ),
            graph(
                "Event loop lag",
                "How late the event loop runs what is due: all requests of a pod wait that long.",
                query(quantile(0.5, lag), "p50"),
                query(quantile(0.99, lag), "p99"),
                query(f"max({quantile(0.99, lag, 'pod')})", "p99 of the worst pod"),
                unit="s",
                width=6,
                thresholds=limits((0.1, "red")),
            ),
            graph(
                "CPU by pod",
                "CPU time per second; 100 % is one core, and a pod can't use more than about one.",
                query(total(rate("process_cpu_seconds_total"), "pod"), "{{pod}}"),
                unit="percentunit",
                width=6,
                thresholds=limits((0.8, "orange")),
            ),
            graph(
                "Resident memory by pod",
                "Memory the process holds. Rising without more load is a leak.",
                query(total(select("process_resident_memory_bytes"), "pod"), "{{pod}}"),
                unit="bytes",
                width=6,
            ),
            graph(
                "Open file descriptors by pod",
                "Share of the process's limit in use; each client and Redis connection takes one.",
                query(
                    f"{total(select('process_open_fds'), 'pod')}"
                    f" / {total(select('process_max_fds'), 'pod')}",
                    "{{pod}}",
                ),
                unit="percentunit",
                width=6,
                thresholds=limits((0.8, "red")),
            ),
            graph(
                "Garbage collections by generation",
                "Runs of Python's collector. Generation 2 stops the loop longest, and is rare.",
                query(
                    total(rate("python_gc_collections_total"), "generation"),
                    "generation {{generation}}",
                ),
                unit="cps",
                width=6,
            ),
            graph(
                "Pods ready and draining",
                "Pods that want traffic, pods that finish what they have, and all pods scraped.",
                query(total(select("kv_ready")), "ready"),
                query(total(select("kv_draining")), "draining"),
                query(over("count", select("kv_build_info")), "all"),
                unit="short",
                width=6,
                overrides=[dashed("/^all$/")],
            ),
        ],
    )


def redis() -> Row:
    count, command = f"{ROUND_TRIPS}_count", "db_operation_name"
    trips = total(rate(count), command)
    failed = total(rate(count, 'error_type!=""'), command, "error_type")
    wait = "db_client_connection_wait_time_seconds"
    carried = "kv_coalesced_operations"
    return Row(
        "Is Redis slow, failing or out of connections?",
        [
            graph(
                "Redis round trips by command",
                "Round trips per second. One MGET or EVALSHA carries many requests' operations.",
                query(trips, "{{db_operation_name}}"),
                unit="ops",
                width=6,
            ),
            graph(
                "Redis p99 by command",
                "The slowest 1 % of round trips took longer. KV_STORE_TIMEOUT_MS bounds them.",
                query(quantile(0.99, ROUND_TRIPS, command), "{{db_operation_name}}"),
                unit="s",
                width=6,
            ),
            graph(
                "Redis errors by command",
                "Round trips that failed: unsent never left, lost got no answer, the rest is what "
                "Redis said. A command without failures reads 0.",
                query(or_zero(failed, trips, command), "{{db_operation_name}} {{error_type}}"),
                unit="ops",
                width=6,
            ),
            graph(
                "Redis connections",
                "Connections of all pods to Redis, in use and idle, and how many they may open.",
                query(total(select("db_client_connections"), "state"), "{{state}}"),
                query(total(select("db_client_connections_max")), "most"),
                unit="short",
                width=6,
                overrides=[dashed("/^most$/")],
            ),
            graph(
                "Wait for a Redis connection",
                "How long an operation waits for a free connection before it can be sent.",
                query(quantile(0.5, wait), "p50"),
                query(quantile(0.99, wait), "p99"),
                unit="s",
                width=6,
            ),
            graph(
                "Redis connection timeouts",
                "Operations that got no connection within their deadline: the pool is exhausted.",
                query(total(rate("db_client_connection_timeouts_total"), "pod"), "{{pod}}"),
                unit="ops",
                width=6,
            ),
            graph(
                "Operations per round trip",
                "How many operations one round trip carries. It grows with load, and saves CPU.",
                query(mean(carried, "lane"), "{{lane}} mean"),
                query(quantile(0.95, carried, "lane"), "{{lane}} p95"),
                unit="short",
                width=12,
                table=True,
            ),
        ],
    )
