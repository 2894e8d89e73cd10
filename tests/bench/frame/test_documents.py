"""Documents are written from the results of one run, or of several."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.frame.documents import END, begin_of, write_documents


def test_a_passage_has_the_rows_of_all_files(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{begin_of('evidence')}{END}")
    files = [tmp_path / "good.json", tmp_path / "bad.json"]
    for number, file in enumerate(files):
        file.write_text(json.dumps({"cores": 2, "rows": [{"title": f"row {number}"}]}))

    def render(results: Mapping[str, Any]) -> Mapping[Path, str]:
        titles = ", ".join(row["title"] for row in results["rows"])
        return {page: f"{titles} on {results['cores']} cores"}

    assert write_documents("evidence", render, [str(file) for file in files]) == 0
    assert page.read_text() == f"{begin_of('evidence')}row 0, row 1 on 2 cores{END}"


def test_a_file_that_is_missing_changes_nothing(tmp_path: Path) -> None:
    assert write_documents("evidence", lambda _: {}, [str(tmp_path / "none.json")]) == 2
