"""Which requests failed: one definition, for each place that counts requests. Pure."""

from __future__ import annotations

from typing import Final

#: The status of a request without a response.
NO_RESPONSE: Final = 0
#: gRPC answers with HTTP status 200. Its statuses that are errors of the server: UNKNOWN,
#: DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
#: https://opentelemetry.io/docs/specs/semconv/rpc/grpc/
GRPC_FAILURES: Final = (2, 4, 12, 13, 14, 15)

#: The same as regular expressions for whole label values.
FAILED_STATUS: Final = f"5..|{NO_RESPONSE}"
FAILED_GRPC_STATUS: Final = "|".join(map(str, GRPC_FAILURES))


def is_failure(status: int, grpc_status: int | None = None) -> bool:
    """Return True for 5xx, for no response, and for gRPC's errors of the server."""
    return status >= 500 or status == NO_RESPONSE or grpc_status in GRPC_FAILURES
