"""Every setting, route, limit, metric and error of the service has its row in the reference."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from svc.api.limits import Limits
from svc.api.problems import HTTP_CODES, STATUS
from svc.api.routes import admin_routes, traffic_routes
from svc.domain import errors
from svc.domain.errors import DomainError
from svc.settings import FIELDS, FLAGS, env_name, flag_name, shown_default
from svc.stores.reasons import Reason
from svc.telemetry.metrics import Metrics
from tests.docs.pages import ROOT

REFERENCE = ROOT / "docs" / "reference"


def rows_of(page: Path) -> list[str]:
    return [line for line in page.read_text().splitlines() if line.startswith("|")]


def first_cells(page: Path) -> list[str]:
    return [row.split("|")[1].strip() for row in rows_of(page)]


@pytest.mark.parametrize("name", FIELDS)
def test_a_setting_has_a_row_with_its_flag_and_default(name: str) -> None:
    flag = f"`{flag_name(name)}`" if name in FLAGS else "none"
    start = f"| `{env_name(name)}` | {flag} | `{shown_default(name)}` | "

    assert [row for row in rows_of(REFERENCE / "settings.md") if row.startswith(start)]


def test_no_row_documents_a_setting_that_does_not_exist() -> None:
    documented = re.findall(
        r"^\| `(KV_\w+)`", (REFERENCE / "settings.md").read_text(), re.MULTILINE
    )

    assert set(documented) == {env_name(name) for name in FIELDS}


def templates() -> set[str]:
    """Return each route's template, as its resource names it."""
    found = set()
    for definitions in (traffic_routes(frozenset({"kv", "counters"})), admin_routes()):
        app = web.Application()
        app.add_routes(definitions)
        # With a slash at its end a collection is the same resource.
        found |= {resource.canonical.rstrip("/") or "/" for resource in app.router.resources()}
    return found


@pytest.mark.parametrize("template", sorted(templates()))
def test_a_route_has_a_row(template: str) -> None:
    cells = first_cells(REFERENCE / "http.md")

    assert [cell for cell in cells if f"`{template}`" in cell]


def test_every_metric_has_a_row_with_its_labels() -> None:
    metrics = Metrics("")
    metrics.watch_lifecycle(active=lambda: 0, ready=lambda: True, draining=lambda: False)
    metrics.watch_connections(lambda: (0, 0, 0))
    metrics.watch_budget(lambda: 0)
    metrics.watch_watchers(lambda: 0)
    metrics.watch_certificate(lambda: 0)
    metrics.watch_tokens(lambda: 0, lambda: False)
    cells = first_cells(REFERENCE / "metrics.md")

    missing = [name for name in metrics.names if f"`{name}`" not in cells]

    assert len(metrics.names) > 10
    assert missing == []


def failures() -> list[type[DomainError]]:
    return [
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, DomainError) and each is not DomainError
    ]


@pytest.mark.parametrize("failure", failures(), ids=lambda failure: failure.slug)
def test_an_error_has_a_row_that_says_what_it_means_for_a_retry(
    failure: type[DomainError],
) -> None:
    later = "yes" if failure.retryable else ""
    start = f"| {STATUS[failure]} | `{failure.slug}` | {failure.applied} | {later}"

    rows = [row for row in rows_of(REFERENCE / "errors.md") if row.startswith(start)]

    assert len(rows) == 1
    assert later or "| yes |" not in rows[0]


@pytest.mark.parametrize(("status", "code"), HTTP_CODES.items())
def test_an_error_of_http_itself_has_a_row(status: int, code: str) -> None:
    applied = "unknown" if status == 500 else "no"

    assert [
        row
        for row in rows_of(REFERENCE / "errors.md")
        if row.startswith(f"| {status} | `{code}` | {applied} | ")
    ]


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_has_a_row(reason: Reason) -> None:
    assert f"`{reason}`" in first_cells(REFERENCE / "errors.md")


def test_the_list_of_unknown_outcomes_names_every_error_that_leaves_one() -> None:
    text = (REFERENCE / "errors.md").read_text()
    unknown = set(re.findall(r"^\| \d+ \| `(\w+)` \| unknown \|", text, re.MULTILINE))
    listed = text.partition("the change may have been applied:\n\n")[2].partition("\n\n")[0]

    assert unknown
    assert set(re.findall(r"`([a-z_]+)`", listed)) == unknown | {"code"}


@pytest.mark.parametrize("limit", [field.name for field in msgspec.structs.fields(Limits)])
def test_a_limit_has_a_row(limit: str) -> None:
    assert f"`{limit}`" in first_cells(REFERENCE / "limits.md")


BENCHES = ("cost", "scale", "soak", "signals", "faults", "evidence")


def parts_of(bench: str) -> list[str]:
    """Return the parts that the bench's section names: in a first cell, by family, or as one."""
    section = (REFERENCE / "bench.md").read_text().partition(f"\n## {bench.title()}\n")[2]
    section = section.partition("\n## ")[0]
    families = section.partition("| Family | Parts |")[2].partition("\n\n")[0]
    return [
        *re.findall(r"(?m)^\| `([a-z-]+)` \|", section),
        *re.findall(r"`([a-z-]+)`", families),
        *re.findall(r"in one part, `([a-z-]+)`", section),
    ]


@pytest.mark.parametrize("bench", BENCHES)
def test_the_page_names_just_the_parts_of_a_bench(bench: str) -> None:
    program = importlib.import_module(f"bench.{bench}.__main__").PROGRAM

    # A part may be explained a second time, below the table of parts.
    assert set(parts_of(bench)) == set(program.parts)
