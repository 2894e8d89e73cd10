"""Another server becomes the primary at the same address, as behind a proxy or a Service."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import pytest

from svc.settings import Settings
from tests.support.answers import Answer, ask, assert_refused, increment, put
from tests.support.redis_servers import RedisServer, running_redis
from tests.support.services import Service, running_service
from tests.support.tcp_proxy import running_proxy
from tests.support.waiting import eventually

operations = itertools.count()


async def change(service: Service, kind: str) -> Answer:
    if kind == "write":
        return await put(service, "k", b"v")
    if kind == "conditional write":
        return await ask(service, "PUT", "/v1/kv/k", data=b"v", headers={"If-None-Match": '"x"'})
    operation = f"op-{next(operations)}" if kind == "recorded step" else None
    return await increment(service, "n", operation)


@pytest.mark.parametrize("kind", ["write", "conditional write", "step", "recorded step"])
async def test_changes_are_refused_by_the_demoted_one_and_find_the_new_one_by_themselves(
    either_redis: RedisServer, tmp_path: Path, kind: str
) -> None:
    with running_redis(either_redis.binary, tmp_path / "new") as new:
        async with (
            running_proxy(either_redis.port) as network,
            running_service(Settings(store_url=network.url)) as service,
        ):
            await change(service, kind)
            network.target_port = new.port
            with contextlib.closing(either_redis.client()) as demoted:
                demoted.replicaof("127.0.0.1", str(new.port))

            async def changed() -> bool:
                answer = await change(service, kind)
                if answer.status not in {200, 201}:
                    assert_refused(answer)
                return answer.status in {200, 201}

            await eventually(changed, what="the new primary")
            with contextlib.closing(new.client()) as client:
                assert client.dbsize() > 0
