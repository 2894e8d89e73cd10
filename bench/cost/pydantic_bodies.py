"""Some bodies of svc/api/bodies.py as a user of pydantic would declare them.

They are strict, because the API does not accept "5" as a number.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from svc.domain.model import INT64_MAX, INT64_MIN, MAX_TTL_SECONDS

Int64 = Annotated[int, Field(ge=INT64_MIN, le=INT64_MAX)]
TtlSeconds = Annotated[int, Field(ge=1, le=MAX_TTL_SECONDS)]


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class IncrementBody(Request):
    by: Int64 = 1
    min: Int64 | None = None
    max: Int64 | None = None
    on_bound: Literal["reject", "clamp"] = "reject"
    ttl: TtlSeconds | None = None
    ttl_on: Literal["create", "touch"] = "create"


class CounterStepped(BaseModel):
    name: str
    value: int
    value_text: str
    applied_by: int


class GetOperation(Request):
    op: Literal["get"]
    key: str


class PutOperation(Request):
    op: Literal["put"]
    key: str
    value: Any = None
    value_b64: str | None = None
    content_type: str | None = None
    ttl: TtlSeconds | Literal["none", "keep"] | None = None
    if_match: str | None = None


class DeleteOperation(Request):
    op: Literal["delete"]
    key: str
    if_match: str | None = None


class AddOperation(Request):
    op: Literal["add"]
    counter: str
    by: Int64 = 1
    idempotency_key: str | None = None


class BatchBody(Request):
    operations: list[
        Annotated[
            GetOperation | PutOperation | DeleteOperation | AddOperation,
            Field(discriminator="op"),
        ]
    ]


class BatchGot(BaseModel):
    status: int
    key: str
    etag: str
    ttl: int | None
    content_type: str
    value: Any = None
    value_b64: str | None = None


class BatchPut(BaseModel):
    model_config = ConfigDict(extra="forbid")

    status: int
    key: str
    etag: str
    ttl: int | None


class BatchAdded(BaseModel):
    status: int
    name: str
    value: int
    value_text: str
    applied_by: int
    replayed: bool = False


class BatchResults(BaseModel):
    results: list[BatchGot | BatchPut | BatchAdded]
