"""``rollout.evidence`` can be imported alone: it loads no other package of ours or of others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
SCRIPT: Final = """\
import sys

before = set(sys.modules)
import rollout.evidence

new = set(sys.modules) - before
print(*sorted(new - {name for name in new if name.split(".")[0] in sys.stdlib_module_names}))
"""


def test_nothing_but_the_package_and_the_standard_library_is_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True
    )

    loaded = set(done.stdout.split())
    assert {"rollout", "rollout.evidence", "rollout.evidence.mixture"} <= loaded
    assert not {name for name in loaded if not name.startswith("rollout")}
    assert not {name for name in loaded - {"rollout"} if not name.startswith("rollout.evidence")}
