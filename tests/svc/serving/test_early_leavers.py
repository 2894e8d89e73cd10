"""Clients that connect and leave at once, as probes of TCP do."""

from __future__ import annotations

import signal
import socket

from tests.support.redis_servers import RedisServer
from tests.support.services import service_process

CLIENTS = 50
#: Less than the service keeps an idle connection, and than it waits for requests at its end.
SOON_SECONDS = 40.0
LATE_SECONDS = "100"


def test_their_connections_are_closed_at_once(shared_redis: RedisServer) -> None:
    with service_process(
        KV_STORE_URL=shared_redis.url, KV_KEEPALIVE_SECONDS=LATE_SECONDS, KV_DRAIN_SECONDS="0"
    ) as service:
        left = []
        for _ in range(CLIENTS):
            client = socket.create_connection(("127.0.0.1", service.port), SOON_SECONDS)
            client.shutdown(socket.SHUT_WR)
            left.append(client)

        received = [client.recv(1) for client in left]

        for client in left:
            client.close()
    assert received == [b""] * CLIENTS


def test_they_hold_up_no_end(shared_redis: RedisServer) -> None:
    with service_process(
        KV_STORE_URL=shared_redis.url, KV_SHUTDOWN_SECONDS=LATE_SECONDS, KV_DRAIN_SECONDS="0"
    ) as service:
        for _ in range(CLIENTS):
            socket.create_connection(("127.0.0.1", service.port)).close()
        service.signal(signal.SIGTERM)

        assert service.wait(SOON_SECONDS) == 0
