"""Webdis, a C program that speaks HTTP for Redis: its configuration, with nothing but ports set.

One thread, because every server here has one core, and no log line per request, as the others.
"""

from __future__ import annotations

import json
from pathlib import Path


def write_config(directory: Path, port: int, redis_port: int) -> Path:
    path = directory / f"webdis-{port}.json"
    settings = {
        "redis_host": "127.0.0.1",
        "redis_port": redis_port,
        "http_host": "127.0.0.1",
        "http_port": port,
        "threads": 1,
        "daemonize": False,
        "verbosity": 0,
        "logfile": str(directory / f"webdis-{port}.log"),
    }
    path.write_text(json.dumps(settings))
    return path
