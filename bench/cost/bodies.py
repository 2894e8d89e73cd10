"""``python -m bench.cost.bodies``: msgspec beside pydantic on this API's own bodies.

Each library parses the request's bytes into its types and renders the answer's types into bytes,
in the way its documentation recommends: decoders, encoders and adapters made once.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from pydantic import TypeAdapter

from loadtest.table import align
from svc.api import bodies

from . import pydantic_bodies as mirrored

OPERATIONS: Final = 100
#: Long enough that the clock's grain does not show; the best of some is what noise spared.
TRIAL_SECONDS: Final = 0.2
TRIALS: Final = 7

ETAG: Final = '"0123456789abcdef0123456789abcdef"'
VALUE: Final = "aGVsbG8sIHdvcmxk" * 4


@dataclass(frozen=True)
class Library:
    parse: Callable[[bytes], Any]
    render: Callable[[Any], bytes]
    answer: Any


@dataclass(frozen=True)
class Body:
    title: str
    wire: bytes
    msgspec: Library
    pydantic: Library


def main() -> int:
    lines: list[Sequence[str]] = [("CPU time in µs", "msgspec", "pydantic", "ratio")]
    for body in (increment_body(), batch_body()):
        _check(body)
        totals = [0.0, 0.0]
        for step in ("parse", "render"):
            costs = [_cost(library, step, body.wire) for library in (body.msgspec, body.pydantic)]
            totals = [total + cost for total, cost in zip(totals, costs, strict=True)]
            lines.append(_line(f"{body.title}: {step}", *costs))
        lines.append(_line(f"{body.title}: both", *totals))
    print(align(lines))
    return 0


def increment_body() -> Body:
    answer = {"name": "visits", "value": 4711, "value_text": "4711", "applied_by": 5}
    stepped = TypeAdapter(mirrored.CounterStepped)
    return Body(
        "increment",
        b'{"by":5,"min":0,"max":1000000,"on_bound":"clamp","ttl":3600,"ttl_on":"touch"}',
        Library(
            msgspec.json.Decoder(bodies.IncrementBody).decode,
            msgspec.json.Encoder().encode,
            msgspec.convert(answer, bodies.CounterStepped),
        ),
        Library(
            TypeAdapter(mirrored.IncrementBody).validate_json,
            stepped.dump_json,
            stepped.validate_python(answer),
        ),
    )


def batch_body() -> Body:
    """Gets, puts and adds in turn; values in base64, which neither library has to look into."""
    asked: list[dict[str, Any]] = []
    answered: list[dict[str, Any]] = []
    for i in range(OPERATIONS):
        key = f"key-{i}"
        written = {"status": 200, "key": key, "etag": ETAG, "ttl": 3600}
        if i % 3 == 0:
            asked.append({"op": "get", "key": key})
            got = {"content_type": "application/octet-stream", "value_b64": VALUE}
            answered.append({**written, **got})
        elif i % 3 == 1:
            asked.append({"op": "put", "key": key, "value_b64": VALUE, "ttl": 3600})
            answered.append(written)
        else:
            asked.append({"op": "add", "counter": key, "by": i})
            added = {"value": i, "value_text": str(i), "applied_by": i}
            answered.append({"status": 200, "name": key, **added})
    kinds = (bodies.BatchGot, bodies.BatchPut, bodies.BatchAdded)
    results = [kinds[i % 3](**result) for i, result in enumerate(answered)]
    outcome = TypeAdapter(mirrored.BatchResults)
    return Body(
        f"batch of {OPERATIONS}",
        json.dumps({"operations": asked}).encode(),
        Library(
            msgspec.json.Decoder(bodies.BatchBody).decode,
            msgspec.json.Encoder().encode,
            {"results": results},
        ),
        Library(
            TypeAdapter(mirrored.BatchBody).validate_json,
            lambda answer: outcome.dump_json(answer, exclude_unset=True),
            outcome.validate_python({"results": answered}),
        ),
    )


def _check(body: Body) -> None:
    """Stop unless both libraries render the same answer: else the times compare nothing."""
    rendered = [
        json.loads(library.render(library.answer)) for library in (body.msgspec, body.pydantic)
    ]
    if rendered[0] != rendered[1]:
        sys.exit(f"{body.title}: the libraries render different answers: {rendered}")


def _cost(library: Library, step: str, wire: bytes) -> float:
    call: Callable[[Any], object] = library.parse if step == "parse" else library.render
    argument = wire if step == "parse" else library.answer
    turns = 1
    while (_seconds(call, argument, turns)) < TRIAL_SECONDS:
        turns *= 2
    return min(_seconds(call, argument, turns) for _ in range(TRIALS)) / turns * 1e6


def _seconds(call: Callable[[Any], object], argument: object, turns: int) -> float:
    started = time.process_time()
    for _ in range(turns):
        call(argument)
    return time.process_time() - started


def _line(title: str, ours: float, theirs: float) -> tuple[str, ...]:
    return (title, f"{ours:.2f}", f"{theirs:.2f}", f"{theirs / ours:.1f}")


if __name__ == "__main__":
    sys.exit(main())
