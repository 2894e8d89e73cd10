"""Runs assertions on a real Envoy: one for all steps and callers of a file."""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from ..envoy.configuration import Resource
from ..routing.assertions import Assertion, RetriesSpec
from ..routing.explanation import explain, origin_text
from ..routing.judgement import (
    judge_copies,
    judge_reply,
    judge_retries,
    judge_shares,
    judge_statuses,
    judge_timeouts,
    requests_needed,
)
from ..routing.origins import Origin
from ..routing.replies import Reply
from ..routing.requests import Request
from ..routing.sample_sizes import IN_DOUBT, bounds_for
from ..routing.view import View
from .mesh import Mesh, NotModelled
from .probe import Probe, Sent, probing
from .signed_requests import issuers_of, new_key, with_token
from .suite import Suite

#: Assertions that are tested at once.
_AT_ONCE: Final = 16
#: How long copies may take to arrive, and how often the echo is asked.
_COPY_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.02
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an assertion at a step; without failures it holds.

    ``taken_by`` is the rule that Envoy named, empty if none took the request.
    """

    step: str
    line: int
    title: str
    failures: tuple[str, ...]
    taken_by: str
    explanation: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """The outcomes of a file, what of its routes is reached, and what is assumed or left out."""

    file: str
    outcomes: tuple[Outcome, ...]
    rules: tuple[Origin, ...]
    reached: frozenset[Origin]
    assumptions: tuple[str, ...]
    not_modelled: tuple[NotModelled, ...]
    requests: int
    seconds: float

    @property
    def failed(self) -> int:
        return sum(bool(each.failures) for each in self.outcomes)

    @property
    def unreached(self) -> tuple[Origin, ...]:
        return tuple(each for each in self.rules if each not in self.reached)


async def run_suite(suite: Suite, *, explained: bool = False) -> Report:
    """Test all assertions of a file; raise a kind of RehearsalFailed.

    Those that fail are explained, and with ``explained`` all.
    """
    started = time.perf_counter()
    key = new_key()
    issuers = issuers_of(suite.spec.tests)
    meshes = [Mesh(each.documents, issuers, key.jwks if issuers else "") for each in suite.steps]
    views: list[View] = []
    cases = []
    for step, index, assertion in suite.cases():
        mesh = meshes[step]
        request = with_token(assertion, key)
        caller = suite.spec.caller_of(assertion)
        view = mesh.view_of(caller, request)
        if view is not None and not any(each is view for each in views):
            views.append(view)
        at = next((place for place, each in enumerate(views) if each is view), None)
        cases.append((step, index, assertion, request, at))
    hosts = [request.host for *_, request, _ in cases]
    async with probing(views, hosts) as probe:
        tester = _Tester(probe, views)
        limit = asyncio.Semaphore(_AT_ONCE)

        async def run(
            step: int, index: int, assertion: Assertion, request: Request, at: int | None
        ) -> Outcome:
            async with limit:
                began = time.perf_counter()
                name, line = suite.steps[step].name, suite.lines[index]
                title = assertion.name or str(assertion.sent)
                if at is None:
                    failures: tuple[str, ...] = ("no Gateway is among the manifests",)
                    return Outcome(name, line, title, failures, "", (), 0.0)
                failures, reply = await tester.test(at, assertion, request)
                seconds = time.perf_counter() - began
                said = tuple(explain(views[at], request)) if failures or explained else ()
                by = tester.taken_by(at, reply)
                return Outcome(name, line, title, failures, by, said, seconds)

        outcomes = await asyncio.gather(*(run(*each) for each in cases))
    return Report(
        suite.file,
        tuple(outcomes),
        tuple(dict.fromkeys(one for each in meshes for one in each.origins.all)),
        frozenset(tester.reached),
        tuple(dict.fromkeys(one for each in meshes for one in each.assumptions)),
        tuple({str(one): one for each in meshes for one in each.not_modelled}.values()),
        tester.requests,
        time.perf_counter() - started,
    )


class _Tester:
    def __init__(self, probe: Probe, views: Sequence[View]) -> None:
        self._probe = probe
        self._views = views
        self.reached: set[Origin] = set()
        self.requests = 0

    async def test(
        self, at: int, assertion: Assertion, request: Request
    ) -> tuple[tuple[str, ...], Reply]:
        """Return what is otherwise than expected, and the first reply."""
        [reply] = await self._send(at, [Sent(request)])
        failures = [*judge_reply(assertion, reply)]
        route = self._route(at, request, reply)
        failures += judge_timeouts(assertion, reply, route)
        view = self._views[at]
        self.reached.update(view.origins.find(reply.route)[:1])
        if assertion.to is not None and reply.seen:
            destinations = len(_destinations(route))
            needed = requests_needed(assertion, destinations)
            if needed > 1:
                failures += await judge_sample(
                    assertion.shares.values(),
                    needed,
                    lambda count: self._clusters(at, request, count),
                    lambda _, counts: judge_shares(assertion, counts, view.target),
                )
            else:
                failures += judge_shares(assertion, {reply.seen.cluster: 1}, view.target)
        if isinstance(assertion.status, dict):
            failures += await judge_sample(
                assertion.status.values(),
                max(bounds_for(each).requests for each in assertion.status.values()),
                lambda count: self._statuses(at, request, count),
                lambda _, counts: judge_statuses(assertion, counts),
            )
        if assertion.retries is not None:
            spec = assertion.retries
            after = spec.after if isinstance(spec, RetriesSpec) else 503
            [retried] = await self._send(at, [Sent(request, answer=after)])
            failures += judge_retries(assertion, retried)
        if assertion.mirror is not None:
            failures += await self._mirrors(at, assertion, request, route)
        return tuple(failures), reply

    def taken_by(self, at: int, reply: Reply) -> str:
        """Return the rule that took a request, as Envoy says."""
        return origin_text(self._views[at].origins, {"name": reply.route}) if reply.route else ""

    async def _send(self, at: int, sent: Sequence[Sent]) -> list[Reply]:
        self.requests += len(sent)
        return await self._probe.send(at, sent)

    def _route(self, at: int, request: Request, reply: Reply) -> Resource | None:
        """Return the route that Envoy named."""
        host = self._views[at].host(request)
        named = [
            each
            for each in (host or {"routes": ()})["routes"]
            if reply.route and each.get("name") == reply.route
        ]
        return named[0] if named else None

    async def _mirrors(
        self, at: int, assertion: Assertion, request: Request, route: Resource | None
    ) -> list[str]:
        percents = list(assertion.copies.values())
        total = max((bounds_for(each).requests for each in percents if each < 100), default=1)
        policies = (route or {}).get("route", {}).get("request_mirror_policies", ())
        if policies and not percents:
            total = bounds_for(0).requests
        return await judge_sample(
            percents,
            total,
            lambda count: self._copies(at, request, policies, count),
            lambda sent, counts: judge_copies(assertion, sent, counts, self._views[at].target),
        )

    async def _clusters(self, at: int, request: Request, count: int) -> collections.Counter[str]:
        self.requests += count
        return await self._probe.count_clusters(at, request, count)

    async def _statuses(self, at: int, request: Request, count: int) -> collections.Counter[int]:
        return collections.Counter(
            each.status for each in await self._send(at, [Sent(request)] * count)
        )

    async def _copies(
        self, at: int, request: Request, policies: Sequence[Resource], total: int
    ) -> collections.Counter[str]:
        """Return how many copies each cluster got beside the requests themselves."""
        mark = self._probe.new_mark()
        replies = await self._send(at, [replace(Sent(request), mark=mark)] * total)
        originals = collections.Counter(each.seen.cluster for each in replies if each.seen)
        certain = [each for each in policies if _millionths(each) >= 1_000_000]
        copies: collections.Counter[str] = collections.Counter()
        deadline = time.monotonic() + (_COPY_SECONDS if policies else 0)
        quiet = 0
        while True:
            # What the echo has told is forgotten there.
            new = collections.Counter(await self._probe.clusters_of(mark))
            copies += new
            found = sum((copies - originals).values())
            quiet = 0 if new else quiet + 1
            complete = found >= total * len(certain)
            if time.monotonic() >= deadline or (complete and quiet > len(policies)):
                break
            await asyncio.sleep(_POLL_SECONDS)
        return copies - originals


async def judge_sample(
    percents: Iterable[float],
    needed: int,
    sample: Callable[[int], Awaitable[collections.Counter[_Key]]],
    judge: Callable[[int, collections.Counter[_Key]], Iterable[str]],
) -> list[str]:
    """Return what is otherwise than expected of the counts of ``needed`` requests.

    If something is that may be chance, because some ``percents`` are neither 0 nor 100, the counts
    of that and ``IN_DOUBT`` times as many requests decide. More requests accept no wrong share.
    """
    counts = await sample(needed)
    failures = [*judge(needed, counts)]
    if failures and any(0 < percent < 100 for percent in percents):
        for _ in range(IN_DOUBT):
            counts += await sample(needed)
        failures = [*judge(needed * (1 + IN_DOUBT), counts)]
    return failures


def _destinations(route: Resource | None) -> tuple[str, ...]:
    """Return the destinations that a route chooses from."""
    action = (route or {}).get("route", {})
    if "cluster" in action:
        return (action["cluster"],)
    return tuple(each["name"] for each in action.get("weighted_clusters", {}).get("clusters", ()))


def _millionths(policy: Resource) -> int:
    return int(policy["runtime_fraction"]["default_value"]["numerator"])
