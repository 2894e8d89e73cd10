"""Prometheus' protobuf exposition, the only one that carries native histograms. Pure.

prometheus-client has no such encoder. Prometheus asks for the format in ``Accept`` if it stores
native histograms. Each histogram is shown twice in one message: its classic and its native buckets.

Source: io/prometheus/client/metrics.proto (github.com/prometheus/client_model); the numbers below
are its field numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample

from .instruments import HistogramFamily
from .native_buckets import SCHEMA, ZERO_THRESHOLD

CONTENT_TYPE: Final = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)

_VARINT, _DOUBLE, _BYTES = 0, 1, 2
#: By prometheus-client's name of a type: the enum's value, and the field of a Metric that holds it.
_COUNTER, _GAUGE, _UNTYPED, _HISTOGRAM = (0, 3), (1, 2), (3, 5), (4, 7)
_TYPES: Final = {"counter": _COUNTER, "gauge": _GAUGE, "histogram": _HISTOGRAM}

Labels = tuple[tuple[str, str], ...]


def is_wanted(accept: str) -> bool:
    """Return True if ``Accept`` prefers this format to all others that it names."""
    best, ours = 0.0, 0.0
    for offer in accept.split(","):
        media, *rest = (part.strip() for part in offer.split(";"))
        parameters = dict(part.partition("=")[::2] for part in rest)
        try:
            weight = float(parameters.get("q", "1"))
        except ValueError:
            weight = 0.0
        best = max(best, weight)
        if (
            media == "application/vnd.google.protobuf"
            and parameters.get("proto") == "io.prometheus.client.MetricFamily"
            and parameters.get("encoding") == "delimited"
        ):
            ours = max(ours, weight)
    return ours > 0 and ours == best


def encode(registry: Collector) -> bytes:
    """Return all families, each behind its length."""
    return b"".join(_delimited(_family(family)) for family in registry.collect())


def _family(family: Metric) -> bytes:
    kind, field = _TYPES.get(family.type, _UNTYPED)
    # prometheus-client leaves the suffix of a counter out.
    name = f"{family.name}_total" if family.type == "counter" else family.name
    if family.type == "histogram":
        metrics: Iterable[bytes] = _histograms(family)
    else:
        metrics = (_simple(sample, field) for sample in family.samples)
    return b"".join(
        (
            _text(1, name),
            _text(2, family.documentation),
            _integer(3, kind),
            *(_message(4, metric) for metric in metrics),
        )
    )


def _simple(sample: Sample, field: int) -> bytes:
    return _labels(1, sample.labels.items()) + _message(field, _double(1, sample.value))


def _histograms(family: Metric) -> Iterator[bytes]:
    buckets: dict[Labels, list[Sample]] = {}
    sums: dict[Labels, float] = {}
    for sample in family.samples:
        labels = tuple(each for each in sample.labels.items() if each[0] != "le")
        if sample.name.endswith("_bucket"):
            buckets.setdefault(labels, []).append(sample)
        elif sample.name.endswith("_sum"):
            sums[labels] = sample.value
    native = family.cells if isinstance(family, HistogramFamily) else {}
    for labels, series in buckets.items():
        parts = [
            _integer(1, int(series[-1].value)),  # the bucket "+Inf"
            _double(2, sums[labels]),
            *(_message(3, _bucket(each)) for each in series),
        ]
        if labels in native:
            cells, counts = native[labels]
            parts += _native(*cells.native(counts))
        yield _labels(1, labels) + _message(_HISTOGRAM[1], b"".join(parts))


def _bucket(sample: Sample) -> bytes:
    exemplar = b"" if sample.exemplar is None else _message(3, _exemplar(sample.exemplar))
    bound = float(sample.labels["le"])
    return _integer(1, int(sample.value)) + _double(2, bound) + exemplar


def _exemplar(exemplar: Exemplar) -> bytes:
    parts = _labels(1, exemplar.labels.items()) + _double(2, exemplar.value)
    if exemplar.timestamp is None:
        return parts
    seconds, rest = divmod(float(exemplar.timestamp), 1)
    return parts + _message(3, _integer(1, int(seconds)) + _integer(2, int(rest * 1e9)))


def _native(zero: int, spans: Iterable[tuple[int, list[int]]]) -> list[bytes]:
    parts = [_integer(5, _zigzag(SCHEMA)), _double(6, ZERO_THRESHOLD), _integer(7, zero)]
    deltas = b""
    end = before = 0
    for start, counts in spans:
        # The offset of the first span is an index; of each other one, the gap before it.
        parts.append(_message(12, _integer(1, _zigzag(start - end)) + _integer(2, len(counts))))
        end = start + len(counts)
        for count in counts:
            deltas += _number(_zigzag(count - before))
            before = count
    return [*parts, _message(13, deltas)]


def _labels(field: int, pairs: Iterable[tuple[str, str]]) -> bytes:
    return b"".join(_message(field, _text(1, n) + _text(2, value)) for n, value in pairs)


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode("utf-8", "replace"))


def _message(field: int, body: bytes) -> bytes:
    return _number(field << 3 | _BYTES) + _delimited(body)


def _integer(field: int, value: int) -> bytes:
    return _number(field << 3 | _VARINT) + _number(value)


def _double(field: int, value: float) -> bytes:
    return _number(field << 3 | _DOUBLE) + struct.pack("<d", value)


def _delimited(body: bytes) -> bytes:
    return _number(len(body)) + body


def _zigzag(value: int) -> int:
    return value * 2 if value >= 0 else -value * 2 - 1


def _number(value: int) -> bytes:
    """Return a varint: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
