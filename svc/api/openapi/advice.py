"""What a client does about each error, as docs/reference/errors.md says it too. Pure."""

from __future__ import annotations

from typing import Final

ADVICE: Final[dict[str, str]] = {
    "bad_request": "correct the request: it is not valid HTTP",
    "key_invalid": "correct the key",
    "counter_name_invalid": "correct the name",
    "content_type_invalid": "correct `Content-Type`",
    "body_invalid": "correct the body; `detail` names the member",
    "query_invalid": "correct the parameter that `detail` names",
    "header_invalid": "correct the header that `detail` names",
    "cursor_invalid": "start the listing again",
    "unauthenticated": "send `Authorization: Bearer …` with a token that is valid",
    "forbidden": "the token's scopes or prefixes do not cover it; ask for one that does",
    "cross_site": "a browser sent it for a page of another site;"
    " `KV_CORS_ORIGINS` lists those that may",
    "key_missing": "there is no such entry",
    "counter_missing": "there is no such counter",
    "route_missing": "there is no such path",
    "method_not_allowed": "use a method that `Allow` names",
    "header_timeout": "send the head faster",
    "body_timeout": "send the body faster",
    "not_json": "the stored value is not JSON (for the plain API: not a JSON object)",
    "counter_overflow": "the sum would leave the signed 64-bit range",
    "counter_bound": "the sum would pass `min` or `max`",
    "precondition_failed": "read again and decide again; `ETag` is the current one",
    "body_too_large": "keep to the limits",
    "key_too_long": "a key has at most 512 bytes",
    "uri_too_long": "a line of the request's head has at most 8190 bytes",
    "media_type_unsupported": "use the type that `Accept-Patch` names",
    "content_coding_unsupported": "use a coding that `Accept-Encoding` names",
    "range_not_satisfiable": "ask for a range within the entry;"
    " `Content-Range` says how long it is",
    "expectation_unknown": "expect `100-continue` or nothing",
    "foreign_host": "write `localhost` into `Host`, or a name that `KV_HOSTS` lists",
    "idempotency_mismatch": "use a fresh idempotency key",
    "rate_limited": "wait `Retry-After` seconds and send it again",
    "header_too_long": "a line of the request's head has at most 8190 bytes",
    "store_corrupt": "Redis holds something else under this name; see the log",
    "internal_error": "do as after 504, and report it",
    "injected_fault": "somebody set `KV_FAULT_ERROR_RATIO`",
    "overloaded": "wait `Retry-After` seconds and send it again",
    "too_many_watchers": "wait `Retry-After` seconds and watch again; another pod may have room",
    "store_unavailable": "wait `Retry-After` seconds and send it again",
    "store_contended": "wait `Retry-After` seconds and send it again",
    "outcome_unknown": "send it again with the same `Idempotency-Key`, or read first",
    "http_version_unsupported": "speak HTTP/1.1 or HTTP/1.0",
    "store_full": "give Redis more memory",
}
