"""A task list: the life of a task from its creation to its deletion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from locust import task

from ..checks.answers import Answer, WrongAnswer, etag_of, expect_equal, expect_status, json_of
from .base import TallyUser, Unknown
from .entries import ROUTE as ENTRY

LIST: Final = "/v1/kv"
MERGE: Final = {"Content-Type": "application/merge-patch+json"}
UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Tasks(TallyUser):
    """Creates a task, lists it, marks it done, reads it, and deletes it: a step each turn."""

    weight = 1

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._prefix = f"{self.run_state.name}/t{self.number}/"
        self._steps: Iterator[Answer | None] = iter(())

    @task
    def go_on(self) -> None:
        """Take the next step. A task with an unknown outcome or a wrong answer is abandoned."""
        try:
            with suppress(StopIteration):
                if next(self._steps) is not None:
                    return
        except Unknown:
            pass
        self._steps = self._next_steps()

    def _next_steps(self) -> Iterator[Answer | None]:
        value: dict[str, Any] = {"title": "write", "done": False}
        path = f"/v1/kv/{self._prefix}?ttl={self.run_state.ttl_seconds}"
        headers = {"Idempotency-Key": self.run_state.idempotency_key()}
        created = self.send_json("POST", path, ENTRY, self._check_created, value, headers)
        yield created
        if created is None:
            return
        key = str(json_of(created)["key"])
        path = f"/v1/kv/{key}"
        first = etag_of(created)

        yield self.send("GET", f"{LIST}?prefix={self._prefix}", LIST, _Listed(key, first))

        def check_patched(answer: Answer) -> None:
            expect_status(answer, 200)
            if etag_of(answer) == first:
                raise WrongAnswer("ETag of another write", first)

        headers = {**MERGE, "If-Match": first}
        done = b'{"done":true}'
        patched = self.send("PATCH", path, ENTRY, check_patched, body=done, headers=headers)
        yield patched
        if patched is None:
            return
        second = etag_of(patched)

        def check_read(answer: Answer) -> None:
            expect_status(answer, 200)
            expect_equal(json_of(answer), {**value, "done": True}, "value")
            expect_equal(etag_of(answer), second, "ETag")

        yield self.send("GET", path, ENTRY, check_read)
        yield self.send("DELETE", path, ENTRY, lambda answer: expect_status(answer, 204))
        yield self.send("GET", path, ENTRY, lambda answer: expect_status(answer, 404))

    def _check_created(self, answer: Answer) -> None:
        expect_status(answer, 201)
        key = json_of(answer).get("key")
        if not isinstance(key, str) or not key.startswith(self._prefix):
            raise WrongAnswer("wrong key", repr(key))
        if not UUID.fullmatch(key.removeprefix(self._prefix)):
            raise WrongAnswer("wrong id", key)
        expect_equal(answer.header("location"), f"/v1/kv/{key}", "Location")
        etag_of(answer)


class _Listed:
    """Checks that a page contains a task. Abandoned tasks may be there too, at most a page."""

    def __init__(self, key: str, etag: str) -> None:
        self._key = key
        self._etag = etag

    def __call__(self, answer: Answer) -> None:
        expect_status(answer, 200)
        body = json_of(answer)
        etags = {item["key"]: item["etag"] for item in body["items"]}
        # A page may be short before the end, and the task on the next one.
        if self._key in etags:
            expect_equal(etags[self._key], self._etag, "ETag")
        elif body["next_cursor"] is None:
            raise WrongAnswer("key missed by a listing", self._key)
