"""``python -m docs.folder_map``: write the folder map from what the packages say of themselves."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "explanation" / "architecture.md"
BEGIN: Final = "<!-- folder map: written by make generated -->"
END: Final = "<!-- end of folder map -->"
#: Trees of packages, in the order of the map.
TREES: Final = ("svc", "rollout", "loadtest", "bench", "grafana")
#: What holds no package and so can't speak for itself.
OTHERS: Final = {
    "kustomize/": "Kustomize base, components, overlays, and the strategies that need no mesh.",
    "istio/": "Rollouts over a mesh, in directories that are applied one after the other.",
    "docs/": "Tutorials, how-to guides, reference, explanation.",
    "tests/": "Tests, in the folders of their subjects; tests/support runs what they need.",
    "requirements/": "Locked versions of all dependencies.",
}


def render_map() -> str:
    """Render a table with a row for each folder: what it is for, and what it may import."""
    rows = [("Folder", "What it is for", "May import"), ("---", "---", "---")]
    for tree in TREES:
        rows.extend(_rows_of(ROOT / tree))
    rows.extend((f"`{name}`", purpose, "") for name, purpose in OTHERS.items())
    return "\n".join(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows) + "\n"


def _rows_of(tree: Path) -> Iterator[tuple[str, str, str]]:
    yield (f"`{tree.name}/`", *_said(tree))
    for folder in sorted(path.parent for path in tree.glob("*/__init__.py")):
        yield (f"`{tree.name}/{folder.name}/`", *_said(folder))


def _said(folder: Path) -> tuple[str, str]:
    """Return the purpose and the imports that a package's docstring states."""
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    purpose, _, rest = docstring.partition("\n\n")
    sentence = next((each for each in rest.splitlines() if each.startswith("May import: ")), "")
    imports = sentence.removeprefix("May import: ").partition(".")[0]
    return " ".join(purpose.split()).replace("``", "`"), imports


def render_page(page: str) -> str:
    """Return the page with the present map between its markers."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{render_map()}\n{END}{after}"


def main() -> int:
    PAGE.write_text(render_page(PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
