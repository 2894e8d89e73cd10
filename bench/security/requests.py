"""Fuzzed requests: valid ones of every route, bent in their head, target or body.

The same generator always yields the same requests.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Final

METHODS: Final = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "*")
TARGETS: Final = (
    *("/", "/v1/kv/a", "/v1/kv/team-a/x", "/v1/kv", "/v1/kv/", "/v1/kv/c/", "/v1/limits"),
    *("/v1/counters/n", "/v1/counters/n/increments", "/v1/counters", "/v1/batch", "/plain"),
    *("/v1", "/docs", "/ui", "*", "/v1/none", "http://localhost/v1/limits"),
)
PARTS: Final = (
    *("%00", "%FF", "%2F", "%252F", "..", "//", "?", "#", "é", "%25", "+", ";", "{}", "\\"),
    *("?ttl=1", "?ttl=-1", "?prefix=%FF", "?limit=0", "?cursor=AAAA", "&&&", "a" * 600, "%2e%2e/"),
)
HEADERS: Final = (
    *("If-Match: *", 'If-Match: "a', "If-None-Match: W/x", "Idempotency-Key: k", "Range: bytes=-1"),
    *("Content-Type: application/json", "Content-Type: application/merge-patch+json"),
    *("Content-Encoding: gzip", "Expect: 100-continue", "Accept: application/json"),
    *("traceparent: 00-zz", "Prefer: return=minimal", "Origin: null", "Origin: http://["),
    *("Sec-Fetch-Site: cross-site", "Connection: close, upgrade", "X-Forwarded-For: ::1"),
    *("Upgrade: h2c", "If-Modified-Since: never", "Cookie: a=b", "Content-Type: text/\xff"),
)
#: No HTTP: the parser refuses them before anybody asks for a token.
BROKEN: Final = (
    *("Host: b", "Content-Type: \x01", "Transfer-Encoding: chunked", "Content-Length: 7"),
    *("Content-Length: -1", "A" * 9000 + ": a", ": no name", "no colon", " folded"),
)
BODIES: Final = (
    *(b"", b"{}", b"null", b"[" * 300, b'{"by":1e999}', b'{"by":9223372036854775807}', b"\xff\xfe"),
    *(
        b'{"value":1,"value":2}',
        b'{"operations":[]}',
        b"\x1f\x8b\x08junk",
        b'"\\ud800"',
        b"5\r\nab",
    ),
)


def fuzzed(random: Random, authorization: str | None) -> bytes:
    """Return a request; with ``authorization``, the header has it, or nearly."""
    method, target = random.choice(METHODS), random.choice(TARGETS)
    for _ in range(random.choice((0, 0, 0, 1, 2))):
        at = random.randrange(len(target) + 1)
        target = target[:at] + random.choice(PARTS) + target[at:]
    body = random.choice((lambda: random.choice(BODIES), lambda: _batch(random)))()
    lines = [f"{method} {target} HTTP/{random.choice(('1.1',) * 30 + ('1.0', '2.0', '9'))}"]
    lines += ["Host: localhost"] * random.choice((1,) * 30 + (0, 2))
    lines += random.sample(HEADERS, random.choice((0, 1, 1, 2, 3)))
    if random.random() < 0.1:
        lines.append(random.choice(BROKEN))
    if authorization is not None:
        bend: Callable[[str], str] = random.choice((str,) * 6 + (str.upper, str.lower))
        lines.insert(random.randrange(1, len(lines) + 1), f"Authorization: {bend(authorization)}")
    if body and random.random() < 0.9:
        lines.append(f"Content-Length: {len(body)}")
    request = bytearray("\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body)
    if random.random() < 0.05:  # a bit that got lost on the way
        request[random.randrange(len(request))] ^= 1 << random.randrange(8)
    return bytes(request)


def _batch(random: Random) -> bytes:
    operations = [
        {
            "op": random.choice(("get", "put", "delete", "add", "drop")),
            random.choice(("key", "counter")): random.choice(("a", "team-a/x", "..", "", 7)),
            random.choice(("value", "by", "value_b64", "if_match")): random.choice((1, "x", None)),
        }
        for _ in range(random.randrange(4))
    ]
    return json.dumps({"operations": operations}).encode()
