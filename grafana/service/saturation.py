"""How close the service is to its limits, and Redis."""

from __future__ import annotations

from ..layout import Row
from ..panels import dashed, graph, limits, query
from ..promql import ROUND_TRIPS, mean, or_zero, over, quantile, rate, select, total


def limits_row() -> Row:
    lag = "kv_event_loop_lag_seconds"
    return Row(
        "How close is it to its limits?",
        [
            graph(
                "In flight by pod",
                "Requests in progress. A pod far above the others gets too many or is too slow.",
                query(total(select("http_server_active_requests"), "pod"), "{{pod}}"),
                unit="short",
                width=6,
            ),
            graph(
                "Requests rejected by reason",
                "Requests refused before any work. overloaded: KV_MAX_IN_FLIGHT or "
                "KV_MAX_BUFFERED_BYTES was reached; malformed: not HTTP; header_timeout: the head "
                "came too slowly. aborted: the client did not receive its answer in time. TLS: its "
                "handshake failed. not limited: let in because Redis could not count it. "
                "tokens file: it has changed.",
                query(total(rate("kv_requests_rejected_total"), "reason"), "{{reason}}"),
                query(total(rate("kv_sends_aborted_total")), "aborted"),
                query(total(rate("kv_tls_handshakes_failed_total"), "reason"), "TLS {{reason}}"),
                query(total(rate("kv_rate_limits_unchecked_total")), "not limited"),
                query(total(rate("kv_token_reloads_total"), "result"), "tokens file {{result}}"),
                unit="reqps",
                width=6,
            ),
            graph(
                "Event loop lag",
                "How late the event loop runs due tasks. All requests of the pod wait that long.",
                query(quantile(0.5, lag), "p50"),
                query(quantile(0.99, lag), "p99"),
                query(f"max({quantile(0.99, lag, 'pod')})", "p99 of the worst pod"),
                unit="s",
                width=6,
                thresholds=limits((0.1, "red")),
            ),
            graph(
                "CPU by pod",
                "CPU time per second. 100 % is one core, about the most that a pod can use.",
                query(total(rate("process_cpu_seconds_total"), "pod"), "{{pod}}"),
                unit="percentunit",
                width=6,
                thresholds=limits((0.8, "orange")),
            ),
            graph(
                "Resident memory by pod",
                "Memory of the process, and the part that bodies and answers hold. If it rises "
                "without more load, it is a leak.",
                query(total(select("process_resident_memory_bytes"), "pod"), "{{pod}}"),
                query(total(select("kv_buffered_bytes"), "pod"), "{{pod}}: bodies and answers"),
                unit="bytes",
                width=8,
            ),
            graph(
                "Open file descriptors by pod",
                "Share of the process's limit in use. Each client and Redis connection takes one.",
                query(
                    f"{total(select('process_open_fds'), 'pod')}"
                    f" / {total(select('process_max_fds'), 'pod')}",
                    "{{pod}}",
                ),
                unit="percentunit",
                width=8,
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
                width=8,
            ),
            graph(
                "Pods ready and draining",
                "Pods that are ready, pods that drain, and all pods that are scraped.",
                query(total(select("kv_ready")), "ready"),
                query(total(select("kv_draining")), "draining"),
                query(over("count", select("kv_build_info")), "all"),
                unit="short",
                width=8,
                overrides=[dashed("/^all$/")],
            ),
            graph(
                "Certificate valid for",
                "How long the certificate of a pod's ports is still valid. Pods without TLS have "
                "no line. A pod that stays below the others did not get the new certificate.",
                query(
                    f"{over('min', select('kv_tls_certificate_expiry_timestamp_seconds'), 'pod')}"
                    " - time()",
                    "{{pod}}",
                ),
                unit="s",
                width=8,
                least=None,
                thresholds=limits((2 * 86_400, "orange"), (14 * 86_400, "green"), below="red"),
            ),
            graph(
                "Tokens in use by pod",
                "Tokens of the file that are in use. broken: the file can't be used, and the "
                "tokens before it stay; the log says which line is wrong.",
                query(total(select("kv_tokens"), "pod"), "{{pod}}"),
                query(total(select("kv_tokens_file_broken")), "pods whose file is broken"),
                unit="short",
                width=8,
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
                "Round trips per second. One MGET or EVALSHA carries operations of many requests.",
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
                "Round trips that failed. unsent: not sent; lost: no answer; others: Redis's own "
                "error. A command without failures has 0. The lines with why name the reason.",
                query(or_zero(failed, trips, command), "{{db_operation_name}} {{error_type}}"),
                query(total(rate("kv_store_failures_total"), "reason"), "why: {{reason}}"),
                unit="ops",
                width=6,
            ),
            graph(
                "Redis connections",
                "Connections of all pods to Redis, in use and idle, and the limit.",
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
                "Redis failures by reason",
                "Why round trips failed, in one word each. The reference of errors explains them.",
                query(total(rate("kv_store_failures_total"), "reason"), "{{reason}}"),
                unit="ops",
                width=6,
            ),
            graph(
                "Operations per round trip",
                "How many operations one round trip carries. It grows with load, and saves CPU.",
                query(mean(carried, "lane"), "{{lane}} mean"),
                query(quantile(0.95, carried, "lane"), "{{lane}} p95"),
                unit="short",
                width=6,
                table=True,
            ),
        ],
    )
