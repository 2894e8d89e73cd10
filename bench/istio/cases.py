"""Cases: what was applied, and the facts of the right answer.

A case is a directory with ``input.yaml`` and ``istiod.json``, or a line of a packed file.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

INPUT: Final = "input.yaml"
FACTS: Final = "istiod.json"


@dataclass(frozen=True)
class Case:
    """What was applied, in order, and what istiod programmed: ``gateways`` and ``sidecars``."""

    name: str
    documents: tuple[Mapping[str, Any], ...]
    facts: Mapping[str, Any]

    @property
    def group(self) -> str:
        return self.name.rpartition("/")[0] or "."


def read_cases(path: Path) -> Iterator[Case]:
    """Yield the cases below a directory, by name, or those of a packed file."""
    if path.is_file():
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                name, documents, facts = json.loads(line)
                yield Case(name, tuple(documents), facts)
        return
    for found in sorted(path.rglob(FACTS)):
        text = (found.parent / INPUT).read_text()
        yield Case(
            name=found.parent.relative_to(path).as_posix(),
            documents=tuple(each for each in yaml.load_all(text, yaml.CSafeLoader) if each),
            facts=json.loads(found.read_text()),
        )


def write_packed(cases: Iterable[Case], path: Path) -> None:
    """Write cases to one small file; a hundred cases repeat almost everything."""
    with lzma.open(path, "wt", preset=9, encoding="utf-8") as lines:
        for each in cases:
            row = (each.name, each.documents, each.facts)
            lines.write(json.dumps(row, separators=(",", ":")) + "\n")
