"""Where inputs from real life are: $TALLYKV_CASES, else ../shared/cases beside the repository."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
CASES: Final = Path(os.environ.get("TALLYKV_CASES") or ROOT.parent / "shared" / "cases")
needs_cases: Final = pytest.mark.skipif(
    not CASES.is_dir(), reason=f"needs the cases of {CASES}; set TALLYKV_CASES to their directory"
)
