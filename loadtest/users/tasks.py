"""A task list, from the first to the last thing that is done with a task."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from locust import task

from ..checks import Answer, WrongAnswer, etag_of, expect_equal, expect_status, json_of
from .base import TallyUser, Unknown
from .entries import ROUTE as ENTRY

LIST: Final = "/v1/kv"
MERGE: Final = {"Content-Type": "application/merge-patch+json"}
UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Tasks(TallyUser):
    """Makes a task, lists it, marks it done, reads it, and deletes it: a step each turn."""

    weight = 1

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._prefix = f"{self.run_state.name}/t{self.number}/"
        self._life: Iterator[Answer | None] = iter(())

    @task
    def go_on(self) -> None:
        """Do the next thing; a task of which nobody knows, or which is wrong, is let go."""
        try:
            with suppress(StopIteration):
                if next(self._life) is not None:
                    return
        except Unknown:
            pass
        self._life = self._lifetime()

    def _lifetime(self) -> Iterator[Answer | None]:
        task_said: dict[str, Any] = {"title": "write", "done": False}
        path = f"/v1/kv/{self._prefix}?ttl={self.run_state.ttl_seconds}"
        headers = {"Idempotency-Key": self.run_state.idempotency_key()}
        made = self.ask_json("POST", path, ENTRY, self._check_made, task_said, headers)
        yield made
        if made is None:
            return
        key = str(json_of(made)["key"])
        path = f"/v1/kv/{key}"
        first = etag_of(made)

        yield self.ask("GET", f"{LIST}?prefix={self._prefix}", LIST, _Listed(key, first))

        def check_patched(answer: Answer) -> None:
            expect_status(answer, 200)
            if etag_of(answer) == first:
                raise WrongAnswer("ETag of another write", first)

        headers = {**MERGE, "If-Match": first}
        done = b'{"done":true}'
        patched = self.ask("PATCH", path, ENTRY, check_patched, body=done, headers=headers)
        yield patched
        if patched is None:
            return
        second = etag_of(patched)

        def check_read(answer: Answer) -> None:
            expect_status(answer, 200)
            expect_equal(json_of(answer), {**task_said, "done": True}, "value")
            expect_equal(etag_of(answer), second, "ETag")

        yield self.ask("GET", path, ENTRY, check_read)
        yield self.ask("DELETE", path, ENTRY, lambda answer: expect_status(answer, 204))
        yield self.ask("GET", path, ENTRY, lambda answer: expect_status(answer, 404))

    def _check_made(self, answer: Answer) -> None:
        expect_status(answer, 201)
        key = json_of(answer).get("key")
        if not isinstance(key, str) or not key.startswith(self._prefix):
            raise WrongAnswer("wrong key", repr(key))
        if not UUID.fullmatch(key.removeprefix(self._prefix)):
            raise WrongAnswer("wrong id", key)
        expect_equal(answer.header("location"), f"/v1/kv/{key}", "Location")
        etag_of(answer)


class _Listed:
    """Checks that a page shows a task. Tasks that were let go may be there, too, a page at most."""

    def __init__(self, key: str, etag: str) -> None:
        self._key = key
        self._etag = etag

    def __call__(self, answer: Answer) -> None:
        expect_status(answer, 200)
        said = json_of(answer)
        etags = {item["key"]: item["etag"] for item in said["items"]}
        # A page may be short before the end: what it doesn't show may be on the next one.
        if self._key in etags:
            expect_equal(etags[self._key], self._etag, "ETag")
        elif said["next_cursor"] is None:
            raise WrongAnswer("key missed by a listing", self._key)
