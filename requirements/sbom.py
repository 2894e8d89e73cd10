"""Write a software bill of materials (CycloneDX 1.6) of each lock file that is shipped.

``python requirements/sbom.py DIRECTORY`` writes ``service.cdx.json`` and ``rollout.cdx.json``. The
same lock files give the same bytes: there is no time in them, and the serial number is a hash.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
#: The lock file of each product, and the project that it is for.
PRODUCTS: Final = {"service": "svc", "rollout": "rollout"}

_PIN: Final = re.compile(r"([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\]+?))? ?\\?")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VIA: Final = re.compile(r"#(?: via)?\s+([A-Za-z0-9._-]+)(?: \(.*\))?")


def read_lock(text: str) -> list[dict[str, Any]]:
    """Return the packages of a lock file: name, version, marker, hashes, and who needs them."""
    packages: list[dict[str, Any]] = []
    for line in text.splitlines():
        if found := _PIN.fullmatch(line):
            name, version, marker = found.groups()
            packages.append(
                {"name": name, "version": version, "marker": marker, "hashes": [], "via": []}
            )
        elif found := _HASH.search(line):
            packages[-1]["hashes"].append(found[1])
        elif packages and (found := _VIA.fullmatch(line.strip())):
            packages[-1]["via"].append(found[1])
    return packages


def build_bom(project: dict[str, Any], packages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the bill of materials of a project with these packages."""
    refs = {each["name"]: f"pkg:pypi/{each['name']}@{each['version']}" for each in packages}
    root = f"pkg:pypi/{project['name']}@{project['version']}"
    needs: dict[str, list[str]] = {root: [], **{ref: [] for ref in refs.values()}}
    for each in packages:
        for name in each["via"]:
            needs[refs.get(name, root)].append(refs[each["name"]])
    components = [_component(each, refs[each["name"]]) for each in packages]
    application = {
        "type": "application",
        "bom-ref": root,
        "name": project["name"],
        "version": project["version"],
    }
    bom = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": application},
        "components": components,
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(set(found))} for ref, found in needs.items()
        ],
    }
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom, sort_keys=True))
    return {**bom, "serialNumber": f"urn:uuid:{number}"}


def _component(package: dict[str, Any], ref: str) -> dict[str, Any]:
    component = {
        "type": "library",
        "bom-ref": ref,
        "name": package["name"],
        "version": package["version"],
        "purl": ref,
        # One for each distribution of this version: pip accepts these and no others.
        "hashes": [{"alg": "SHA-256", "content": each} for each in package["hashes"]],
    }
    if package["marker"]:
        component["properties"] = [{"name": "tallykv:marker", "value": package["marker"]}]
    return component


def read_project(folder: str) -> dict[str, Any]:
    """Return the name and the version of a project of this repository."""
    root = HERE.parent / folder
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    found = re.search(r'__version__ = "(.+)"', (root / "__init__.py").read_text())
    version = project.get("version") or (found[1] if found else "0")
    return {"name": project["name"], "version": version}


def write_boms(directory: Path) -> list[Path]:
    """Write the bill of materials of each product. Return the files."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for lock, folder in PRODUCTS.items():
        packages = read_lock((HERE / f"{lock}.txt").read_text())
        path = directory / f"{lock}.cdx.json"
        path.write_text(json.dumps(build_bom(read_project(folder), packages), indent=2) + "\n")
        paths.append(path)
    return paths


if __name__ == "__main__":
    for written in write_boms(Path(sys.argv[1])):
        print(written)
