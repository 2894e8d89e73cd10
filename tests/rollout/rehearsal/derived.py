"""A rehearsal of a mesh without steps: the subsets v1 and v2 of ``reviews``, both stubs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import aiohttp
import yaml

from rollout.plan.derived_plan import load_derived_plan
from rollout.rehearsal.rehearsal import Rehearsal, RehearsalOptions, rehearsing
from tests.rollout.plan.manifests import routes, subset, with_subsets, write
from tests.rollout.rehearsal.plans import need_programs

OPTIONS: Final = RehearsalOptions(rate=0, prometheus=False)


@contextlib.asynccontextmanager
async def rehearsed(
    tmp_path: Path,
    *texts: str,
    options: RehearsalOptions = OPTIONS,
    step: int = 0,
    inside: bool = False,
    changed: Mapping[str, str] | None = None,
) -> AsyncIterator[Rehearsal]:
    """Rehearse the mesh with a step applied.

    ``inside`` binds its VirtualService to ``mesh``. ``changed`` replaces parts of its manifests;
    ``texts`` are more of them, which lint does not see.
    """
    need_programs()
    where = {"host": "reviews", "gateways": "mesh"} if inside else {}
    base = with_subsets(routes(subset("v1", 1), subset("v2", 0), **where))
    for old, new in (changed or {}).items():
        base = [each.replace(old, new) for each in base]
    loaded = load_derived_plan(write(tmp_path / "mesh", base), stable="v1", canary="v2")
    found = [*(each.document for each in loaded.resources), *map(yaml.safe_load, texts)]
    async with rehearsing(found, loaded.plan, options) as running:
        await running.target.apply(loaded.plan.steps[step])
        yield running


async def status(running: Rehearsal, path: str = "/", method: str = "GET", **headers: str) -> int:
    """Return the status of an answer at the first entrance."""
    entrance = running.entrances[0]
    sent = {**entrance.headers, **headers}
    async with (
        aiohttp.ClientSession() as client,
        client.request(method, entrance.url + path, headers=sent) as response,
    ):
        await response.read()
        return response.status
