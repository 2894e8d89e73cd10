"""The base class of all models: strict and frozen; a model knows its path in the manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, PrivateAttr
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

from .field_errors import Reason, field_error
from .json_path import PathSegments, render_path


class StrictModel(BaseModel):
    """A mapping of a manifest. Its fields are written in camelCase; other fields are errors.

    The models use pydantic, where the service uses msgspec: pydantic reports every error of an
    object with its path, msgspec stops at the first one.
    """

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)

    _path: PathSegments = PrivateAttr(default=())

    def json_path(self, *segments: str | int) -> str:
        """Return the JSON path of this model, or of the field ``segments`` below it."""
        return render_path((*self._path, *segments))

    def is_set(self, field: str) -> bool:
        """Return True if the manifest sets the field, even to its default value."""
        return field in self.model_fields_set

    def children(self) -> Iterator[tuple[PathSegments, StrictModel]]:
        """Yield the models directly below this one, each with its path relative to this one."""
        for name, field in type(self).model_fields.items():
            alias = field.alias or name
            value = getattr(self, name)
            if isinstance(value, StrictModel):
                yield (alias,), value
            elif isinstance(value, tuple):
                for index, each in enumerate(value):
                    if isinstance(each, StrictModel):
                        yield (alias, index), each
            elif isinstance(value, dict):
                for key, each in value.items():
                    if isinstance(each, StrictModel):
                        yield (alias, key), each

    def with_paths(self, path: PathSegments = ()) -> Self:
        """Set the path of this model and of all models below it; return this model."""
        self._path = path
        for below, model in self.children():
            model.with_paths((*path, *below))
        return self

    def __eq__(self, other: object) -> bool:
        """Compare the fields and ignore the paths."""
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]


class ConvertedFrom:
    """Annotates a field whose value is converted: pydantic reads ``model``, then calls convert."""

    def __init__(self, model: type[StrictModel], convert: Callable[[Any], Any]) -> None:
        self._model = model
        self._convert = convert

    @property
    def model(self) -> type[StrictModel]:
        """The model of the field as it is written in the manifest."""
        return self._model

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            self._convert, handler.generate_schema(self._model)
        )


class Unsupported(BeforeValidator):
    """Annotates a field that Istio has and these models do not support."""


def unsupported(what: str, remedy: str) -> Unsupported:
    """Annotate a field so that any value of it is an error; ``what`` names the feature."""

    def reject(_: Any) -> Any:
        raise field_error(Reason.UNSUPPORTED_FIELD, what, remedy)

    return Unsupported(reject)
