"""Entries with keys drawn by Zipf's law: reads, conditional reads, writes, compare and swap."""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import islice
from typing import Final

from locust import task

from ..checks.answers import Answer, Check, WrongAnswer, etag_of, expect_status, expect_written
from ..checks.entry_history import EntryHistory, Write
from .base import FINAL_CHECKS, TallyUser, Unknown

ROUTE: Final = "/v1/kv/{key}"
OCTETS: Final = {"Content-Type": "application/octet-stream"}
#: Of a value. The size depends on the number of the write.
MIN_BYTES: Final = 64
MAX_BYTES: Final = 1024
#: Entries that are read at the end of a run.
FINAL_ENTRIES: Final = 200


def body_of(key: str, number: int) -> bytes:
    """Return the value of a write, which no other write has."""
    head = f"{number} {key} ".encode()
    size = MIN_BYTES + number * 7919 % (MAX_BYTES - MIN_BYTES)
    return head + b"." * max(0, size - len(head))


def number_of(key: str, body: bytes) -> int:
    """Return the number of the write that a value belongs to; raise WrongAnswer."""
    first = body.partition(b" ")[0]
    number = int(first) if first.isdigit() and len(first) < 12 else 0
    if not number or body != body_of(key, number):
        raise WrongAnswer("wrong value", repr(body[:100]))
    return number


class Entries(TallyUser):
    """Nine of ten requests are reads. A missing entry is written."""

    weight = 10

    @task(80)
    def read(self) -> None:
        key = self._draw()
        history = self.run_state.entries[key]
        with suppress(Unknown):
            answer = self.send("GET", f"/v1/kv/{key}", ROUTE, _ReadCheck(key, history))
            if answer is not None and answer.status == 404:
                self._write(key)

    @task(10)
    def read_if_changed(self) -> None:
        key = self._draw()
        history = self.run_state.entries[key]
        etag = history.known_etag()
        if etag is None:
            self.read()
            return
        check = _ReadCheck(key, history, condition=etag)
        with suppress(Unknown):
            self.send("GET", f"/v1/kv/{key}", ROUTE, check, headers={"If-None-Match": etag})

    @task(8)
    def write(self) -> None:
        with suppress(Unknown):
            self._write(self._draw())

    @task(2)
    def swap(self) -> None:
        """Replace the entry if it still has a known ETag."""
        key = self._draw()
        history = self.run_state.entries[key]
        etag = history.known_etag()
        if etag is None:
            return
        read, write = history.begin_read(), history.begin_write()

        def check(answer: Answer) -> None:
            expect_status(answer, 200, 412)
            if answer.status == 412:
                history.refused_swap(read, write, etag)
                return
            # The swap succeeded, so the entry had that ETag.
            history.found_etag(read, etag)
            history.acknowledge(write, expect_written(answer, key, 200))

        with suppress(Unknown):
            self._put(key, write, check, {"If-Match": etag}, history)

    def _write(self, key: str) -> None:
        history = self.run_state.entries[key]
        write = history.begin_write()

        def check(answer: Answer) -> None:
            history.acknowledge(write, expect_written(answer, key, 200, 201))

        self._put(key, write, check, {}, history)

    def _put(
        self,
        key: str,
        write: Write,
        check: Check,
        headers: dict[str, str],
        history: EntryHistory,
    ) -> None:
        answer = self.send(
            "PUT",
            f"/v1/kv/{key}?ttl={self.run_state.ttl_seconds}",
            ROUTE,
            check,
            body=body_of(key, write.number),
            headers={**OCTETS, **headers},
        )
        if answer is None and write.answered is None:
            history.refuse(write)

    def _draw(self) -> str:
        return f"{self.run_state.name}/e{self.run_state.zipf.draw(self.run_state.rng)}"


class _ReadCheck:
    """Checks a read that begins now. ``condition`` is the ETag of a conditional one."""

    def __init__(self, key: str, history: EntryHistory, *, condition: str = "") -> None:
        self._key = key
        self._history = history
        self._read = history.begin_read()
        self._condition = condition

    def __call__(self, answer: Answer) -> None:
        expect_status(answer, 200, 404, *([304] if self._condition else []))
        if answer.status == 404:
            self._history.found_nothing(self._read)
        elif answer.status == 304:
            self._history.found_etag(self._read, self._condition)
        else:
            number = number_of(self._key, answer.body)
            if answer.header("content-type") != OCTETS["Content-Type"]:
                raise WrongAnswer("wrong Content-Type", answer.header("content-type"))
            self._history.found(self._read, number, etag_of(answer))


def check_final_entries(user: TallyUser, deadline: float) -> None:
    """Read the entries that were written first, which are the most popular ones."""
    for key, history in list(islice(user.run_state.entries.items(), FINAL_ENTRIES)):
        if time.monotonic() > deadline:
            return
        with suppress(Unknown):
            user.send("GET", f"/v1/kv/{key}", ROUTE, _ReadCheck(key, history))


FINAL_CHECKS.append(check_final_entries)
