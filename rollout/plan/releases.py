"""Which release a destination leads to: a subset's or a Service's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..evidence.counts import Arm
from ..manifests.hosts import expand_host


@dataclass(frozen=True, slots=True)
class Releases:
    """The names of the releases; each is a subset, or a Service. There may be no baseline.

    A Service's short name is completed with ``namespace``, that of the VirtualService.
    """

    stable: str
    canary: str
    namespace: str
    baseline: str | None = None

    @property
    def names(self) -> Mapping[str, Arm]:
        names = {self.stable: Arm.STABLE, self.canary: Arm.CANARY}
        return names if self.baseline is None else {**names, self.baseline: Arm.BASELINE}

    @property
    def hosts(self) -> Mapping[str, Arm]:
        """Return the arms by the full names of their Services, which exist if they are Services."""
        return {expand_host(name, self.namespace): arm for name, arm in self.names.items()}

    def arm_of(self, host: str, subset: str | None) -> Arm | None:
        """Return the release that a destination leads to, None for neither.

        A subset counts before its host. ``host`` is full, or is named in ``namespace``.
        """
        return self.names.get(subset or "") or self.hosts.get(expand_host(host, self.namespace))
