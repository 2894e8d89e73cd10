"""The base class of all models: strict and frozen; a model knows its path in the manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, PrivateAttr
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

from .json_path import PathSegments, render_path
from .not_modelled import NotModelled, NotModelledField


class StrictModel(BaseModel):
    """A mapping of a manifest. Its fields are written in camelCase; other fields are errors.

    A model has every field that Istio has. Those that nothing here interprets are annotated with
    ``NotModelled``, and ``not_modelled`` finds them.

    The models use pydantic, where the service uses msgspec: pydantic reports every error of an
    object with its path, msgspec stops at the first one.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, defer_build=True, extra="forbid", frozen=True, strict=True
    )

    _path: PathSegments = PrivateAttr(default=())

    def json_path(self, *segments: str | int) -> str:
        """Return the JSON path of this model, or of the field ``segments`` below it."""
        return render_path((*self._path, *segments))

    def is_set(self, field: str) -> bool:
        """Return True if the manifest sets the field, even to its default value."""
        return field in self.model_fields_set

    def children(self) -> Iterator[tuple[PathSegments, StrictModel]]:
        """Yield the models directly below this one, each with its path relative to this one."""
        for name, alias in _fields_with_models(type(self)):
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

    def not_modelled(self) -> Iterator[NotModelledField]:
        """Yield the fields, of this model and below, that are valid and that nothing interprets."""
        for name, alias, marker in _marked_fields(type(self)):
            if marker.applies_to(getattr(self, name)):
                yield NotModelledField(self.json_path(alias), marker)
        for _, model in self.children():
            yield from model.not_modelled()

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


@cache
def _fields_with_models(model: type[StrictModel]) -> tuple[tuple[str, str], ...]:
    """Return the name and the alias of each field that models can be in."""
    return tuple(
        (name, field.alias or name)
        for name, field in model.model_fields.items()
        if any(True for _ in models_of(field.annotation))
    )


@cache
def _marked_fields(model: type[StrictModel]) -> tuple[tuple[str, str, NotModelled], ...]:
    return tuple(
        (name, field.alias or name, marker)
        for name, field in model.model_fields.items()
        for marker in field.metadata
        if isinstance(marker, NotModelled)
    )


def models_of(annotation: Any) -> Iterator[type[StrictModel]]:
    """Yield the models in the type of a field; for a converted field, the model as written."""
    if isinstance(annotation, type) and issubclass(annotation, StrictModel):
        yield annotation
    elif isinstance(annotation, ConvertedFrom):
        yield annotation.model
    for inner in (*get_args(annotation), *getattr(annotation, "__metadata__", ())):
        yield from models_of(inner)
