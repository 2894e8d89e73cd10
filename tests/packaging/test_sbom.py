"""The bills of materials: every locked package with its hashes, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.support.services import ROOT


@pytest.fixture(scope="module")
def boms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("sbom")
    command = [sys.executable, str(ROOT / "requirements" / "sbom.py")]
    texts = []
    for name in ("a", "b"):
        subprocess.run([*command, str(folder / name)], check=True, capture_output=True)
        texts.append([path.read_text() for path in sorted((folder / name).iterdir())])
    assert texts[0] == texts[1], "the same lock files give the same bytes"
    return {path.name: json.loads(path.read_text()) for path in (folder / "a").iterdir()}


def locked(name: str) -> dict[str, set[str]]:
    """Return the hashes of each pin in a lock file, read another way than the program does."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    return {
        re.split(r"[ ;\\]", block)[0]: set(re.findall(r"sha256:([0-9a-f]{64})", block))
        for block in blocks
    }


@pytest.mark.parametrize("name", ["service", "rollout"])
def test_it_has_what_the_lock_file_has(boms: dict[str, Any], name: str) -> None:
    bom = boms[f"{name}.cdx.json"]

    found = {
        f"{each['name']}=={each['version']}": {hashed["content"] for hashed in each["hashes"]}
        for each in bom["components"]
    }

    assert found == locked(name)
    assert all(found.values())
    assert all(each["purl"] == each["bom-ref"] for each in bom["components"])


@pytest.mark.parametrize("name", ["service", "rollout"])
def test_every_package_is_needed_by_another_or_by_the_product(
    boms: dict[str, Any], name: str
) -> None:
    bom = boms[f"{name}.cdx.json"]
    root = bom["metadata"]["component"]["bom-ref"]
    needs = {each["ref"]: each["dependsOn"] for each in bom["dependencies"]}
    reached, waiting = set(), [root]
    while waiting:
        for ref in needs[waiting.pop()]:
            if ref not in reached:
                reached.add(ref)
                waiting.append(ref)

    assert needs.keys() - {root} == reached
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", bom["serialNumber"])
