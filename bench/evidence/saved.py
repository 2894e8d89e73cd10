"""Outcomes that were simulated before: a run that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Final

from bench.frame.processes import ROOT

from .rollouts import Outcome

#: Outcomes depend on this code. If it has changed, they are simulated anew.
_CODE: Final = ("rollout/evidence", "rollout/runner", "rollout/plan", "bench/evidence")
#: These only present the outcomes.
_PRESENTS: Final = frozenset({"promises.py", "readme.py", "limits.py", "confidence.py"})


@dataclass(frozen=True, slots=True)
class Saved:
    """A directory with a file for each task."""

    directory: Path

    def load(self, title: str, peer: str, entropy: Sequence[int], count: int) -> list[Outcome]:
        """Return what was saved for a task; empty if there is nothing."""
        try:
            found = json.loads(self._file(title, peer, entropy, count).read_text())
        except FileNotFoundError:
            return []
        return [Outcome(**each) for each in found]

    def save(
        self, title: str, peer: str, entropy: Sequence[int], outcomes: Sequence[Outcome]
    ) -> None:
        file = self._file(title, peer, entropy, len(outcomes))
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps([asdict(each) for each in outcomes]))
        partial.replace(file)

    def _file(self, title: str, peer: str, entropy: Sequence[int], count: int) -> Path:
        task = json.dumps([title, peer, list(entropy), count])
        return self.directory / f"{_digest([task.encode()])}.json"


@cache
def saved_outcomes() -> Saved:
    """Return the outcomes of the present code, in ``build/evidence``."""
    files = sorted(file for folder in _CODE for file in (ROOT / folder).rglob("*.py"))
    code = _digest(file.read_bytes() for file in files if file.name not in _PRESENTS)
    return Saved(ROOT / "build" / "evidence" / code)


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]
