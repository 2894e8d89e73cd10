"""The models have the fields, and the enumerations' values, that the kinds' definitions have."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, get_args, get_origin

import pytest
from pydantic import AliasChoices

from rollout.manifests.kinds import SUPPORTED
from rollout.manifests.strict_model import ConvertedFrom, StrictModel, models_of
from tests.rollout.lint.cases import CASES

DEFINITIONS: Final = CASES.parent / "facts" / "crds" / "istio.json"
GATEWAY_API: Final = DEFINITIONS.with_name("gateway-api.json")


def fields(model: type[StrictModel]) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        choices = field.validation_alias
        aliases = choices.choices if isinstance(choices, AliasChoices) else [field.alias or name]
        for alias in aliases:
            yield str(alias), field


def below(field: Any) -> list[type[StrictModel]]:
    converted = [each.model for each in field.metadata if isinstance(each, ConvertedFrom)]
    return converted or list(models_of(field.annotation))


def literals(annotation: Any) -> set[str]:
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    return {each for inner in get_args(annotation) for each in literals(inner)}


def differences(
    schema: Mapping[str, Any], models: list[type[StrictModel]], path: str
) -> Iterator[str]:
    while "items" in schema or isinstance(schema.get("additionalProperties"), dict):
        schema = schema.get("items") or schema["additionalProperties"]
        path += "[]"
    properties = schema.get("properties")
    if properties is None:
        return
    known: dict[str, list[Any]] = {}
    for model in models:
        for alias, field in fields(model):
            known.setdefault(alias, []).append(field)
    for name in sorted(properties.keys() ^ known.keys()):
        yield f"{path}.{name}: only {'the definition' if name in properties else 'the model'}"
    for name in sorted(properties.keys() & known.keys()):
        values = {each for field in known[name] for each in literals(field.annotation)}
        if "enum" in properties[name] and not values >= set(properties[name]["enum"]):
            yield f"{path}.{name}: enum {properties[name]['enum']}, not {sorted(values)}"
        models_below = [model for field in known[name] for model in below(field)]
        yield from differences(properties[name], models_below, f"{path}.{name}")


@pytest.mark.skipif(not DEFINITIONS.exists(), reason=f"needs Istio's CRDs in {DEFINITIONS}")
def test_the_models_have_exactly_istio_s_fields() -> None:
    found = []
    for each in json.loads(DEFINITIONS.read_text()):
        supported = SUPPORTED[each["group"], each["kind"]]
        assert each["version"] in supported.versions, each["kind"]
        spec = typing.cast("Any", supported.model.model_fields["spec"])
        found += [
            f"{each['kind']} {line}"
            for line in differences(each["schema"]["properties"]["spec"], below(spec), "spec")
        ]

    assert sorted(set(found)) == []


#: Mappings that a model takes as they are: nothing here looks into them.
OPAQUE: Final = (
    "extensionRef", "externalAuth", "sessionPersistence", "infrastructure", "allowedListeners",
    "tls.frontend", "tls.backend", "parametersRef",
)  # fmt: skip


@pytest.mark.skipif(
    not GATEWAY_API.exists(), reason=f"needs the Gateway API's CRDs in {GATEWAY_API}"
)
def test_the_models_have_exactly_the_gateway_api_s_fields() -> None:
    found = []
    for each in json.loads(GATEWAY_API.read_text()):
        supported = SUPPORTED.get((each["group"], each["kind"]))
        if supported is None:
            continue
        assert each["version"] in supported.versions, each["kind"]
        spec = typing.cast("Any", supported.model.model_fields["spec"])
        found += [
            f"{each['kind']} {line}"
            for line in differences(each["schema"]["properties"]["spec"], below(spec), "spec")
        ]

    assert [
        line for line in sorted(set(found)) if not any(f".{it}." in line for it in OPAQUE)
    ] == []
