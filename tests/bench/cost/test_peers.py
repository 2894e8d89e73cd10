"""Services beside ours: the table, what the command line adds to it, and what is missing here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cost.__main__ import PROGRAM
from bench.cost.peers.commands import CONVENTION, PEERS, Peer, all_peers
from bench.frame.errors import BenchError
from bench.frame.processes import running
from bench.frame.program import parse_arguments
from bench.testbed.http_client import exchange
from bench.testbed.operations import peer_operations
from bench.testbed.preload import preload_peers
from bench.testbed.servers import Redis
from tests.conftest import need_redis_7


def peers(*arguments: str) -> dict[str, Peer]:
    sizes = parse_arguments(PROGRAM, arguments).sizes
    json.dumps(vars(sizes))
    return {each.name: each for each in all_peers(sizes.peer, sizes.peer_path)}


def test_the_command_line_adds_peers_and_says_what_they_serve() -> None:
    found = peers(
        *("--peer", "a=serve-a --port {port}", "--peer", "b=serve-b"),
        *("--peer-path", "b.get=GET /of/{key}", "--peer-path", "b.hot=PUT /add/{key}"),
    )

    assert list(found) == [*(each.name for each in PEERS), "a", "b"]
    assert found["a"] == Peer("a", "serve-a --port {port}", CONVENTION)
    assert found["b"].paths == {"get": "GET /of/{key}", "hot": "PUT /add/{key}"}


def test_a_known_name_gets_another_command_and_keeps_its_paths() -> None:
    known = {each.name: each for each in PEERS}["podinfo"]

    found = peers("--peer", "podinfo=/opt/podinfo --port={port}")["podinfo"]

    assert found.command == "/opt/podinfo --port={port}"
    assert found.paths == known.paths


@pytest.mark.parametrize(
    "option",
    ["--peer=name", "--peer==x", "--peer=a=", "--peer-path=a.get=/x", "--peer-path=a.x=GET /x"],
)
def test_a_peer_that_is_not_said_completely_is_refused(option: str) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(PROGRAM, [option])


def test_a_path_of_no_peer_is_refused() -> None:
    with pytest.raises(BenchError, match="no peer is called x"):
        peers("--peer-path", "x.get=GET /{key}")


def test_what_is_missing_is_named() -> None:
    assert Peer("x", "no-such-program").missing() == "no-such-program is not installed"
    assert Peer("x", "{python}", needs="false").missing() == "false fails"
    assert Peer("x", "{python} -c pass").missing() is None


def test_a_peer_of_the_command_line_is_started_and_answers_as_the_convention_says(
    tmp_path: Path,
) -> None:
    need_redis_7()
    peer = peers("--peer", "mine={python} -m bench.cost.peers.aiohttp_redis")["mine"]
    operations = peer_operations(peer.paths)

    with running(Redis()) as redis, running(peer.server(redis, (), tmp_path)) as server:
        preload_peers(redis.port)
        for operation in operations:
            status, body = exchange(server.port, operation.requests[-1])
            assert 200 <= status < 300
            assert operation.is_right(body)

    assert [each.name for each in operations] == list(CONVENTION)
