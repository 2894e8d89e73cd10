"""Imports point inward: each layer of svc sees only what it may."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
SVC: Final = ROOT / "svc"
MODULES: Final = sorted(SVC.rglob("*.py"))

#: What the modules of a layer may import of svc; "version" is the package's own ``__version__``.
LAYERS: Final = {
    "domain": {"domain"},
    "telemetry": {"telemetry", "version"},
    "stores": {"stores", "domain", "telemetry", "child_process"},
    "api": {"api", "domain", "telemetry"},
}
#: What sees everything.
WIRING: Final = {"app.py", "serving", "__main__.py"}


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    """Return the dotted names that a module imports, wherever in it, relative ones resolved."""
    package = dotted(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{origin}.{alias.name}" for alias in node.names}
    return found


def rooms(path: Path) -> set[str]:
    """Return what of svc a module imports: layers, or names of the top level's modules."""
    found = set()
    for name in imported(path):
        top, _, rest = name.partition(".")
        if top == "svc":
            room = rest.partition(".")[0]
            found.add("version" if room == "__version__" else room)
    return found


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    place = path.relative_to(SVC).parts

    if place[0] in WIRING:
        return
    if len(place) > 1:
        assert rooms(path) <= LAYERS[place[0]]
    elif place[0] in {"settings.py", "child_process.py"}:
        assert rooms(path) == set()
    else:
        assert place[0] == "__init__.py", f"{place[0]}: a module of no layer"
        assert rooms(path) == set()


def test_every_folder_is_a_layer() -> None:
    folders = {path.relative_to(SVC).parts[0] for path in MODULES if path.parent != SVC}

    assert folders <= LAYERS.keys() | WIRING


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_knows_who_tests_loads_or_rolls_it_out(path: Path) -> None:
    tops = {name.partition(".")[0] for name in imported(path)}

    assert not tops & {"tests", "loadtest", "bench", "rollout"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_settings_read_the_environment(path: Path) -> None:
    # __main__ hands the environment to the settings; OTEL_* is the SDK's own affair.
    if path.name == "__main__.py" or "telemetry" in path.parts:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"environ", "getenv", "environb"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    doc = ast.get_docstring(ast.parse(path.read_text()))

    assert doc
    assert len(doc.splitlines()[0]) <= 100


def test_the_rules_see_what_is_imported() -> None:
    """The test of the test: imports of siblings, cousins and the package itself are all found."""
    assert rooms(SVC / "stores" / "entries.py") >= {"stores", "domain"}
    assert rooms(SVC / "api" / "entries.py") >= {"api", "domain"}
    assert rooms(SVC / "app.py") >= {"api", "domain", "stores", "settings", "version"}
