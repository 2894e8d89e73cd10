"""How each of the other services is started."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from bench.frame.cores import Cores
from bench.frame.processes import Server, find_program, free_port
from bench.testbed.servers import Redis

PACKAGE: Final = "bench.cost.peers"
#: Arguments after ``python -m`` by service. All serve on one core with one process.
COMMANDS: Final = {
    "hello": f"{PACKAGE}.hello",
    "floor": f"{PACKAGE}.batch_floor",
    "aiohttp": f"{PACKAGE}.aiohttp_redis",
    "FastAPI": f"uvicorn {PACKAGE}.fastapi_redis:app --host 127.0.0.1 --port {{port}}"
    " --loop uvloop --http httptools --no-access-log",
    # gunicorn's control socket would be in the home directory, where another one may exist.
    "Flask": f"gunicorn {PACKAGE}.flask_redis:app --bind 127.0.0.1:{{port}}"
    " --worker-class gthread --workers 1 --threads 8 --no-control-socket",
}


def peer(name: str, redis: Redis, cores: Cores, directory: Path) -> Server:
    """Return a server: one of COMMANDS, or "webdis"."""
    port = free_port()
    if name == "webdis":
        config = _write_webdis_config(directory, port, redis.port)
        command = [find_program("webdis"), str(config)]
    else:
        command = [sys.executable, "-m", *COMMANDS[name].format(port=port).split()]
    return Server(name, command, port, cores, {"PORT": str(port), "REDIS_URL": redis.url})


def _write_webdis_config(directory: Path, port: int, redis_port: int) -> Path:
    """Configure Webdis, a C program, with one thread for its core and no log line per request."""
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
