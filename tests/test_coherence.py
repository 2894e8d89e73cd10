"""Errors, settings and scripts are complete; tests/docs compares them with the documentation."""

from __future__ import annotations

import inspect
from http import HTTPStatus
from pathlib import Path
from typing import Final

import pytest

from svc.api.problems import STATUS, TITLES
from svc.domain import errors
from svc.domain.errors import DomainError
from svc.settings import FIELDS
from svc.stores import scripts
from tests.support.scheduling import APART, LONGEST, file_of

ROOT: Final = Path(__file__).parents[1]
SCRIPTS: Final = sorted((ROOT / "svc" / "stores" / "scripts").glob("*.lua"))


def failures() -> set[type[DomainError]]:
    found = {
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, DomainError) and each is not DomainError
    }
    assert found
    return found


def test_every_failure_has_a_status_and_every_status_a_failure() -> None:
    assert set(STATUS) == failures()
    assert all(HTTPStatus(status) for status in STATUS.values())


def test_every_failure_has_a_slug_of_its_own() -> None:
    slugs = [failure.slug for failure in failures()]

    assert len(set(slugs)) == len(slugs)
    assert set(TITLES) == set(slugs)
    assert all(slug == slug.lower() and slug.replace("_", "").isalpha() for slug in slugs)


def test_what_may_be_retried_blindly_surely_changed_nothing() -> None:
    for failure, status in STATUS.items():
        if status == 503:
            assert (failure.applied, failure.retryable) == ("no", True)
        if status == 504:
            assert failure.applied == "unknown"
        if status < 500:
            assert failure.applied == "no"


def test_every_setting_has_its_line_of_documentation() -> None:
    assert [name for name, declared in FIELDS.items() if not declared.metadata["doc"]] == []


def test_every_script_file_is_loaded_and_every_script_has_a_file() -> None:
    loaded = {each.name for each in vars(scripts).values() if isinstance(each, scripts.Script)}

    # Scripts that change data begin with late.lua.
    assert loaded == {path.stem for path in SCRIPTS} - {"late"}


@pytest.mark.parametrize(
    "path", [each for each in SCRIPTS if each.stem != "late"], ids=lambda path: path.stem
)
def test_a_script_says_what_it_is_for_and_which_keys_it_takes(path: Path) -> None:
    comment = [line for line in path.read_text().splitlines() if line.startswith("--")]

    assert comment[0].startswith("-- ")
    assert "KEYS" in "\n".join(comment)


def test_the_files_that_run_first_or_apart_exist() -> None:
    named = [*APART, *map(file_of, LONGEST)]

    assert [each for each in named if not (ROOT / each).exists()] == []
