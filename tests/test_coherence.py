"""What is said in two places is said alike: errors and statuses, settings, routes, scripts."""

from __future__ import annotations

import inspect
import re
from http import HTTPStatus
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web

from svc.api.problems import STATUS, TITLES
from svc.api.routes import admin_routes, traffic_routes
from svc.domain import errors
from svc.domain.errors import DomainError
from svc.settings import FIELDS, env_name, shown_default
from svc.stores import scripts
from svc.telemetry.metrics import Metrics

ROOT: Final = Path(__file__).parents[1]
SCRIPTS: Final = sorted((ROOT / "svc" / "stores" / "scripts").glob("*.lua"))


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text()


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


def test_every_setting_is_a_row_of_the_readme_with_its_default(readme: str) -> None:
    rows = [line for line in readme.splitlines() if line.startswith("|")]

    missing = [
        f"{env_name(name)}={shown_default(name)}"
        for name in FIELDS
        if not any(f"`{env_name(name)}`" in row and shown_default(name) in row for row in rows)
    ]

    assert missing == []


def test_every_metric_is_in_the_readme(readme: str) -> None:
    metrics = Metrics("")
    metrics.watch_lifecycle(active=lambda: 0, ready=lambda: True, draining=lambda: False)
    metrics.watch_connections(lambda: (0, 0, 0))

    missing = [name for name in metrics.names if f"`{name}`" not in readme]

    assert len(metrics.names) > 10
    assert missing == []


def test_every_setting_has_its_line_of_documentation() -> None:
    assert [name for name, declared in FIELDS.items() if not declared.metadata["doc"]] == []


def templates() -> set[str]:
    """Return each route's template, as its resource names it."""
    found = set()
    for definitions in (traffic_routes(frozenset({"kv", "counters"})), admin_routes()):
        app = web.Application()
        app.add_routes(definitions)
        # With a slash at its end a collection is the same resource.
        found |= {resource.canonical.rstrip("/") or "/" for resource in app.router.resources()}
    return found


def test_every_route_is_in_the_readme(readme: str) -> None:
    missing = [
        template
        for template in sorted(templates())
        if not re.search(rf"(?<![\w}}./]){re.escape(template)}(?![\w/{{])", readme)
    ]

    assert missing == []


def test_every_script_file_is_loaded_and_every_script_has_a_file() -> None:
    loaded = {each.name for each in vars(scripts).values() if isinstance(each, scripts.Script)}

    assert loaded == {path.stem for path in SCRIPTS}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_says_what_it_is_for_and_which_keys_it_takes(path: Path) -> None:
    comment = [line for line in path.read_text().splitlines() if line.startswith("--")]

    assert comment[0].startswith("-- ")
    assert "KEYS" in "\n".join(comment)
