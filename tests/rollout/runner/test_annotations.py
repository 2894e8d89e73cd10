"""Steps and verdicts become annotations in Grafana; a Grafana that fails costs one log line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from rollout.runner.events import Event, EventKind
from rollout.runner.grafana_annotations import Grafana, open_annotations
from tests.rollout.report.simulated_rollout import simulate_rollout
from tests.support.ports import free_port

STEP = Event(
    time=1.25, rollout="kv", kind=EventKind.STEP, step="canary-05", share=0.05, detail="<b>5 %</b>"
)


@dataclass
class FakeGrafana:
    """A fake Grafana that keeps the annotations it gets."""

    url: str = ""
    status: int = 200
    hangs: bool = False
    may_read: bool = True
    annotations: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    async def answer(self, request: web.Request) -> web.Response:
        self.annotations.append(await request.json())
        self.tokens.add(request.headers["Authorization"])
        if self.hangs:
            await asyncio.Event().wait()
        return web.json_response({"message": "Annotation added", "id": 1}, status=self.status)

    async def find(self, request: web.Request) -> web.Response:
        if not self.may_read:
            return web.json_response({"message": "Access denied"}, status=403)
        tags = set(request.query.getall("tags"))
        found = [each for each in self.annotations if tags <= set(each["tags"])]
        return web.json_response(found[: int(request.query["limit"])])


@pytest.fixture
async def grafana() -> AsyncIterator[FakeGrafana]:
    grafana = FakeGrafana()
    app = web.Application()
    app.router.add_post("/grafana/api/annotations", grafana.answer)
    app.router.add_get("/grafana/api/annotations", grafana.find)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        grafana.url = f"http://127.0.0.1:{runner.addresses[0][1]}/grafana/"
        yield grafana
    finally:
        await runner.cleanup()


async def test_starts_steps_and_verdicts_are_posted_with_their_tags(grafana: FakeGrafana) -> None:
    async with open_annotations(Grafana(grafana.url, "secret"), ["version:1.5.0"]) as annotations:
        for event in simulate_rollout(failing=0.08).events:
            annotations.post_event(event, "key")

    kinds = [each["tags"][-1] for each in grafana.annotations]
    assert sorted(kinds) == ["rolled_back", "started", "step", "step"]
    assert grafana.annotations[0]["tags"][:3] == ["tallykv-rollout", "version:1.5.0", "rollout:kv"]
    assert grafana.tokens == {"Bearer secret"}


@pytest.mark.parametrize("may_read", [True, False])
async def test_a_verdict_that_another_runner_has_posted_is_not_posted_again(
    grafana: FakeGrafana, may_read: bool
) -> None:
    """Of Grafana's roles, all that may write may read; without that, rather twice than never."""
    grafana.may_read = may_read
    verdict = Event(time=1.25, rollout="kv", kind=EventKind.PROMOTED)

    for key in ("one", "one", "two"):
        async with open_annotations(Grafana(grafana.url, "secret")) as annotations:
            annotations.post_event(verdict, key)

    keys = [each["tags"][1] for each in grafana.annotations]
    assert keys == (["id:one", "id:two"] if may_read else ["id:one", "id:one", "id:two"])


async def test_time_is_in_milliseconds_and_text_is_no_markup(grafana: FakeGrafana) -> None:
    async with open_annotations(Grafana(grafana.url, "secret")) as annotations:
        annotations.post_event(STEP, "key")

    (body,) = grafana.annotations
    assert body["time"] == 1250
    assert body["text"] == (
        "kv: step canary-05 (0.05 of the requests to the canary)\n&lt;b&gt;5 %&lt;/b&gt;"
    )


@pytest.mark.parametrize("url", ["refused", "http://", "no address", ""])
async def test_a_grafana_that_is_unreachable_is_logged_once(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    where = f"http://127.0.0.1:{free_port()}" if url == "refused" else url

    with caplog.at_level(logging.WARNING):
        async with open_annotations(Grafana(where, "secret")) as annotations:
            for _ in range(3):
                annotations.post_event(STEP, "key")

    assert [each.message for each in caplog.records] == ["annotations are lost"]


async def test_a_refusal_is_logged_once(
    grafana: FakeGrafana, caplog: pytest.LogCaptureFixture
) -> None:
    grafana.status = 403

    async with open_annotations(Grafana(grafana.url, "secret")) as annotations:
        annotations.post_event(STEP, "key")
        annotations.post_event(STEP, "key")

    assert [vars(each)["why"] for each in caplog.records] == ["HTTP 403"]
    assert "secret" not in caplog.text


async def test_a_grafana_that_hangs_delays_nothing_and_requests_are_bounded(
    grafana: FakeGrafana, monkeypatch: pytest.MonkeyPatch
) -> None:
    grafana.hangs = True
    monkeypatch.setattr("rollout.runner.grafana_annotations._TIMEOUT_SECONDS", 0.2)

    async with asyncio.timeout(60):
        async with open_annotations(Grafana(grafana.url, "secret")) as annotations:
            for _ in range(100):
                annotations.post_event(STEP, "key")

    assert len(grafana.annotations) <= 8


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, None),
        ({"GRAFANA_URL": "http://g"}, None),
        ({"GRAFANA_TOKEN": "t", "GRAFANA_URL": ""}, None),
        ({"GRAFANA_URL": "http://g", "GRAFANA_TOKEN": "t"}, Grafana("http://g", "t")),
    ],
)
def test_grafana_is_used_only_if_both_variables_are_set(
    environ: dict[str, str], found: Grafana | None
) -> None:
    assert Grafana.from_env(environ) == found
    assert "'t'" not in repr(found)
