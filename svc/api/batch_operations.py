"""Read the operations of a batch: what to write, under which conditions and idempotency key."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Generator
from typing import Final

import msgspec

from ..domain.errors import BodyInvalid, BodyTooLarge
from ..domain.model import (
    Draft,
    Operation,
    Precondition,
    Ttl,
    check_content_type,
    is_json_type,
)
from .bodies import AddOperation, BatchOperation, DeleteOperation, PutOperation
from .idempotency import build_operation, parse_idempotency_key
from .limits import Limits
from .preconditions import parse_entity_tags
from .strict_json import check_steps

_BARE_TAG: Final = re.compile(r"-?[0-9A-Za-z]+")


def parse_draft(operation: PutOperation, limits: Limits) -> Generator[None, None, Draft]:
    """Return what a put writes, in steps. Raises BodyInvalid, BodyTooLarge, ContentTypeInvalid."""
    raw = bytes(operation.value)
    if bool(raw) == (operation.value_b64 is not None):
        raise BodyInvalid("value: give either value or value_b64")
    if operation.value_b64 is not None:
        try:
            raw = base64.b64decode(operation.value_b64, validate=True)
        except (binascii.Error, ValueError):
            raise BodyInvalid("value_b64: it is not base64") from None
        default_type = "application/octet-stream"
    else:
        default_type = "application/json"
    if len(raw) > limits.max_value_bytes:
        raise BodyTooLarge(
            f"value: it is {len(raw)} bytes long; at most {limits.max_value_bytes} are allowed"
        )
    content_type = check_content_type(operation.content_type or default_type)
    is_json = is_json_type(content_type)
    if is_json or operation.value_b64 is None:
        yield from check_steps(raw, "value")
    default = limits.default_ttl_seconds
    ttl: Ttl = default if operation.ttl is None else operation.ttl  # type: ignore[assignment]
    if operation.ttl == "none":
        ttl = None
    return Draft(raw, content_type, ttl, is_json, default)


def parse_precondition(operation: BatchOperation) -> Precondition | None:
    """Return the operation's ``if_match`` and ``if_none_match``. Raises HeaderInvalid."""
    if operation.if_match is None and operation.if_none_match is None:
        return None
    unwanted = _entity_tags(operation.if_none_match, "if_none_match")
    if unwanted is not None:  # it compares weakly, as the header does
        unwanted = tuple(tag.removeprefix("W/") for tag in unwanted)
    return Precondition(_entity_tags(operation.if_match, "if_match"), unwanted)


def _entity_tags(text: str | None, field: str) -> tuple[str, ...] | None:
    if text is None:
        return None
    # A single ETag may come without its quotes, which would need escapes in JSON.
    return parse_entity_tags(f'"{text}"' if _BARE_TAG.fullmatch(text) else text, field)


def identify(
    operation: PutOperation | DeleteOperation | AddOperation,
    resource: str,
    batch_id: str | None,
    index: int,
) -> Operation | None:
    """Return what identifies the operation across retries; None without an idempotency key.

    ``resource`` is as in build_operation. The operation's own key comes first. Otherwise it is one
    of the ``index``-th operation of the batch, whose id its own idempotency key is bound to.
    Raises HeaderInvalid.
    """
    if operation.idempotency_key is not None:
        key = parse_idempotency_key(operation.idempotency_key, "idempotency_key")
        if (
            isinstance(operation, AddOperation)
            and operation.if_match is None
            and operation.if_none_match is None
        ):
            # Releases before conditions used this form, and share the store.
            return build_operation(key, resource, b"add %d" % operation.by)
        return build_operation(key, resource, msgspec.json.encode(operation))
    if batch_id is None:
        return None
    # No client's key has a NUL character.
    return build_operation(f"{batch_id}\0{index}", resource, b"")
