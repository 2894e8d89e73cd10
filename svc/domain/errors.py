"""The errors that a client may see. Each slug names one error in the API, the logs and metrics."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

Applied = Literal["no", "yes", "unknown"]


class DomainError(Exception):
    """An error that a client may see. ``applied`` says whether the requested change was made."""

    slug: ClassVar[str]
    applied: ClassVar[Applied] = "no"
    retryable: ClassVar[bool] = False

    #: True if this is the recorded error of an earlier request with the same idempotency key.
    replayed: bool = False

    def recorded(self, replayed: object) -> Self:
        """Set ``replayed`` and return the error, so that it can be raised without a name.

        A local variable that holds a raised exception makes a cycle (exception, traceback, frame),
        which keeps the frames' other variables, request bodies among them, until a collection.
        """
        self.replayed = bool(replayed)
        return self

    def copy(self) -> Self:
        """Return an equal error. Each waiting caller needs its own, because raising adds to it."""
        twin = type(self)(*self.args)
        twin.__dict__.update(self.__dict__)
        return twin


# --- the request is wrong -------------------------------------------------------------------


class KeyInvalid(DomainError):
    slug = "key_invalid"


class KeyTooLong(DomainError):
    slug = "key_too_long"


class CounterNameInvalid(DomainError):
    slug = "counter_name_invalid"


class ContentTypeInvalid(DomainError):
    slug = "content_type_invalid"


class BodyInvalid(DomainError):
    """The body is not the JSON that the request needs. The message names the field."""

    slug = "body_invalid"


class QueryInvalid(DomainError):
    slug = "query_invalid"


class HeaderInvalid(DomainError):
    slug = "header_invalid"


class CursorInvalid(DomainError):
    """The cursor is not one of this listing, or its Redis server has gone. Start from page one."""

    slug = "cursor_invalid"


class BodyTooLarge(DomainError):
    slug = "body_too_large"


class BodyTimeout(DomainError):
    slug = "body_timeout"
    retryable = True


class MediaTypeUnsupported(DomainError):
    slug = "media_type_unsupported"


class ContentCodingUnsupported(DomainError):
    slug = "content_coding_unsupported"


class IdempotencyMismatch(DomainError):
    """The idempotency key was used before with another payload."""

    slug = "idempotency_mismatch"


class Unauthenticated(DomainError):
    """There is no valid token. ``error`` is RFC 6750's word for it; "" if none was sent."""

    slug = "unauthenticated"

    def __init__(self, what: str, error: str = "invalid_token") -> None:
        super().__init__(what)
        self.error = error


class Forbidden(DomainError):
    """The token does not cover it. Nobody looked whether there is such an entry or counter."""

    slug = "forbidden"

    def __init__(self, what: str = "the token's scopes or prefixes do not cover this") -> None:
        super().__init__(what)


class RateLimited(DomainError):
    """The client sent more requests than its rate. ``wait_seconds``: when there is a permit."""

    slug = "rate_limited"
    retryable = True

    def __init__(self, name: str, wait_seconds: float) -> None:
        super().__init__(f"too many requests of the class {name}; Retry-After says when to go on")
        self.name = name
        self.wait_seconds = wait_seconds


class CrossSite(DomainError):
    """A browser sent it for a page of another site."""

    slug = "cross_site"

    def __init__(
        self,
        what: str = "a page of another site may not do this; KV_CORS_ORIGINS lists those that may",
    ) -> None:
        super().__init__(what)


# --- the stored state does not allow the request --------------------------------------------


class KeyMissing(DomainError):
    slug = "key_missing"

    def __init__(self, what: str = "there is no such entry") -> None:
        super().__init__(what)


class CounterMissing(DomainError):
    slug = "counter_missing"

    def __init__(self, what: str = "there is no such counter") -> None:
        super().__init__(what)


class PreconditionFailed(DomainError):
    """The precondition is false. ``etag`` is the current one; None: there is none."""

    slug = "precondition_failed"

    def __init__(self, etag: str | None, what: str = "") -> None:
        if not what:
            what = "the entry does not exist"
            if etag is not None:
                what = f"the entry's current ETag is {etag}"
        super().__init__(what)
        self.etag = etag

    def copy(self) -> Self:
        twin = type(self)(self.etag, str(self))
        twin.replayed = self.replayed
        return twin


class RangeNotSatisfiable(DomainError):
    """The range begins after the end of the entry, whose ``size`` is in bytes."""

    slug = "range_not_satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"Range: it begins after the end; the entry has {size} bytes")
        self.size = size

    def copy(self) -> Self:
        return type(self)(self.size)


class NotJson(DomainError):
    slug = "not_json"

    def __init__(self, what: str = "the stored value is not JSON; nothing can be merged") -> None:
        super().__init__(what)


class CounterOverflow(DomainError):
    slug = "counter_overflow"

    def __init__(
        self, what: str = "the sum would leave the signed 64-bit range; the value is unchanged"
    ) -> None:
        super().__init__(what)


class CounterBound(DomainError):
    slug = "counter_bound"

    def __init__(
        self, what: str = "the sum would pass the given bound; the value is unchanged"
    ) -> None:
        super().__init__(what)


# --- the service or the store fails ---------------------------------------------------------


class Overloaded(DomainError):
    slug = "overloaded"
    retryable = True


class TooManyWatchers(DomainError):
    """The process, or the token, has as many watchers as it may."""

    slug = "too_many_watchers"
    retryable = True


class StoreUnavailable(DomainError):
    """The store could not be reached, or refused before it changed anything."""

    slug = "store_unavailable"
    retryable = True


class StoreContended(DomainError):
    """Too many concurrent writers kept changing the entry; nothing was applied."""

    slug = "store_contended"
    retryable = True


class OutcomeUnknown(DomainError):
    """A change was sent but no reply arrived: it may or may not have been applied."""

    slug = "outcome_unknown"
    applied = "unknown"
    retryable = True


class StoreFull(DomainError):
    slug = "store_full"


class StoreCorrupt(DomainError):
    """The stored data can't be decoded by this release."""

    slug = "store_corrupt"


class InjectedFault(DomainError):
    """A deliberate error, to test how a rollout handles a bad release."""

    slug = "injected_fault"
    retryable = True
