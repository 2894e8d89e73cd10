"""Watches: the present state, then every later one, whoever changes it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import aiohttp
import pytest

from svc.domain.model import CounterName, Key
from svc.domain.watching import Change, Subject
from svc.stores.names import counter_name, entry_name
from tests.conftest import Backend
from tests.support.event_streams import Watch, watching
from tests.support.services import Service
from tests.support.waiting import eventually

JSON = {"Content-Type": "application/json"}


def watch(
    service: Service, path: str, **headers: str
) -> contextlib.AbstractAsyncContextManager[Watch]:
    return watching(service.client, service.url(path), headers)


async def put(service: Service, path: str, body: bytes = b"1", **headers: str) -> str:
    async with service.put(path, data=body, headers=headers) as response:
        assert response.status < 300, await response.text()
        return str(response.headers["ETag"])


async def test_an_entry_is_told_from_its_absence_to_its_deletion(service: Service) -> None:
    async with watch(service, "/v1/kv/a/x") as told:
        assert told.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert told.response.headers["Cache-Control"] == "no-store"
        assert told.response.headers["KV-Pod"] == "pod-1"
        await told.until(lambda w: w.names == ["deleted", "synced"])

        etag = await put(service, "/v1/kv/a/x?ttl=none", b'{"n":\n1}', **JSON)
        await told.until(lambda w: "a/x" in w.state)
        assert told.state["a/x"] == {
            "key": "a/x",
            "etag": etag,
            "ttl": None,
            "size": 8,
            "content_type": "application/json",
            "value": {"n": 1},
        }
        await put(service, "/v1/kv/a/x", b"\xff")
        await told.until(lambda w: w.state["a/x"].get("value_b64") == "/w==")
        await service.delete("/v1/kv/a/x")
        await told.until(lambda w: not w.state)

        assert told.events[-1].data == {"key": "a/x"}


async def test_a_prefix_is_told_what_is_there_and_what_comes(service: Service) -> None:
    for number in range(30):
        await put(service, f"/v1/kv/p/{number}")
    await put(service, "/v1/kv/other")

    async with (
        watch(service, "/v1/kv?prefix=p/") as told,
        watch(service, "/v1/kv?prefix=&include=value") as all_told,
    ):
        await told.until(lambda w: len(w.state) == 30)
        await all_told.until(lambda w: len(w.state) == 31)
        assert "value" not in told.state["p/0"]
        assert all_told.state["p/0"]["value_b64"] == "MQ=="

        await put(service, "/v1/kv/p/0", b"longer")
        await service.delete("/v1/kv/p/1")
        await put(service, "/v1/kv/other", b"new")

        await told.until(lambda w: w.state["p/0"]["size"] == 6 and "p/1" not in w.state)
        await all_told.until(lambda w: w.state["other"]["size"] == 3)
        assert "other" not in told.state


async def test_counters_are_told_by_name_and_by_prefix(service: Service) -> None:
    async with (
        watch(service, "/v1/counters/c:1") as one,
        watch(service, "/v1/counters?prefix=c:") as all_told,
    ):
        for _ in range(5):
            await service.post("/v1/counters/c:1/increments")
        for told in (one, all_told):
            await told.until(lambda w: w.state.get("c:1", {}).get("value") == 5)
            values = [e.data["value"] for e in told.events if e.name == "counter"]
            assert values == sorted(values)
            assert told.state["c:1"] == {
                "name": "c:1",
                "value": 5,
                "value_text": "5",
                "ttl": None,
                "etag": '"5"',
            }
        await service.delete("/v1/counters/c:1")
        await one.until(lambda w: not w.state)
        await all_told.until(lambda w: not w.state)


async def test_foreign_writers_expiry_and_flushes_are_told(
    service: Service, backend: Backend
) -> None:
    await put(service, "/v1/kv/f/long")
    name, counter = entry_name(Key("f/long")), counter_name(CounterName("f"))
    owners = {
        each: next(
            client
            for client in backend.clients
            if backend.name != "cluster" or _answers(client, each)
        )
        for each in (name, counter)
    }
    async with (
        watch(service, "/v1/kv?prefix=f/") as told,
        watch(service, "/v1/counters/f") as counted,
    ):
        await told.until(lambda w: "f/long" in w.state)
        owners[counter].set(counter, "41")
        await counted.until(lambda w: w.state.get("f", {}).get("value") == 41)
        owners[counter].pexpire(counter, 20)
        await counted.until(lambda w: not w.state)
        # Longer than a busy machine takes to tell of it.
        await put(service, "/v1/kv/f/short?ttl=5")
        await told.until(lambda w: "f/short" in w.state)
        await told.until(lambda w: "f/short" not in w.state)

        backend.flush()

        await told.until(lambda w: not w.state)


def _answers(client: Any, name: bytes) -> bool:
    try:
        client.execute_command("EXISTS", name)
    except Exception:  # noqa: BLE001 - MOVED
        return False
    return True


async def test_a_watch_resumes_where_it_was_or_begins_anew(service: Service) -> None:
    await put(service, "/v1/kv/r/1")
    etag = await put(service, "/v1/kv/r/2")
    async with watch(service, "/v1/kv?prefix=r/") as told:
        await told.until(lambda w: len(w.state) == 2)
        last_id = told.last_id
    await put(service, "/v1/kv/r/3")
    await service.delete("/v1/kv/r/1")

    async with watch(service, "/v1/kv?prefix=r/", **{"Last-Event-ID": last_id}) as told:
        await told.until(lambda w: "r/3" in w.state and "deleted" in w.names)
        assert "reset" not in told.names
        assert [e.data["key"] for e in told.events if e.name == "entry"] == ["r/3"]
    async with watch(service, "/v1/kv?prefix=r/", **{"Last-Event-ID": "from.9"}) as told:
        await told.until(lambda w: len(w.state) == 2)
        assert told.names[0] == "reset"
    for known, names in ((etag.strip('"'), ["synced"]), ("older", ["entry", "synced"])):
        async with watch(service, "/v1/kv/r/2", **{"Last-Event-ID": known}) as told:
            await told.until(lambda _: True)
            assert told.names == names


async def test_a_watch_resumes_between_two_changes_that_came_together(service: Service) -> None:
    async with watch(service, "/v1/kv?prefix=r/") as told:
        await told.until(lambda w: w.is_synced)
        operations = [{"op": "put", "key": f"r/{n}", "value": n} for n in range(20)]
        async with service.post("/v1/batch", json={"operations": operations}) as response:
            assert response.status == 200
        await told.until(lambda w: len(w.state) == 20)
        events = [event for event in told.events if event.name == "entry"]

        # The connection may break after any of them.
        for at in (0, 9, 18):
            last_id = {"Last-Event-ID": events[at].id}
            async with watch(service, "/v1/kv?prefix=r/", **last_id) as again:
                await again.until(lambda w: w.is_synced)
                assert "reset" not in again.names
                known = {event.data["key"] for event in events[: at + 1]}
                assert known | set(again.state) == set(told.state), at


async def test_a_watch_does_not_resume_what_nobody_watched_meanwhile(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("svc.stores.watching.hub.LINGER_SECONDS", 0.05)
    async with watch(service, "/v1/kv?prefix=elsewhere/") as other:
        await other.until(lambda w: w.is_synced)
        async with watch(service, "/v1/kv?prefix=r/") as told:
            await put(service, "/v1/kv/r/a")
            await told.until(lambda w: "r/a" in w.state)
            last_id = told.last_id
        feeds = service.store._hub.feeds.prefixes
        await eventually(lambda: len(feeds) == 1, what="the end of the prefix's watch")
        await put(service, "/v1/kv/r/b")

        async with watch(service, "/v1/kv?prefix=r/", **{"Last-Event-ID": last_id}) as told:
            await told.until(lambda w: w.is_synced)
            assert told.state.keys() == {"r/a", "r/b"}
            assert told.names[0] == "reset"


async def test_many_writers_leave_every_watcher_with_the_last_state(service: Service) -> None:
    async with (
        watch(service, "/v1/kv?prefix=m/&include=value") as told,
        watch(service, "/v1/kv/m/0") as one,
    ):

        async def write(key: int) -> str:
            for number in range(15):
                etag = await put(service, f"/v1/kv/m/{key}?ttl=none", str(number).encode(), **JSON)
            return etag

        etags = await asyncio.gather(*(write(key) for key in range(10)))

        expected = {f"m/{key}": etag for key, etag in enumerate(etags)}
        await told.until(lambda w: {k: d["etag"] for k, d in w.state.items()} == expected)
        await one.until(lambda w: w.state["m/0"]["etag"] == etags[0])
        for key in expected:
            values = [e.data["value"] for e in told.events if e.data.get("key") == key]
            assert values == sorted(values)


@pytest.mark.parametrize("path", ["/v1/kv?prefix=&x=1", "/v1/kv?prefix=&include=all", "/v1/kv/a?b"])
async def test_what_a_watch_does_not_take_is_refused(service: Service, path: str) -> None:
    headers = {"Accept": "text/event-stream"}
    async with service.get(path, headers=headers) as response:
        assert response.status == 400
        assert (await response.json())["code"] == "query_invalid"


async def test_the_first_events_come_without_waiting_for_more(service: Service) -> None:
    timeout = aiohttp.ClientTimeout(total=None)
    headers = {"Accept": "text/event-stream"}
    async with service.get("/v1/counters/first", headers=headers, timeout=timeout) as response:
        assert await response.content.readuntil(b"\n\n") == b"retry: 1000\n\n"


class Notes:
    """A watcher that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def tell(self, change: Change) -> None:
        self.told.append(f"{change.name} {change.exists}")

    def sync(self, position: str) -> None:  # noqa: ARG002
        self.told.append("synced")

    def reset(self, reason: str) -> None:
        self.told.append(reason)

    def end(self, reason: str) -> None:
        self.told.append(reason)

    async def room(self, until: float) -> None:  # noqa: ARG002
        return


async def test_who_was_told_a_change_before_the_present_state_forgets_it_with_the_others(
    service: Service,
) -> None:
    subject = Subject("n/", is_counter=False, is_prefix=True)
    early, late, hub = Notes(), Notes(), service.store._hub
    async with hub._presents._places, hub._presents._places:  # no present state is told meanwhile
        for watcher in (early, late):
            await service.store.watch(subject, watcher)
            await asyncio.sleep(0.05)
        await put(service, "/v1/kv/n/a")
        await eventually(lambda: early.told and late.told, what="the change")
        hub._missed()  # perhaps the end of n/a, too

    await eventually(lambda: "synced" in early.told and "synced" in late.told, what="the state")
    assert early.told == late.told == ["n/a True", "missed", "n/a True", "synced"]
