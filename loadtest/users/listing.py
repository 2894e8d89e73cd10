"""Listings: page after page through keys that stand, none of which may be missed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote

from locust import task

from ..checks import Answer, WrongAnswer, expect_status, expect_written, json_of
from .base import TallyUser, Unknown
from .entries import ROUTE as ENTRY

ROUTE: Final = "/v1/kv"
KEYS: Final = 25
PAGE: Final = 10
#: A page may be empty before the end, but an end there must be.
MOST_PAGES: Final = 500


class Listing(TallyUser):
    """Writes its keys once, and lists them ever after."""

    weight = 1

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._prefix = f"{self.run_state.name}/l{self.number}/"
        self._standing: set[str] = set()

    @task
    def run_through(self) -> None:
        with suppress(Unknown):
            if len(self._standing) < KEYS:
                self._write_one()
            else:
                self._list_all()

    def _write_one(self) -> None:
        key = f"{self._prefix}{len(self._standing)}"

        def check(answer: Answer) -> None:
            expect_written(answer, key, 200, 201)
            self._standing.add(key)

        path = f"/v1/kv/{key}?ttl={self.run_state.ttl_seconds}"
        self.ask("PUT", path, ENTRY, check, body=b"x", headers={"Content-Type": "text/plain"})

    def _list_all(self) -> None:
        """Ask for one page; the last one tells whether all keys were seen."""
        seen: set[str] = set()
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page = _Page(self._prefix, self._standing, seen)
            query = f"prefix={quote(self._prefix, safe='')}&limit={PAGE}"
            if cursor is not None:
                query += f"&cursor={quote(cursor, safe='')}"
            if self.ask("GET", f"/v1/kv?{query}", ROUTE, page) is None:
                return
            cursor = page.next_cursor
            if cursor is None:
                return


class _Page:
    """Checks a page, and with the last one the whole listing."""

    def __init__(self, prefix: str, standing: set[str], seen: set[str]) -> None:
        self._prefix = prefix
        self._standing = standing
        self._seen = seen
        self.next_cursor: str | None = None

    def __call__(self, answer: Answer) -> None:
        expect_status(answer, 200)
        said = json_of(answer)
        items = said.get("items")
        if not isinstance(items, list) or len(items) > PAGE:
            raise WrongAnswer("wrong page", repr(answer.body[:200]))
        keys = [item.get("key") for item in items]
        if len({*keys}) != len(keys):
            raise WrongAnswer("key twice on a page")
        if stray := [key for key in keys if not str(key).startswith(self._prefix)]:
            raise WrongAnswer("key of another prefix", str(stray[0]))
        self._seen.update(keys)
        cursor = said.get("next_cursor")
        if cursor is not None and not isinstance(cursor, str):
            raise WrongAnswer("wrong cursor", repr(cursor))
        self.next_cursor = cursor
        if cursor is None and (missed := self._standing - self._seen):
            raise WrongAnswer("key missed by a listing", f"{len(missed)} of {len(self._standing)}")
