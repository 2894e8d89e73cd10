"""The writes of an entry, and the values that a read may therefore return. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from .answers import WrongAnswer


@dataclass(slots=True)
class Write:
    """A write. ``number`` 0 stands for the time before the first one.

    ``started`` and ``answered`` are times of a logical clock. ``answered`` is None while the
    outcome is unknown, which it may stay forever.
    """

    number: int
    started: int
    absent: bool = False
    answered: int | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """A read in flight: the writes that it may find, and the last one that began before it."""

    allowed: dict[int, Write]
    last: int


@dataclass(slots=True)
class EntryHistory:
    """The writes of one entry by the only process that writes it.

    A value is stale if another write began after the value's own write was answered, and was
    acknowledged before the read began. All other values are allowed, because the service decides
    the order of concurrent writes. This is what a regular register promises (Lamport, On
    Interprocess Communication, 1986), with several writers.
    """

    _clock: int = 0
    _last: int = 0
    #: The latest start of an acknowledged write.
    _floor: int = 0
    #: Writes that may be the current one.
    _live: dict[int, Write] = field(
        default_factory=lambda: {0: Write(0, 0, absent=True, answered=0)}
    )

    def begin_write(self, *, absent: bool = False) -> Write:
        """Record a write before it is sent. ``absent`` is a deletion."""
        self._last += 1
        write = Write(self._last, self._tick(), absent)
        self._live[write.number] = write
        return write

    def acknowledge(self, write: Write, etag: str | None = None) -> None:
        """Record that it was applied; raise WrongAnswer if another write has the same ETag."""
        if etag is not None:
            self._record_etag(write, etag)
        write.answered = self._tick()
        self._floor = max(self._floor, write.started)
        self._live = {
            number: each
            for number, each in self._live.items()
            if each.answered is None or each.answered >= self._floor
        }

    def refuse(self, write: Write) -> None:
        """Record that it was not applied."""
        self._live.pop(write.number, None)

    def begin_read(self) -> Read:
        """Record a read before it is sent."""
        self._tick()
        return Read(dict(self._live), self._last)

    def found(self, read: Read, number: int, etag: str) -> None:
        """Check a read that returned the value of this write and an ETag; raise WrongAnswer."""
        write = read.allowed.get(number)
        if write is None:
            if not 0 < number <= self._last:
                raise WrongAnswer("value that nobody wrote", f"write {number} of {self._last}")
            if number <= read.last:
                raise WrongAnswer("stale value", f"write {number} of {read.last}")
            # Begun during the read, and perhaps replaced during it.
            write = self._live.get(number)
        if write is not None:
            if write.absent:
                raise WrongAnswer("value that nobody wrote", f"write {number} deleted")
            self._record_etag(write, etag)

    def found_nothing(self, read: Read) -> None:
        """Check a read that found no entry; raise WrongAnswer."""
        later = (write for number, write in self._live.items() if number > read.last)
        if not any(write.absent for write in (*read.allowed.values(), *later)):
            raise WrongAnswer("missing entry", f"{len(read.allowed)} writes may be the current one")

    def found_etag(self, read: Read, etag: str) -> None:
        """Check a read that returned an ETag alone; raise WrongAnswer."""
        candidates = (*read.allowed.values(), *self._live.values())
        present = [write for write in candidates if not write.absent]
        if any(write.etag == etag for write in present):
            return
        # A write with an unknown outcome, or one that began meanwhile, may have any ETag.
        if self._last == read.last and all(write.etag is not None for write in present):
            raise WrongAnswer("stale ETag", etag)

    def refused_swap(self, read: Read, write: Write, etag: str) -> None:
        """Check a 412 for ``If-Match: etag``; raise WrongAnswer if the entry has that ETag."""
        self.refuse(write)
        others = [each for each in read.allowed.values() if each.etag != etag]
        if not others and self._last == write.number:
            raise WrongAnswer("swap refused without cause", etag)

    def known_etag(self) -> str | None:
        """Return an ETag that the entry may have now, None if none is known."""
        for number in sorted(self._live, reverse=True):
            if (etag := self._live[number].etag) is not None:
                return etag
        return None

    def _record_etag(self, write: Write, etag: str) -> None:
        if write.etag is None:
            if any(each.etag == etag for each in self._live.values()):
                raise WrongAnswer("ETag of another write", etag)
            write.etag = etag
        elif write.etag != etag:
            raise WrongAnswer("wrong ETag", f"{etag} instead of {write.etag}")

    def _tick(self) -> int:
        self._clock += 1
        return self._clock
