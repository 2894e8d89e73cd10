"""What schemathesis can't know of a request, and no schema can say."""

from __future__ import annotations

import itertools
import re
from typing import Any, Final

import schemathesis

from svc.api.idempotency import parse_idempotency_key
from svc.domain.errors import HeaderInvalid

WAIT: Final = re.compile("[0-9]{1,2}s?")
#: A media type as RFC 9110 §8.3.1 has it, without its parameters.
MEDIA_TYPE: Final = re.compile(r"[\w!#$%&'*+.^`|~-]+/[\w!#$%&'*+.^`|~-]+\s*(?:;.*)?", re.ASCII)
OCTETS: Final = "application/octet-stream"
_numbers: Final = itertools.count()
#: How a cursor of the service begins: as an array of six elements does in MessagePack.
MADE_HERE: Final = "lg"


@schemathesis.hook
def before_call(context: Any, case: schemathesis.Case[Any], kwargs: Any) -> None:
    """Make valid what only looks valid."""
    # Bodies are sent as they are: compressing them is not for a generator of values.
    # No coding at all is a list without elements (RFC 9110 §5.6.1.2), which no enum can say.
    coding = case.headers.get("Content-Encoding") if case.headers else None
    if coding in {"gzip", "deflate"} or (isinstance(coding, str) and not coding.strip(" \t,")):
        case.headers["Content-Encoding"] = "identity"
    # A cursor is what the service gave; those that links carry are from there.
    cursor = case.query.get("cursor") if case.query else None
    if isinstance(cursor, str) and not cursor.startswith(MADE_HERE) and len(cursor) <= 6000:
        del case.query["cursor"]
    # What is sent again changes nothing, which the checks of what was made or deleted can't know.
    key = case.headers.get("Idempotency-Key") if case.headers else None
    if case.method in {"DELETE", "PUT"} and isinstance(key, str) and _is_valid(key):
        case.headers["Idempotency-Key"] = f"once-{next(_numbers)}"
    # Nobody changes what is waited for; and no answer is asked for as a stream, which has no end.
    wait = case.query.get("wait") if case.query else None
    if isinstance(wait, str) and WAIT.fullmatch(wait):
        case.query["wait"] = "0"
    # To JSON Schema 1.0 is an integer; here a number with a point is none.
    if isinstance(case.body, dict) and case.path.startswith(("/v1/counters", "/v1/batch")):
        case.body = _with_integers(case.body)
    # The smaller bound comes first.
    body: Any = case.body
    if isinstance(body, dict) and _is_number(body.get("min")) and _is_number(body.get("max")):
        body["min"], body["max"] = sorted((body["min"], body["max"]))


@schemathesis.hook
def after_call(context: Any, case: schemathesis.Case[Any], response: Any) -> None:
    """Take for bytes what need be nothing else: a part of a value, a value of an unreal type."""
    if case.path == "/v1/kv/{key}" and case.method == "GET":
        # A writer names any type, and it is returned as it is. A part of JSON is no JSON.
        named = "".join(response.headers.get("content-type", ()))
        is_unreal = response.status_code == 200 and not MEDIA_TYPE.fullmatch(named)
        if is_unreal or response.status_code == 206:
            response.headers["content-type"] = [OCTETS]


def _is_valid(key: str) -> bool:
    try:
        parse_idempotency_key(key.strip(), "")
    except HeaderInvalid:
        return False
    return True


def _with_integers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_integers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_integers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
