"""A Prometheus of the rehearsal's own, where one is installed."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any, Final

import aiohttp

from ..envoy.configuration import Address
from .child_process import Child
from .loopback import free_address, url_of
from .programs import RehearsalFailed, find_prometheus
from .releases import Pod

START_SECONDS: Final = 15.0
STOP_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.02
_INTERVAL: Final = "1s"


@contextlib.asynccontextmanager
async def running_prometheus(
    directory: Path, pods: Iterable[Pod], metrics: Address, client: aiohttp.ClientSession
) -> AsyncIterator[str | None]:
    """Run a Prometheus until the block ends; yield its URL, None where none is installed.

    It scrapes the pods as their PodMonitor would have it, and ``metrics``, where the gateway's and
    the rollout's are.
    """
    program = find_prometheus()
    if program is None:
        yield None
        return
    address = free_address()
    settings = directory / "prometheus.json"
    settings.write_text(json.dumps(scrape_configuration(pods, metrics)), encoding="utf-8")
    command = [
        *(program, f"--config.file={settings}"),
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--web.listen-address={address.host}:{address.port}",
        *("--enable-feature=exemplar-storage", "--log.level=warn"),
    ]
    child = await Child.start("prometheus", command, directory / "prometheus.log")
    try:
        await _wait_ready(child, url_of(address), client)
        yield url_of(address)
    finally:
        await child.stop(STOP_SECONDS)


def scrape_configuration(pods: Iterable[Pod], metrics: Address) -> dict[str, Any]:
    """Return Prometheus' configuration. JSON is YAML, too."""
    jobs = [_pod_job(pod) for pod in pods if pod.admin is not None]
    return {
        "global": {"scrape_interval": _INTERVAL, "scrape_timeout": _INTERVAL},
        "scrape_configs": [
            *([{"job_name": "kv", "static_configs": jobs}] if jobs else []),
            {
                "job_name": "istio-proxies",
                # Labels of the series themselves, such as a workload's namespace, stay.
                "honor_labels": True,
                "static_configs": [_static(metrics, namespace="istio-ingress", pod="gateway-0")],
            },
        ],
    }


def _pod_job(pod: Pod) -> dict[str, Any]:
    assert pod.admin is not None  # noqa: S101 - asked for by the caller
    plan = pod.plan
    return _static(
        pod.admin,
        namespace=plan.namespace,
        pod=plan.name,
        container=plan.container,
        endpoint="admin",
        app=plan.labels.get("app", ""),
        version=plan.version,
        track=plan.labels.get("track", ""),
    )


def _static(address: Address, **labels: str) -> dict[str, Any]:
    return {"targets": [f"{address.host}:{address.port}"], "labels": labels}


async def _wait_ready(child: Child, url: str, client: aiohttp.ClientSession) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await _is_ready(url, client):
                if child.exit_code is not None:
                    raise RehearsalFailed(f"Prometheus ended at once: {child.said()}")
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise RehearsalFailed(
            f"Prometheus is not ready after {START_SECONDS:g} s: {child.said()}"
        ) from None


async def _is_ready(url: str, client: aiohttp.ClientSession) -> bool:
    try:
        async with client.get(f"{url}/-/ready") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
