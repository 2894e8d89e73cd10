"""What others do, written from their documentation, on the same worlds.

Each takes a world and a plan, moves the traffic as its own controller would, and returns the
outcome. All but the sequential test have steps of their own. What we had to choose favours them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from rollout.plan.model import Plan

from ..rollouts import Outcome
from ..world import World
from . import argo, flagger, kayenta, msprt

#: By name, in the order in which they are shown.
PEERS: Final[Mapping[str, Callable[[World, Plan], Outcome]]] = {
    "Flagger": flagger.judge,
    "Argo": argo.judge,
    "Kayenta": kayenta.judge,
    "mSPRT": msprt.judge,
}
