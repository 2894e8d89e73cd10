"""Counters, histograms and gauges that are fast to update.

prometheus-client's own take two locks and a linear search for each observation: 0.8 µs. These take
0.2 µs, because only the event loop's thread changes them. prometheus-client still renders them:
``Instruments`` is a collector of its registry.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from .native_buckets import Cells, cells_of

Labels = tuple[str, ...]

INF: Final = float("inf")


class Instrument(Protocol):
    """A named metric."""

    name: str

    def family(self) -> Metric:
        """Return its current values in the form that prometheus-client renders."""


class Counter(dict[Labels, int]):
    """A count for each combination of label values: ``counter["read", "hit"] += 1``.

    The ``known`` combinations are shown as zero from the start.
    """

    def __init__(
        self, name: str, doc: str, labels: Labels = (), known: Iterable[Labels] = ()
    ) -> None:
        super().__init__(dict.fromkeys(known, 0))
        self.name = name
        self.doc = doc
        self.labels = labels

    def __missing__(self, _: Labels) -> int:
        return 0

    def family(self) -> Metric:
        family = CounterMetricFamily(self.name, self.doc, labels=self.labels)
        for values, count in self.copy().items():
            family.add_metric(values, count)
        return family


class Histogram:
    """One series of observations, in the unit of its bucket bounds."""

    __slots__ = ("_bounds", "_cells", "_classic", "_counts", "_exemplars", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._classic = tuple(bounds)
        self._cells = cells_of(self._classic)
        self._bounds = self._cells.bounds
        self._counts = [0] * self._cells.count
        self._sum = 0.0
        self._exemplars: dict[int, Exemplar] = {}

    @property
    def count(self) -> int:
        return sum(self._counts)

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def observe_traced(self, value: float, trace_id: str, span_id: str) -> None:
        """Observe a value of a sampled request, and keep its trace as the bucket's exemplar."""
        self.observe(value)
        self._exemplars[bisect_left(self._classic, value)] = Exemplar(
            {"trace_id": trace_id, "span_id": span_id}, value, time.time()
        )

    def add_to(self, family: HistogramFamily, labels: Labels) -> None:
        """Add this series to the family, with cumulative bucket counts."""
        counts = self._counts.copy()
        family.add_cells(dict(zip(family.label_names, labels, strict=True)), self._cells, counts)
        buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
        bounds = zip((*self._classic, INF), self._cells.cumulative(counts), strict=True)
        for i, (bound, below) in enumerate(bounds):
            text = floatToGoString(bound)  # type: ignore[no-untyped-call]
            exemplar = self._exemplars.get(i)
            buckets.append((text, below) if exemplar is None else (text, below, exemplar))
        family.add_metric(labels, buckets, self._sum)


class HistogramFamily(HistogramMetricFamily):
    """A family that also holds what its native histograms are made of."""

    def __init__(self, name: str, doc: str, labels: Labels) -> None:
        super().__init__(name, doc, labels=labels)
        self.label_names = labels
        #: By the label pairs of a series.
        self.cells: dict[tuple[tuple[str, str], ...], tuple[Cells, list[int]]] = {}

    def add_cells(self, labels: Mapping[str, str], cells: Cells, counts: list[int]) -> None:
        self.cells[tuple(labels.items())] = cells, counts


class Histograms(dict[Labels, Histogram]):
    """A histogram for each combination of label values, created on first use."""

    def __init__(self, name: str, doc: str, bounds: Sequence[float], labels: Labels = ()) -> None:
        super().__init__()
        self.name = name
        self.doc = doc
        self.bounds = bounds
        self.labels = labels
        if not labels:
            self[()] = Histogram(bounds)

    def __missing__(self, values: Labels) -> Histogram:
        histogram = self[values] = Histogram(self.bounds)
        return histogram

    def family(self) -> Metric:
        family = HistogramFamily(self.name, self.doc, self.labels)
        for values, histogram in self.copy().items():
            histogram.add_to(family, values)
        return family


class Gauge:
    """Values by label values, which ``read`` returns at each scrape."""

    def __init__(
        self,
        name: str,
        doc: str,
        labels: Labels = (),
        *,
        read: Callable[[], Mapping[Labels, float]],
    ) -> None:
        self.name = name
        self.doc = doc
        self.labels = labels
        self._read = read

    def family(self) -> Metric:
        family = GaugeMetricFamily(self.name, self.doc, labels=self.labels)
        for values, value in self._read().items():
            family.add_metric(values, value)
        return family


class Instruments(Collector):
    """All instruments of a process, as one collector for a registry."""

    def __init__(self) -> None:
        self._instruments: list[Instrument] = []

    def add(self, instrument: Instrument) -> None:
        self._instruments.append(instrument)

    @property
    def names(self) -> list[str]:
        return [instrument.name for instrument in self._instruments]

    def collect(self) -> Iterator[Metric]:
        for instrument in self._instruments:
            yield instrument.family()
