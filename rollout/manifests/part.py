"""What all models have in common: strict, frozen, and aware of their place in the manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, PrivateAttr
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

from .refusals import Reason, refuse, render_path

Steps = tuple[str | int, ...]


class Part(BaseModel):
    """A piece of a manifest.

    Fields are written in camelCase and no other field is taken. pydantic rather than msgspec, which
    the service uses: it names every error of an object with its path, msgspec stops at the first.
    """

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)

    _steps: Steps = PrivateAttr(default=())

    def at(self, *steps: str | int) -> str:
        """Return the JSON path of this part, or of what lies ``steps`` below it."""
        return render_path((*self._steps, *steps))

    def wrote(self, field: str) -> bool:
        """Tell whether the manifest says anything of a field."""
        return field in self.model_fields_set

    def parts(self) -> Iterator[tuple[Steps, Part]]:
        """Yield the parts right below this one, each with the steps that lead to it."""
        for name, field in type(self).model_fields.items():
            alias = field.alias or name
            value = getattr(self, name)
            if isinstance(value, Part):
                yield (alias,), value
            elif isinstance(value, tuple):
                for index, each in enumerate(value):
                    if isinstance(each, Part):
                        yield (alias, index), each
            elif isinstance(value, dict):
                for key, each in value.items():
                    if isinstance(each, Part):
                        yield (alias, key), each

    def placed(self, steps: Steps = ()) -> Self:
        """Tell this part and all below it where they stand; return this part."""
        self._steps = steps
        for below, part in self.parts():
            part.placed((*steps, *below))
        return self

    def __eq__(self, other: object) -> bool:
        """Compare what is said, wherever it stands."""
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]


class WrittenAs:
    """Annotates a type that is written as another: read the part, then convert it."""

    def __init__(self, part: type[Part], convert: Callable[[Any], Any]) -> None:
        self._part = part
        self._convert = convert

    @property
    def part(self) -> type[Part]:
        """What stands in the manifest."""
        return self._part

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            self._convert, handler.generate_schema(self._part)
        )


class Unsupported(BeforeValidator):
    """Annotates a field that Istio has and we have not."""


def unsupported(what: str, remedy: str) -> Unsupported:
    """Have a field refused wherever it is written, for ``what`` it asks."""

    def refuse_it(_: Any) -> Any:
        raise refuse(Reason.UNSUPPORTED_FIELD, what, remedy)

    return Unsupported(refuse_it)
