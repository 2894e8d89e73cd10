"""The house is as its packages say: who may import whom, what is pure, and no circle anywhere."""

from __future__ import annotations

import ast
import graphlib
import re
from pathlib import Path
from typing import Final

import pytest

from tests.architecture import (
    ROOT,
    TREES,
    docstring,
    import_graph,
    imported,
    modules,
    read_package,
    rooms,
    says_pure,
    tree_of,
)

#: Trees whose packages say what they may import.
LAYERED: Final = ("svc", "rollout", "bench")
#: What a tree may import of the others; ``loadtest.load`` starts services outside a pod.
TREES_SEEN: Final = {
    "svc": set[str](),
    "rollout": set[str](),
    "grafana": set[str](),
    "loadtest": set[str](),
    "bench": {"svc", "rollout", "loadtest"},
}
EXCEPTIONS: Final = {"loadtest/load.py": {"bench"}}
#: Files, processes, the network, the clock, chance.
WORLD: Final = frozenset(
    {
        "asyncio",
        "http",
        "io",
        "os",
        "random",
        "shutil",
        "socket",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
        "urllib.request",
    }
)
CLOCK: Final = re.compile(r"\.(?:now|utcnow|today)\(")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def package_of(path: Path) -> Path | None:
    """Return the folder below its tree that a module lives in; None at the top of a tree."""
    tree, *rest = path.relative_to(ROOT).parts
    return ROOT / tree / rest[0] if len(rest) > 1 else None


def is_pure(path: Path) -> bool:
    folder = package_of(path)
    if folder is not None and path.name != "__init__.py" and (folder / "__init__.py").exists():
        return says_pure(docstring(path)) or says_pure(docstring(folder / "__init__.py"))
    return says_pure(docstring(path))


@pytest.fixture(scope="module")
def all_modules() -> list[Path]:
    return [path for tree in TREES for path in modules(tree)]


@pytest.fixture(scope="module")
def pure_modules(all_modules: list[Path]) -> list[Path]:
    return [path for path in all_modules if is_pure(path)]


LAYERED_MODULES: Final = [path for tree in LAYERED for path in modules(tree)]
FOLDERS: Final = sorted({folder for path in LAYERED_MODULES if (folder := package_of(path))})


def test_a_module_says_what_it_is_for(all_modules: list[Path]) -> None:
    first_lines = {name_of(path): docstring(path).partition("\n")[0] for path in all_modules}

    assert {name: line for name, line in first_lines.items() if not 0 < len(line) <= 100} == {}


def test_a_tree_imports_only_the_trees_it_may(all_modules: list[Path]) -> None:
    wrong = {}
    for path in all_modules:
        tree = path.relative_to(ROOT).parts[0]
        others = {*TREES, "tests", "kustomize"} - {tree}
        tops = {name.partition(".")[0] for name in imported(path)}
        wrong[name_of(path)] = tops & others - TREES_SEEN[tree] - EXCEPTIONS.get(
            name_of(path), set()
        )

    assert {name: seen for name, seen in wrong.items() if seen} == {}


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_package_imports_only_what_it_says(folder: Path) -> None:
    package = read_package(folder)
    siblings = {path.stem for path in folder.parent.iterdir()}

    used = {room for path in folder.rglob("*.py") for room in rooms(path)} - {folder.name}

    if package.may_import is not None:
        assert package.may_import <= siblings, "no such sibling"
        assert used <= package.may_import
        assert package.may_import <= used, "more than it uses"


def test_a_pure_module_touches_nothing(pure_modules: list[Path]) -> None:
    touched = {}
    for path in pure_modules:
        names = imported(path)
        prefixes = {".".join(name.split(".")[:n]) for name in names for n in (1, 2)}
        touched[name_of(path)] = [
            *(prefixes & WORLD),
            *({"pathlib.Path"} & names),
            *CLOCK.findall(path.read_text()),
        ]

    assert {name: what for name, what in touched.items() if what} == {}


def test_what_decides_and_translates_is_pure(pure_modules: list[Path]) -> None:
    folders = {"manifests", "envoy", "evidence"}
    single = {"runner/decisions.py", "lint/rules/weights.py", "prometheus/promql.py"}
    found = {
        str(path.relative_to(ROOT / "rollout")) for path in pure_modules if "rollout" in path.parts
    }

    assert single <= found
    for folder in folders:
        inside = {f"{folder}/{path.name}" for path in (ROOT / "rollout" / folder).glob("*.py")}
        assert inside <= found


def test_no_modules_import_each_other_in_a_circle() -> None:
    graphlib.TopologicalSorter(import_graph()).prepare()  # raises CycleError, which names it


def test_only_the_settings_read_the_environment() -> None:
    # __main__ hands the environment to the settings; OTEL_* is the SDK's own affair. The client
    # is a library of other programs, with two variables of its own.
    for path in modules("svc"):
        if path.name == "__main__.py" or {"telemetry", "client"} & {*path.parts}:
            continue
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"environ", "getenv", "environb"}, path


def test_the_rules_see_what_is_imported() -> None:
    """The test of the test: imports of siblings, cousins and other trees are all found."""
    assert rooms(ROOT / "svc" / "stores" / "entries.py") >= {"stores", "domain"}
    assert rooms(ROOT / "svc" / "app.py") >= {"api", "domain", "stores", "settings"}
    assert "svc.domain.model" in import_graph()["svc.stores.entries"]
    assert says_pure("Rows into a reading. Pure.")
    assert not says_pure("A purely local affair.")
