"""Entries, mostly read: keys drawn by Zipf's law, conditional reads, compare and swap."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from locust import task

from ..checks import Answer, Check, WrongAnswer, etag_of, expect_status, expect_written
from ..ledgers.entries import KeyHistory, Read, Write
from .base import TallyUser, Unknown

ROUTE: Final = "/v1/kv/{key}"
OCTETS: Final = {"Content-Type": "application/octet-stream"}
#: Of a value; they differ by its number.
LEAST_BYTES: Final = 64
MOST_BYTES: Final = 1024


def body_of(key: str, number: int) -> bytes:
    """Return the value of a write: nobody else's, and told from any other at a glance."""
    head = f"{number} {key} ".encode()
    size = LEAST_BYTES + number * 7919 % (MOST_BYTES - LEAST_BYTES)
    return head + b"." * max(0, size - len(head))


def number_of(key: str, body: bytes) -> int:
    """Return the number of the write that a value is; raise WrongAnswer if it is none."""
    first = body.partition(b" ")[0]
    number = int(first) if first.isdigit() and len(first) < 12 else 0
    if not number or body != body_of(key, number):
        raise WrongAnswer("wrong value", repr(body[:100]))
    return number


class Entries(TallyUser):
    """Reads nine times out of ten; what is missing is written."""

    weight = 10

    @task(80)
    def read(self) -> None:
        key = self._draw()
        history = self.run_state.entries[key]
        read = history.begin_read()
        with suppress(Unknown):
            answer = self.ask("GET", f"/v1/kv/{key}", ROUTE, _Reading(key, history, read))
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
        check = _Reading(key, history, history.begin_read(), asked=etag)
        with suppress(Unknown):
            self.ask("GET", f"/v1/kv/{key}", ROUTE, check, headers={"If-None-Match": etag})

    @task(8)
    def write(self) -> None:
        with suppress(Unknown):
            self._write(self._draw())

    @task(2)
    def swap(self) -> None:
        """Replace what is known, unless another was faster."""
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
            # It was replaced, so it was there.
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
        history: KeyHistory,
    ) -> None:
        answer = self.ask(
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


class _Reading:
    """Checks what a read found; ``asked`` is the ETag of a conditional one."""

    def __init__(self, key: str, history: KeyHistory, read: Read, *, asked: str = "") -> None:
        self._key = key
        self._history = history
        self._read = read
        self._asked = asked

    def __call__(self, answer: Answer) -> None:
        expect_status(answer, 200, 404, *([304] if self._asked else []))
        if answer.status == 404:
            self._history.found_nothing(self._read)
        elif answer.status == 304:
            self._history.found_etag(self._read, self._asked)
        else:
            number = number_of(self._key, answer.body)
            if answer.header("content-type") != OCTETS["Content-Type"]:
                raise WrongAnswer("wrong Content-Type", answer.header("content-type"))
            self._history.found(self._read, number, etag_of(answer))


def check_entry(key: str, history: KeyHistory) -> _Reading:
    """Return the check of a read that begins now."""
    return _Reading(key, history, history.begin_read())
