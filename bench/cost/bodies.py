"""CPU time of msgspec beside pydantic, on the bodies of this API.

Each library parses the bytes of a request into its types, and renders its types into the bytes of
an answer. Decoders, encoders and adapters are made once, as both documentations recommend.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from pydantic import TypeAdapter

from bench.frame.errors import BenchError
from bench.frame.program import Run
from bench.frame.rows import Row
from svc.api import bodies

from . import pydantic_bodies as mirrored
from .run_sizes import Sizes

OPERATIONS: Final = 100
#: Long compared with the resolution of the clock. The best trial has the least noise.
TRIAL_SECONDS: Final = 0.2

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


def measure_bodies(run: Run[Sizes]) -> Iterator[Row]:
    """Compare the libraries on an increment and on a batch."""
    for body in (increment_body(), batch_body()):
        _check(body)
        ours = theirs = 0.0
        for step in ("parse", "render"):
            costs = [
                _cost_us(library, step, body.wire, run.sizes.trials)
                for library in (body.msgspec, body.pydantic)
            ]
            yield _row(f"{body.title}: {step}", *costs)
            ours, theirs = ours + costs[0], theirs + costs[1]
        yield _row(f"{body.title}: both", ours, theirs)


def _row(title: str, ours: float, theirs: float) -> Row:
    note = f"{ours:.2f} and {theirs:.2f} µs"
    return Row(f"{title}: pydantic ÷ msgspec", theirs / ours, "times", None, note)


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
    """Return gets, puts and adds in turn, with values in base64, which no library decodes."""
    operations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for i in range(OPERATIONS):
        key = f"key-{i}"
        written = {"status": 200, "key": key, "etag": ETAG, "ttl": 3600}
        if i % 3 == 0:
            operations.append({"op": "get", "key": key})
            got = {"content_type": "application/octet-stream", "value_b64": VALUE}
            results.append({**written, **got})
        elif i % 3 == 1:
            operations.append({"op": "put", "key": key, "value_b64": VALUE, "ttl": 3600})
            results.append(written)
        else:
            operations.append({"op": "add", "counter": key, "by": i})
            added = {"value": i, "value_text": str(i), "applied_by": i}
            results.append({"status": 200, "name": key, **added})
    kinds = (bodies.BatchGot, bodies.BatchPut, bodies.BatchAdded)
    structs = [kinds[i % 3](**result) for i, result in enumerate(results)]
    outcome = TypeAdapter(mirrored.BatchResults)
    return Body(
        f"batch of {OPERATIONS}",
        json.dumps({"operations": operations}).encode(),
        Library(
            msgspec.json.Decoder(bodies.BatchBody).decode,
            msgspec.json.Encoder().encode,
            {"results": structs},
        ),
        Library(
            TypeAdapter(mirrored.BatchBody).validate_json,
            lambda answer: outcome.dump_json(answer, exclude_unset=True),
            outcome.validate_python({"results": results}),
        ),
    )


def _check(body: Body) -> None:
    """Raise BenchError unless both libraries render the same answer."""
    rendered = [
        json.loads(library.render(library.answer)) for library in (body.msgspec, body.pydantic)
    ]
    if rendered[0] != rendered[1]:
        raise BenchError(f"{body.title}: the libraries render different answers: {rendered}")


def _cost_us(library: Library, step: str, wire: bytes, trials: int) -> float:
    call: Callable[[Any], object] = library.parse if step == "parse" else library.render
    argument = wire if step == "parse" else library.answer
    turns = 1
    while _seconds(call, argument, turns) < TRIAL_SECONDS:
        turns *= 2
    return min(_seconds(call, argument, turns) for _ in range(trials)) / turns * 1e6


def _seconds(call: Callable[[Any], object], argument: object, turns: int) -> float:
    started = time.process_time()
    for _ in range(turns):
        call(argument)
    return time.process_time() - started
