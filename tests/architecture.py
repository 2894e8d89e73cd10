"""Which module imports which, and what each package says of itself, read from the sources."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
#: Folders whose modules are held to the rules.
TREES: Final = ("svc", "rollout", "loadtest", "bench", "grafana")
_MAY_IMPORT: Final = re.compile(r"May import: ([^.]+)\.")


@dataclass(frozen=True)
class Package:
    """What the docstring of a package's ``__init__`` says."""

    purpose: str
    #: Siblings that it may import; None: all of them.
    may_import: frozenset[str] | None
    is_pure: bool


def modules(tree: str) -> list[Path]:
    return sorted((ROOT / tree).rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def docstring(path: Path) -> str:
    return ast.get_docstring(tree_of(path)) or ""


def read_package(folder: Path) -> Package:
    """Read the docstring of a folder's ``__init__``; raise AssertionError if it lacks a part."""
    said = docstring(folder / "__init__.py")
    purpose, _, rest = said.partition("\n\n")
    found = _MAY_IMPORT.search(rest)
    assert found, f"{folder}/__init__.py: no line 'May import: …'"
    names = found[1]
    if names == "everything":
        allowed = None
    elif names == "nothing of this project":
        allowed = frozenset[str]()
    else:
        allowed = frozenset(name.strip() for name in names.split(","))
    return Package(" ".join(purpose.split()), allowed, is_pure=says_pure(said))


def says_pure(said: str) -> bool:
    """Tell whether a docstring has the sentence ``Pure.``"""
    return re.search(r"(?:^|[.:\n]\s*)Pure\.", said) is not None


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    """Return the dotted names that a module imports, wherever in it, relative ones resolved."""
    package = dotted(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{origin}.{alias.name}" for alias in node.names}
    return found


def rooms(path: Path) -> set[str]:
    """Return what a module imports of its own tree: packages, or modules of the top level."""
    tree = path.relative_to(ROOT).parts[0]
    return {
        name.split(".")[1]
        for name in imported(path)
        if name.startswith(f"{tree}.") and not name.endswith(".__version__")
    }


@cache
def import_graph() -> Mapping[str, frozenset[str]]:
    """Return the modules of this project that each module imports."""
    names = {dotted(path) for tree in TREES for path in modules(tree)}
    graph = {}
    for tree in TREES:
        for path in modules(tree):
            found = set()
            for name in imported(path):
                # ``from package import name``: a module of that name, or a name of the package.
                origin = name if name in names else name.rpartition(".")[0]
                if origin in names:
                    found.add(origin)
            graph[dotted(path)] = frozenset(found - {dotted(path)})
    return graph
