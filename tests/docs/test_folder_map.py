"""The folder map is what the packages say of themselves."""

from __future__ import annotations

from docs.folder_map import BEGIN, PAGE, render_map, render_page


def test_the_folder_map_is_current() -> None:
    page = PAGE.read_text()

    assert BEGIN in page
    assert render_page(page) == page, "run make generated"


def test_every_package_has_a_purpose() -> None:
    rows = [line for line in render_map().splitlines() if line.startswith("| `")]

    assert len(rows) > 25
    assert all(row.split(" | ")[1].strip() for row in rows)
