"""Listings: all pages of some keys, none of which may be missing."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote

from locust import task

from ..checks.answers import Answer, WrongAnswer, expect_status, expect_written, json_of
from .base import TallyUser, Unknown
from .entries import ROUTE as ENTRY

ROUTE: Final = "/v1/kv"
KEYS: Final = 25
PAGE: Final = 10
#: A page may be empty before the end. A listing with more pages is given up.
MAX_PAGES: Final = 500


class Listing(TallyUser):
    """Writes its keys once, and then lists them."""

    weight = 1

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._prefix = f"{self.run_state.name}/l{self.number}/"
        self._written: set[str] = set()

    @task
    def go_on(self) -> None:
        with suppress(Unknown):
            if len(self._written) < KEYS:
                self._write_one()
            else:
                self._list_all()

    def _write_one(self) -> None:
        key = f"{self._prefix}{len(self._written)}"

        def check(answer: Answer) -> None:
            expect_written(answer, key, 200, 201)
            self._written.add(key)

        path = f"/v1/kv/{key}?ttl={self.run_state.ttl_seconds}"
        self.send("PUT", path, ENTRY, check, body=b"x", headers={"Content-Type": "text/plain"})

    def _list_all(self) -> None:
        """Read all pages. The last one shows whether all keys were listed."""
        seen: set[str] = set()
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = _Page(self._prefix, self._written, seen)
            query = f"prefix={quote(self._prefix, safe='')}&limit={PAGE}"
            if cursor is not None:
                query += f"&cursor={quote(cursor, safe='')}"
            if self.send("GET", f"/v1/kv?{query}", ROUTE, page) is None:
                return
            cursor = page.next_cursor
            if cursor is None:
                return


class _Page:
    """Checks a page. The check of the last one is that of the whole listing."""

    def __init__(self, prefix: str, written: set[str], seen: set[str]) -> None:
        self._prefix = prefix
        self._written = written
        self._seen = seen
        self.next_cursor: str | None = None

    def __call__(self, answer: Answer) -> None:
        expect_status(answer, 200)
        body = json_of(answer)
        items = body.get("items")
        if not isinstance(items, list) or len(items) > PAGE:
            raise WrongAnswer("wrong page", repr(answer.body[:200]))
        keys = [item.get("key") for item in items]
        if len({*keys}) != len(keys):
            raise WrongAnswer("key twice on a page")
        if others := [key for key in keys if not str(key).startswith(self._prefix)]:
            raise WrongAnswer("key of another prefix", str(others[0]))
        self._seen.update(keys)
        cursor = body.get("next_cursor")
        if cursor is not None and not isinstance(cursor, str):
            raise WrongAnswer("wrong cursor", repr(cursor))
        self.next_cursor = cursor
        if cursor is None and (missed := self._written - self._seen):
            raise WrongAnswer("key missed by a listing", f"{len(missed)} of {len(self._written)}")
