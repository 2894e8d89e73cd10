"""Whether ``diff`` finds every class of requests that changed: compared with random requests.

Random requests are sent to a real Envoy on both sides, and know nothing of classes. Where one is
treated differently, ``diff`` must have shown a request that the same two rules took.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from random import Random

from rollout.probing.callers import view_pairs
from rollout.probing.comparison import Difference, confirm, sides_of
from rollout.probing.mesh import Mesh
from rollout.routing.candidates import Candidate, Candidates, find_candidates
from rollout.routing.requests import Request

from .generated import HEADERS, METHODS, PARAMETERS, PATHS, VALUES, pair

_HOSTS = ("a.example.com", "b.example.com", "c.example.com", "kv:8080", "shop:8080", "other.test")
_TAILS = ("", "", "/a", "x", ".png", "/kv/b.png")


@dataclass
class Outcome:
    """Counts over many pairs; ``missing`` and ``false`` have a text for each."""

    pairs: int = 0
    changed: int = 0
    classes: int = 0
    differences: int = 0
    random_requests: int = 0
    random_differences: int = 0
    missing: tuple[str, ...] = ()
    false: tuple[str, ...] = ()

    def plus(self, other: Outcome) -> Outcome:
        """Return the counts of both."""
        return Outcome(
            *(getattr(self, each.name) + getattr(other, each.name) for each in fields(self))
        )


async def compare_pairs(seeds: Sequence[int], requests: int) -> Outcome:
    """Compare the pairs of some seeds, and send random requests to each side of each."""
    found = Outcome()
    several: list[Candidates] = []
    chance: list[Candidates] = []
    names: list[str] = []
    for seed in seeds:
        before, after, name = pair(seed)
        pairs = view_pairs(Mesh(before), Mesh(after))
        several.append(find_candidates(pairs))
        random = Random(seed)
        sent = [random_request(random) for _ in range(requests)]
        # Outside, and inside in the services' own namespace.
        chance.append(
            Candidates([Candidate(each, one, None, None) for each in pairs[:2] for one in sent])
        )
        names.append(f"pair {seed} ({name})")
    confirmed = await confirm(several)
    observed = await sides_of(chance)
    for name, candidates, differences, pairs_of_sides in zip(
        names, several, confirmed, observed, strict=True
    ):
        found.pairs += 1
        found.changed += bool(differences)
        found.classes += candidates.classes
        found.differences += len(differences)
        known = {_key(each) for each in differences}
        for candidate, old, new in pairs_of_sides:
            found.random_requests += 1
            if old.effect.identity == new.effect.identity:
                continue
            found.random_differences += 1
            if (candidate.pair.caller, old.rule, new.rule) not in known:
                text = f"{name}: {candidate.request} from {candidate.pair.caller}"
                found.missing += (f"{text}: {old.rule} → {new.rule}",)
    again = await sides_of([_again(each) for each in confirmed])
    for name, sides in zip(names, again, strict=True):
        for candidate, old, new in sides:
            if old.effect.identity == new.effect.identity:
                found.false += (f"{name}: {candidate.request}",)
    return found


def _key(difference: Difference) -> tuple[str, str, str]:
    return difference.caller, difference.old.rule, difference.new.rule


def _again(differences: Sequence[Difference]) -> Candidates:
    """Return the witnesses, to be sent to another Envoy."""
    return Candidates([each.candidate for each in differences])


def random_request(random: Random) -> Request:
    """Return a request of words that the configurations use, and of others."""
    path = random.choice(PATHS) + random.choice(_TAILS)
    if random.random() < 0.3:
        path += f"?{random.choice(PARAMETERS)}={random.choice(VALUES)}"
    headers = tuple(_headers(random))
    host, _, port = random.choice(_HOSTS).partition(":")
    method = random.choice((*METHODS, "GET", "GET"))
    return Request(method, host, path, headers, int(port) if port else None)


def _headers(random: Random) -> Iterator[tuple[str, str]]:
    for name in HEADERS:
        if random.random() < 0.35:
            yield name, random.choice((*VALUES, "other", "x; canary=1; y"))
