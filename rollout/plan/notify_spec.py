"""Who is told of a rollout, and of what. Pure."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ..manifests.field_errors import Reason, field_error
from ..manifests.strict_model import StrictModel

#: What a template may name.
FIELDS: Final = ("rollout", "namespace", "kind", "step", "share", "reason", "detail")
TITLE: Final = "{rollout}: {kind} {step}"
BODY: Final = "{namespace}/{rollout} {kind} at step {step} ({share} to the canary) {detail}"


def _check_template(value: str) -> str:
    try:
        value.format_map(dict.fromkeys(FIELDS, ""))
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise field_error(
            Reason.BAD_VALUE,
            f"the template can't be filled: {error}",
            f"use {', '.join(f'{{{each}}}' for each in FIELDS)}",
        ) from None
    return value


Template = Annotated[str, AfterValidator(_check_template)]
Told = Literal["started", "step", "held", "order", "promoted", "rolled_back", "inconclusive"]


class NotifySpec(StrictModel):
    """One receiver: a service by its Apprise URL, or a webhook that gets our JSON."""

    #: ``${NAME}`` in it is taken from the environment.
    url: str | None = None
    webhook: str | None = None
    events: Annotated[tuple[Told, ...], Field(min_length=1)] = (
        "started",
        "step",
        "promoted",
        "rolled_back",
        "inconclusive",
    )
    title: Template = TITLE
    body: Template = BODY

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.url is None) == (self.webhook is None):
            raise field_error(
                Reason.BAD_VALUE, "exactly one of url and webhook is needed", "give one of them"
            )
        return self
