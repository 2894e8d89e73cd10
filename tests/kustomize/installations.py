"""The kustomizations that are whole installations of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tests.support.manifests import ROOT, kustomizations

#: Objects as a directory renders them.
Objects = list[dict[str, Any]]

WHOLE: Final = [
    d for d in kustomizations("kustomize") if d.parent.name in {"overlays", "strategies"}
]


def name_of(path: Path) -> str:
    """Return the directory's path below kustomize/."""
    return str(path.relative_to(ROOT / "kustomize"))
