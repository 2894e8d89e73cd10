"""Ask a service why its store fails: in the log, at /statusz and in a metric."""

from __future__ import annotations

from typing import Any

from svc.settings import Settings
from svc.stores.reasons import Reason
from tests.support.answers import ask_admin, assert_refused, get
from tests.support.instrumented_service import instrumented_service, logged_lines, scrape
from tests.support.services import Service
from tests.support.waiting import eventually


async def reasons_of(service: Service) -> list[str]:
    status = (await ask_admin(service, "/statusz")).json
    return [failure["reason"] for failure in status["store"]["failures"]]


async def assert_reason(url: str, reason: Reason, **settings: Any) -> None:
    """Assert that a service on the URL tells the reason, everywhere."""
    with logged_lines() as lines:
        chosen = Settings(**{"store_url": url, "store_timeout_ms": 5000, **settings})
        async with instrumented_service(chosen) as service:

            async def is_told() -> bool:
                assert_refused(await get(service, "k"))
                return reason.value in await reasons_of(service)

            await eventually(is_told, what=f"{reason} at /statusz")
            status = (await ask_admin(service, "/statusz")).json
            counted = await scrape(service)
    assert status["status"] == "degraded"
    assert not status["store"]["answers"] or status["store"]["state"] == "loading"
    told = next(each for each in status["store"]["failures"] if each["reason"] == reason)
    assert told["since_seconds"] >= told["last_seconds"] >= 0
    assert counted.value("kv_store_failures_total", reason=reason.value) >= 1
    assert reason.value in {line["reason"] for line in lines.with_body("store fails")}
