"""Write the dashboards' JSON or check it: ``python -m grafana.build [--check]``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from .panels import Json
from .rollout import build_rollout
from .service import build_service

FOLDER: Final = Path(__file__).parent / "dashboards"


def build_all() -> dict[str, Json]:
    """Return every dashboard by its file name."""
    return {"service.json": build_service(), "rollout.json": build_rollout()}


def render(dashboard: Json) -> str:
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def stale(folder: Path = FOLDER) -> list[str]:
    """Return the names of files that are missing, superfluous, or differ from the code."""
    wanted = {name: render(dashboard) for name, dashboard in build_all().items()}
    found = {path.name: path.read_text() for path in folder.glob("*.json")}
    names = sorted(wanted.keys() | found.keys())
    return [name for name in names if wanted.get(name) != found.get(name)]


def write(folder: Path = FOLDER) -> None:
    folder.mkdir(exist_ok=True)
    for name, dashboard in build_all().items():
        (folder / name).write_text(render(dashboard))


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m grafana.build", description=__doc__)
    options.add_argument("--check", action="store_true", help="only check; fail if a file differs")
    if options.parse_args().check:
        if behind := stale():
            sys.exit(f"out of date: {', '.join(behind)}; run python -m grafana.build")
    else:
        write()


if __name__ == "__main__":
    main()
