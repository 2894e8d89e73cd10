"""A listener's one filter, where it is said which routes it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .configuration import Resource


def with_routes(listener: Resource, find: Callable[[str], Resource]) -> dict[str, Any]:
    """Return a listener whose routes are what ``find`` gives for their configuration's name."""
    [chain] = listener["filter_chains"]
    [manager] = chain["filters"]
    settings = {**manager["typed_config"]}
    name = settings.pop("rds")["route_config_name"]
    settings |= find(name)
    return {
        **listener,
        "filter_chains": [{**chain, "filters": [{**manager, "typed_config": settings}]}],
    }
