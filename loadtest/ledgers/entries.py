"""Who wrote what to a key and was told so, and which values a read may therefore find. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..checks import WrongAnswer


@dataclass(slots=True)
class Write:
    """A write that is under way, or was; ``number`` 0 is the time before any.

    ``started`` and ``answered`` are times of the ledger's own, which only order events; an
    ``answered`` of None is a write whose outcome is not known yet, or never will be.
    """

    number: int
    started: int
    absent: bool = False
    answered: int | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """A read under way: the writes that it may find, and the last that had begun before it."""

    allowed: dict[int, Write]
    last: int


@dataclass(slots=True)
class KeyHistory:
    """The writes of one key by the only process that writes it.

    A value is stale when a write that was acknowledged before the read began had itself begun
    after the value's own write was answered: it must have been replaced. All others may be found,
    for the order of writes that overlap is the service's affair. This is what a regular register
    promises (Lamport, On Interprocess Communication, 1986), with several writers.
    """

    _clock: int = 0
    _last: int = 0
    #: The latest start of an acknowledged write.
    _floor: int = 0
    #: Writes that may still be the current one.
    _live: dict[int, Write] = field(
        default_factory=lambda: {0: Write(0, 0, absent=True, answered=0)}
    )

    def begin_write(self, *, absent: bool = False) -> Write:
        """Note a write before it is sent; ``absent`` is a deletion."""
        self._last += 1
        write = Write(self._last, self._tick(), absent)
        self._live[write.number] = write
        return write

    def acknowledge(self, write: Write, etag: str | None = None) -> None:
        """Note that it was applied; raise WrongAnswer for an ETag that another write has."""
        if etag is not None:
            self._learn(write, etag)
        write.answered = self._tick()
        self._floor = max(self._floor, write.started)
        self._live = {
            number: each
            for number, each in self._live.items()
            if each.answered is None or each.answered >= self._floor
        }

    def refuse(self, write: Write) -> None:
        """Note that it surely was not applied."""
        self._live.pop(write.number, None)

    def begin_read(self) -> Read:
        """Note a read before it is sent."""
        self._tick()
        return Read(dict(self._live), self._last)

    def found(self, read: Read, number: int, etag: str) -> None:
        """Check what a read found: the value of a write and an ETag; raise WrongAnswer."""
        write = read.allowed.get(number)
        if write is None:
            if not 0 < number <= self._last:
                raise WrongAnswer("value that nobody wrote", f"write {number} of {self._last}")
            if number <= read.last:
                raise WrongAnswer("stale value", f"write {number} of {read.last}")
            # Begun during the read, and perhaps replaced during it, too.
            write = self._live.get(number)
        if write is not None:
            if write.absent:
                raise WrongAnswer("value that nobody wrote", f"write {number} deleted")
            self._learn(write, etag)

    def found_nothing(self, read: Read) -> None:
        """Check that a read may find nothing; raise WrongAnswer."""
        later = (write for number, write in self._live.items() if number > read.last)
        if not any(write.absent for write in (*read.allowed.values(), *later)):
            raise WrongAnswer("missing entry", f"{len(read.allowed)} writes may be the current one")

    def found_etag(self, read: Read, etag: str) -> None:
        """Check what a read found when it was told an ETag only; raise WrongAnswer."""
        candidates = (*read.allowed.values(), *self._live.values())
        present = [write for write in candidates if not write.absent]
        if any(write.etag == etag for write in present):
            return
        # A write of whose answer nobody knows, or which began meanwhile, may have any ETag.
        if self._last == read.last and all(write.etag is not None for write in present):
            raise WrongAnswer("stale ETag", etag)

    def refused_swap(self, read: Read, write: Write, etag: str) -> None:
        """Check a 412 for ``If-Match: etag``; raise WrongAnswer if the entry had to be that one."""
        self.refuse(write)
        others = [each for each in read.allowed.values() if each.etag != etag]
        if not others and self._last == write.number:
            raise WrongAnswer("swap refused without cause", etag)

    def known_etag(self) -> str | None:
        """Return the ETag that the entry may have now, None where none is known."""
        for number in sorted(self._live, reverse=True):
            if (etag := self._live[number].etag) is not None:
                return etag
        return None

    def _learn(self, write: Write, etag: str) -> None:
        if write.etag is None:
            if any(each.etag == etag for each in self._live.values()):
                raise WrongAnswer("ETag of another write", etag)
            write.etag = etag
        elif write.etag != etag:
            raise WrongAnswer("wrong ETag", f"{etag} instead of {write.etag}")

    def _tick(self) -> int:
        self._clock += 1
        return self._clock
