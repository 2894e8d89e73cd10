"""The check of aiohttp's private attributes, which runs when svc.serving is imported."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from svc.serving.aiohttp_internals import (
    CHECKED_VERSIONS,
    AiohttpUnsupported,
    check_private_attributes,
)
from tests.support.services import ROOT


def test_a_missing_attribute_is_named_with_the_versions_and_what_to_do() -> None:
    with pytest.raises(AiohttpUnsupported) as refused:
        check_private_attributes(((web.Request, ("_match_info", "_gone")),))

    text = str(refused.value)
    assert "Request._gone" in text
    assert "_match_info" not in text
    assert f"aiohttp {aiohttp.__version__} has no" in text
    assert f"pip install aiohttp=={CHECKED_VERSIONS[-1]}" in text


def test_the_pinned_version_is_a_checked_one() -> None:
    pins = (ROOT / "requirements" / "service.txt").read_text()

    (pinned,) = re.findall(r"^aiohttp==(\S+)", pins, re.MULTILINE)
    assert pinned in CHECKED_VERSIONS


def test_the_distribution_allows_the_checked_versions_and_no_others() -> None:
    with (ROOT / "svc" / "pyproject.toml").open("rb") as file:
        dependencies = tomllib.load(file)["project"]["dependencies"]
    (specifier,) = (d.removeprefix("aiohttp") for d in dependencies if re.match(r"aiohttp\b", d))
    floor, ceiling = re.fullmatch(r">=([\d.]+),<([\d.]+)", specifier).groups()  # type: ignore[union-attr]

    assert floor == CHECKED_VERSIONS[0]
    assert {version.rpartition(".")[0] for version in CHECKED_VERSIONS} == {"3.14"}
    assert ceiling == "3.15"


@pytest.mark.parametrize("path", sorted((ROOT / "svc").rglob("*.py")), ids=str)
def test_no_other_file_uses_aiohttps_private_attributes(path: Path) -> None:
    if path.parent.name == "serving":
        return
    names = r"_match_info|_keep_alive|_make_server|_serialize_headers|_current_request"

    assert not re.search(rf"\b(?:{names})\b", path.read_text())
