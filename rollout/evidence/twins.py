"""Finds instances that are one: the same counters, scraped again under another port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .counts import Arm, CounterSnapshot, Counts, Series


class Twins:
    """Knows which instances of one host count different requests.

    Two jobs, or one job that scrapes each port of a pod, sample the same counters at different
    times. Each request would count twice. Samples of one counter, in the order of their times,
    never fall; those of two processes soon do. So instances that differ only in their port are
    taken for one until their samples contradict that. Only the first of them is counted.
    """

    def __init__(self) -> None:
        #: Pairs of instances that count different requests.
        self.different: set[tuple[str, str]] = set()
        #: The last sample of each instance, by host.
        self._last: dict[str, dict[str, tuple[float, Mapping[Arm, Counts]]]] = {}
        #: When an instance's counters last fell.
        self._fell: dict[str, float] = {}

    def add(self, snapshot: CounterSnapshot) -> None:
        """Compare the samples of a snapshot with one another and with earlier ones."""
        found: dict[str, dict[Arm, Counts]] = {}
        for series, counts in snapshot.counts.items():
            if _host(series.instance):
                found.setdefault(series.instance, {})[series.arm] = counts
        times = {
            series.instance: snapshot.sampled.get(series, snapshot.at) for series in snapshot.counts
        }
        for instance in sorted(found, key=times.__getitem__):
            self._note(instance, times[instance], found[instance])

    def _note(self, instance: str, at: float, counts: Mapping[Arm, Counts]) -> None:
        here = self._last.setdefault(_host(instance), {})
        last = here.get(instance)
        if last is not None and at <= last[0]:
            return
        if last is not None and not _follows(counts, last[1]):
            self._fell[instance] = at
        here[instance] = at, counts
        for other, (before, earlier) in here.items():
            # After a restart a sample from before it contradicts nothing.
            if other == instance or before <= self._fell.get(instance, before - 1):
                continue
            same = counts == earlier if before == at else _follows(counts, earlier)
            if not same:
                self.different.add(_pair(instance, other))

    def forget(self, instance: str) -> None:
        """Forget an instance that is gone."""
        self._last.get(_host(instance), {}).pop(instance, None)
        self._fell.pop(instance, None)
        self.different = {pair for pair in self.different if instance not in pair}

    def repeated(self, series: Iterable[Series]) -> set[str]:
        """Return the instances among these that count what another of them counts."""
        hosts: dict[str, list[str]] = {}
        for instance in sorted({each.instance for each in series}):
            if host := _host(instance):
                hosts.setdefault(host, []).append(instance)
        return {
            instance
            for instances in hosts.values()
            for index, instance in enumerate(instances)
            if any(_pair(instance, other) not in self.different for other in instances[:index])
        }


def _follows(later: Mapping[Arm, Counts], earlier: Mapping[Arm, Counts]) -> bool:
    """Return True if no counter is smaller than it was."""
    return all(
        arm in later
        and later[arm].requests >= before.requests
        and later[arm].failures >= before.failures
        and all(new >= old for new, old in zip(later[arm].slow, before.slow, strict=True))
        for arm, before in earlier.items()
    )


def _host(instance: str) -> str:
    """Return the last part of an instance's name without its port; empty if there is no port."""
    host, colon, port = instance.rsplit("/", 1)[-1].rpartition(":")
    return host if colon and port.isdigit() else ""


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)
