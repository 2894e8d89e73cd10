"""How each of the other services is started, and what it serves."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bench.frame.cores import Cores
from bench.frame.errors import BenchError
from bench.frame.processes import ROOT, Server, free_port
from bench.testbed.servers import Redis

NOTHING: Final[Mapping[str, str]] = {}
#: What a service serves unless it is said otherwise, as a method and a path for each operation.
#: GET answers with the value alone; the increment with a number, or with one as "value" in JSON.
CONVENTION: Final = {"get": "GET /kv/{key}", "put": "PUT /kv/{key}", "hot": "POST /counters/{key}"}


@dataclass(frozen=True)
class Peer:
    """A service beside ours. It serves 127.0.0.1 with one process, or with one that has children.

    ``command`` may contain {port}, {redis_port}, {redis_url}, {python} and {webdis_config}. The
    variables PORT and REDIS_URL are set too. Every answer must be a success (2xx).
    """

    name: str
    command: str
    paths: Mapping[str, str] = field(default_factory=lambda: CONVENTION)
    #: A command that fails where something is missing that the service needs.
    needs: str = "true"

    def missing(self) -> str | None:
        """Return what is missing here to run it, or None."""
        program = shlex.split(self.command)[0].format(python=sys.executable)
        if shutil.which(program) is None:
            return f"{program} is not installed"
        checked = subprocess.run(
            shlex.split(self.needs), cwd=ROOT, capture_output=True, check=False
        )
        return f"{self.needs} fails" if checked.returncode else None

    def server(
        self, redis: Redis, cores: Cores, directory: Path, environ: Mapping[str, str] = NOTHING
    ) -> Server:
        """Return the service, not started. ``environ`` is added to its environment."""
        port = free_port()
        values = {
            "port": port,
            "redis_port": redis.port,
            "redis_url": redis.url,
            "python": sys.executable,
            "webdis_config": _write_webdis_config(directory, port, redis.port),
        }
        command = [word.format(**values) for word in shlex.split(self.command)]
        environ = {"PORT": str(port), "REDIS_URL": redis.url, **environ}
        return Server(self.name, command, port, cores, environ)


#: The least that operations can cost, without and with signals, and that a batch can, without and
#: with the contract.
FLOOR: Final = "floor"
SIGNALS_FLOOR: Final = "signals floor"
BATCH_FLOOR: Final = "batch floor"
CONTRACT_FLOOR: Final = "contract floor"
FASTAPI: Final = "FastAPI"

HELLO: Final = Peer("hello", "{python} -m bench.cost.peers.hello", {})
#: A server of 1 MiB from and into its own memory.
MEMORY: Final = Peer("aiohttp-alone", "{python} -m bench.cost.peers.aiohttp_memory")
LARGE_FLOOR: Final = Peer(FLOOR, "{python} -m bench.cost.peers.large_floor")
AIOHTTP: Final = Peer("aiohttp", "{python} -m bench.cost.peers.aiohttp_redis")
PEERS: Final = (
    Peer(
        FLOOR,
        "{python} -m bench.cost.peers.operation_floor",
        {
            "get": "GET /v1/kv/{key}",
            "put": "PUT /v1/kv/{key}",
            "hot": "POST /v1/counters/{key}/increments",
        },
    ),
    Peer(
        SIGNALS_FLOOR,
        "{python} -m bench.cost.peers.operation_floor --signals",
        {"get": "GET /v1/kv/{key}"},
    ),
    Peer(BATCH_FLOOR, "{python} -m bench.cost.peers.batch_floor", {"batch-get": "POST /v1/batch"}),
    Peer(
        CONTRACT_FLOOR,
        "{python} -m bench.cost.peers.batch_floor --contract",
        {"batch-get": "POST /v1/batch"},
    ),
    AIOHTTP,
    Peer(
        FASTAPI,
        "{python} -m uvicorn bench.cost.peers.fastapi_redis:app --host 127.0.0.1 --port {port}"
        " --loop uvloop --http httptools --no-access-log",
    ),
    # gunicorn's control socket would be in the home directory, where another one may exist.
    Peer(
        "Flask",
        "{python} -m gunicorn bench.cost.peers.flask_redis:app --bind 127.0.0.1:{port}"
        " --worker-class gthread --workers 1 --threads 8 --no-control-socket",
    ),
    Peer(
        "Fastify",
        "node bench/cost/peers/fastify_redis.cjs",
        needs="node -e \"require('fastify'); require('ioredis')\"",
    ),
    Peer("webdis", "webdis {webdis_config}", {"get": "GET /GET/{key}.txt"}),
    Peer(
        "podinfo",
        "podinfo --port={port} --level=error --cache-server=tcp://127.0.0.1:{redis_port}",
        {"get": "GET /cache/{key}", "put": "PUT /cache/{key}"},
    ),
)


def parse_peer(text: str) -> tuple[str, str]:
    """Return the name and the command of NAME=COMMAND; raise ValueError."""
    name, _, command = text.partition("=")
    if not name or not shlex.split(command):
        raise ValueError(text)
    return name, command


def parse_peer_path(text: str) -> tuple[str, str, str]:
    """Return the parts of NAME.OPERATION=METHOD PATH; raise ValueError."""
    name, _, operation = text.partition("=")[0].rpartition(".")
    line = text.partition("=")[2]
    if not name or operation not in CONVENTION or len(line.split()) != 2:
        raise ValueError(text)
    return name, operation, line


def all_peers(
    given: Iterable[tuple[str, str]], paths: Sequence[tuple[str, str, str]]
) -> list[Peer]:
    """Return PEERS and those that are given. A known name changes the command; raise BenchError."""
    peers = {each.name: each for each in PEERS}
    for name, command in given:
        known = peers.get(name)
        peers[name] = (
            replace(known, command=command, needs="true") if known else Peer(name, command)
        )
    for name in {name for name, _, _ in paths}:
        if name not in peers:
            raise BenchError(f"--peer-path: no peer is called {name}; add --peer {name}=COMMAND")
        own = {operation: line for whose, operation, line in paths if whose == name}
        peers[name] = replace(peers[name], paths=own)
    return list(peers.values())


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
