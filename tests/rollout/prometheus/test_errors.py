"""Without valid data a reading fails and says what to do; it never returns made-up zeros."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from rollout.prometheus.promql import build_promql
from rollout.prometheus.query import APP, Query, ReleaseLabel, app_query
from rollout.prometheus.source import PrometheusServer, open_source
from rollout.runner.ports import SourceFailed
from tests.rollout.prometheus.exporters import fresh_namespace, histogram
from tests.rollout.prometheus.scraped_prometheus import ScrapedPrometheus
from tests.support.ports import free_port
from tests.support.waiting import eventually

TRACKS = ReleaseLabel("track", "stable", "canary")
ROW = {"rollout_part": "requests", "job": "kv", "pod": "a", "track": "canary"}
TIME = {**ROW, "rollout_part": "sampled"}


def vector(*rows: tuple[dict[str, str], str], **more: Any) -> str:
    result = [{"metric": labels, "value": [1000.0, value]} for labels, value in rows]
    data = {"resultType": "vector", "result": result}
    return json.dumps({"status": "success", "data": data, **more})


async def read(url: str, query: Query | None = None, **more: Any) -> Any:
    async with open_source(
        PrometheusServer(url=url, **more), query or app_query("shop", TRACKS)
    ) as source:
        return await source.read()


@pytest.mark.parametrize(
    ("status", "text", "says"),
    [
        (200, vector(), r"no http_server_request_duration_seconds_count with namespace='shop'"),
        (200, vector((ROW, "1")), r"no http_server_request"),
        (200, vector((ROW, "NaN"), (TIME, "999")), r"reads NaN .*see what exports it"),
        (200, vector((ROW, "+Inf"), (TIME, "999")), r"reads \+Inf"),
        (200, vector((ROW, "1.5"), (TIME, "999")), r"reads 1\.5 .*raw counters"),
        (200, vector((ROW, "-1"), (TIME, "999")), r"reads -1"),
        (
            200,
            vector((ROW, "1"), ({**ROW, "rollout_part": "failed"}, "2"), (TIME, "999")),
            r"contradict each other: 1 requests, 2 failed",
        ),
        (
            200,
            vector((ROW, "1"), (TIME, "999"), ({**ROW, "job": "again"}, "1"),
                   ({**TIME, "job": "again"}, "999")),
            r"scraped by the jobs again, kv: let only one job scrape it",
        ),
        (
            200,
            vector((ROW, "1"), (TIME, "999"), warnings=["store 2 is unreachable"]),
            r"may be incomplete: \['store 2 is unreachable'\]",
        ),
        (200, json.dumps({"status": "success", "data": {"resultType": "scalar"}}), r"scalar"),
        (200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": [{}]}}),
         r"shape of Prometheus' API"),
        (200, json.dumps(["no", "object"]), r"no Prometheus"),
        (200, "<html>Sign in</html>", r"no Prometheus: not a JSON object; check the address"),
        (200, json.dumps({"status": "error", "error": "query timed out"}), r"query timed out"),
        (401, "", r"HTTP 401; .*check the token"),
        (404, "not found", r"HTTP 404; .*without /api"),
        (422, json.dumps({"status": "error", "error": "many-to-many"}), r"many-to-many; it could"),
        (429, "slow down", r"HTTP 429; too many queries"),
        (500, "", r"HTTP 500; see its log"),
        (503, json.dumps({"status": "error", "error": "query timed out"}), r"out; it is over"),
        (302, "", r"redirects to nowhere: give that address"),
    ],
)  # fmt: skip
async def test_an_invalid_response_is_refused(
    serve: Callable[[Any], Any], status: int, text: str, says: str
) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=text, status=status)

    url = await serve(handler)

    with pytest.raises(SourceFailed, match=says):
        await read(url)


async def test_a_valid_response_is_read(serve: Any) -> None:
    """It differs from the responses above only in what is wrong with them."""

    async def handler(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer secret"
        return web.Response(text=vector((ROW, "1"), (TIME, "999")))

    url = await serve(handler)

    reading = await read(url, token="secret")  # noqa: S106 - a made-up one

    assert [each.requests for each in reading.counts.values()] == [1]
    assert reading.at == 1000
    assert set(reading.sampled.values()) == {999}


async def test_a_server_that_never_answers_costs_no_more_than_the_timeout(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    url = await serve(handler)

    async with asyncio.timeout(60):
        with pytest.raises(SourceFailed, match=r"didn't answer within 0\.1 s"):
            await read(url, timeout_seconds=0.1)


async def test_an_endless_response_is_cut_off(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollout.prometheus.source._MAX_BYTES", 100_000)

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 65536)

    url = await serve(handler)

    with pytest.raises(SourceFailed, match=r"more than 100000 bytes: narrow"):
        await read(url)


async def test_a_closed_port_is_reported() -> None:
    with pytest.raises(SourceFailed, match=r"can't be queried: .*check the address"):
        await read(f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize("url", ["", "prometheus:9090", "http://", "http://a b/"])
async def test_an_invalid_address_is_reported(url: str) -> None:
    with pytest.raises(SourceFailed, match=r"can't be queried"):
        await read(url)


async def test_an_edge_that_is_no_bound_names_those_that_are(scraped: ScrapedPrometheus) -> None:
    namespace = fresh_namespace()
    pod = scraped.target(namespace=namespace, pod="kv-1", track="stable")
    pod.text = histogram(APP, 200, (1,) * 4, 1)
    await scraped.read_until(app_query(namespace, TRACKS), 1)

    with pytest.raises(SourceFailed, match=r"0\.3 s is no bucket bound .*0\.1, 0\.25, 0\.5, 1$"):
        await scraped.read(app_query(namespace, TRACKS, (0.1, 0.3)))


async def test_a_label_that_no_series_has_is_named(scraped: ScrapedPrometheus) -> None:
    namespace = fresh_namespace()
    pod = scraped.target(namespace=namespace, pod="kv-1", track="stable")
    pod.text = histogram(APP, 200, (1,) * 4, 1)
    await scraped.read_until(app_query(namespace, TRACKS), 1)

    with pytest.raises(SourceFailed, match=r"no series whose version is '1' or '2': check"):
        await scraped.read(app_query(namespace, ReleaseLabel("version", "1", "2")))


async def test_pods_that_can_not_be_scraped_are_no_evidence(scraped: ScrapedPrometheus) -> None:
    namespace = fresh_namespace()
    pod = scraped.target(namespace=namespace, pod="kv-1", track="stable")
    pod.text = histogram(APP, 200, (1,) * 4, 1)
    await scraped.read_until(app_query(namespace, TRACKS), 1)
    pod.status = 500

    async def look() -> str:
        try:
            await scraped.read(app_query(namespace, TRACKS))
        except SourceFailed as failed:
            return str(failed)
        return ""

    said = await eventually(look, what="the pod's end")

    assert "see whether it scrapes that" in said


@pytest.mark.parametrize("name", ['shop"} or vector(1) #', "a\\", r"\d", "two\nlines"])
async def test_hostile_names_stay_names(scraped: ScrapedPrometheus, name: str) -> None:
    """Quotes, backslashes and newlines in a matcher do not end its string."""
    query = app_query(name, TRACKS)

    with pytest.raises(SourceFailed, match="Prometheus has no http_server"):
        await scraped.read(query)


@pytest.mark.parametrize("label", ["", "a-b", "track) or vector(1) or sum by (x", "1a"])
def test_an_invalid_label_name_is_refused_at_once(label: str) -> None:
    with pytest.raises(ValueError, match="can't be a label name"):
        build_promql(app_query("shop", ReleaseLabel(label, "a", "b")))
