"""What the parts of ``make evidence`` support, in one sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Parts with releases as good as the old one.
GOOD: Final[Mapping[str, str]] = {
    "independent": "each request fails by itself",
    "clusters": "failures come 3, 10 and 20 together",
    "retries": "each failure is counted three times",
    "users": "clients keep to their release, and a few of them fail often",
    "pod-outages": "each pod fails everything for 2 s, once or four times an hour",
    "speeds": "pods differ in speed by 10 and 20 %",
    "cold": "new pods are two to five times slower at first",
    "autoscaler": "new pods appear as the share rises, and are slow at first",
    "outages": "what both releases share is down, at any step, with and without a holdback",
    "slowness": "what both releases share is slow for up to 20 s, once all is on the new one",
    "duplicates": "each series is scraped twice or three times",
    "replicas": "two Prometheus servers answer in turn",
    "clocks": "the runner's clock is wrong, or jumps",
    "by-hand": "a person changes the weights for a minute",
    "counters": "scrapes are missed and late, processes restart, proxies are replaced",
    "skew": "sticky clients make the canary's share three times as large",
}
#: Parts with bad releases: what happens to them.
BAD: Final[Mapping[str, str]] = {
    "lost": "A canary that is gone or hangs gets no more requests within this time.",
    "failing": "One that fails everything is out within so many scrapes, of 5 to 60 s each.",
    "errors": "So many of its requests fail until it is rolled back, half of the time.",
    "regression": "0.8 % errors beside 0.1 % are found.",
    "slow": "A release that is slower by a factor is found.",
    "flips": "So is one that is slow only when nothing is left to compare.",
    "late": "Harm that begins after an hour is found within this time, half of the time.",
    "flapping": "One that fails half for a minute, every 20 minutes, is not promoted.",
    "promotion": "A harmless release is promoted, and twice the objective's errors are not.",
}
