"""Errors that operations have in common. Pure."""

from __future__ import annotations

from typing import Final

from ...domain import errors

#: What may stop a request before its handler.
#: StoreUnavailable: where rates can not be checked and must be (KV_RATE_LIMIT_FAILURE=closed).
ANYBODY: Final = (errors.RateLimited, errors.Overloaded, errors.StoreUnavailable)
DOOR: Final = (*ANYBODY, errors.Unauthenticated, errors.Forbidden)
#: Not of GET and HEAD.
UNSAFE: Final = (errors.CrossSite,)
#: Below /v1, if they are asked for.
FAULTS: Final = (errors.InjectedFault,)
KEY: Final = (errors.KeyInvalid, errors.KeyTooLong)
NAME: Final = (errors.CounterNameInvalid,)
#: Of a request with a body.
SENT: Final = (
    errors.BodyInvalid,
    errors.BodyTooLarge,
    errors.BodyTimeout,
    errors.HeaderInvalid,
    errors.ContentCodingUnsupported,
)
CONDITIONAL: Final = (errors.HeaderInvalid, errors.PreconditionFailed)
ONCE: Final = (errors.HeaderInvalid, errors.IdempotencyMismatch)
#: Of a watch, or of a read that waits.
WATCHED: Final = (errors.QueryInvalid, errors.TooManyWatchers)
LISTED: Final = (errors.QueryInvalid, errors.CursorInvalid)
#: What a store may answer to a read, and to a change.
READ: Final = (errors.StoreUnavailable, errors.StoreCorrupt)
CHANGE: Final = (*READ, errors.OutcomeUnknown, errors.StoreFull)
