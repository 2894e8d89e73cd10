"""A field that a model does not have is an error with its JSON path, anywhere in a manifest."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from rollout.lint.yaml_documents import parse_documents
from rollout.manifests.field_errors import Reason
from rollout.manifests.http_match import HttpMatch
from rollout.manifests.json_path import PathSegments, render_path
from rollout.manifests.kinds import SUPPORTED
from rollout.manifests.not_modelled import NotModelled
from rollout.manifests.parsing import is_istio, parse_manifest
from rollout.manifests.strict_model import StrictModel, models_of
from tests.rollout.lint.lint_runner import FIXTURES

MATCHES: Final = ("uri", "scheme", "method", "authority")
MATCH_MAPS: Final = ("headers", "withoutHeaders", "queryParams")


def documents() -> Iterator[dict[str, Any]]:
    for path in sorted((FIXTURES / "valid").glob("*.yaml")):
        for document in parse_documents(path.read_text()):
            value = document.value
            for each in value["items"] if value["kind"] == "List" else [value]:
                if is_istio(each["apiVersion"]):
                    yield json.loads(json.dumps(each))


def submodels(
    model: StrictModel, path: PathSegments = ()
) -> Iterator[tuple[PathSegments, StrictModel]]:
    """Yield the model and all models below it with their paths."""
    yield path, model
    for below, each in model.children():
        yield from submodels(each, (*path, *below))


def at(document: Any, path: PathSegments) -> Any:
    for segment in path:
        document = document[segment]
    return document


def mappings(document: dict[str, Any]) -> Iterator[PathSegments]:
    """Yield the path of every mapping with fixed fields: of models, and of string matches."""
    manifest = parse_manifest(document).manifest
    assert manifest is not None
    for path, model in submodels(manifest):
        yield path
        if isinstance(model, HttpMatch):
            written = at(document, path)
            yield from ((*path, name) for name in MATCHES if name in written)
            for name in MATCH_MAPS:
                yield from ((*path, name, key) for key in written.get(name, ()))


def model_types(model: type[StrictModel]) -> Iterator[type[StrictModel]]:
    """Yield a model class and all model classes that its fields use."""
    seen = {model}
    waiting = [model]
    while waiting:
        one = waiting.pop()
        yield one
        for field in one.model_fields.values():
            for each in [field.annotation, *field.metadata]:
                for below in models_of(each):
                    if below not in seen:
                        seen.add(below)
                        waiting.append(below)


DOCUMENTS: Final = list(documents())
PLACES: Final = [
    (index, path) for index, document in enumerate(DOCUMENTS) for path in mappings(document)
]
MODELS: Final = {each for kind in SUPPORTED.values() for each in model_types(kind.model)}
KNOWN: Final = {
    field.alias or name for model in MODELS for name, field in model.model_fields.items()
}
NAMES: Final = st.text(string.ascii_letters, min_size=1, max_size=20).filter(
    lambda name: name not in KNOWN
)
VALUES: Final[st.SearchStrategy[object]] = st.one_of(
    st.integers(), st.text(), st.booleans(), st.just({}), st.just([])
)


# The first manifest of a kind takes long: pydantic then builds the validator of its model.
@given(place=st.sampled_from(PLACES), name=NAMES, value=VALUES)
def test_an_unknown_field_anywhere_is_an_error_with_its_path(
    place: tuple[int, PathSegments], name: str, value: object
) -> None:
    index, path = place
    document = deepcopy(DOCUMENTS[index])
    at(document, path)[name] = value

    errors = parse_manifest(document).errors

    found = [(error.reason, error.path) for error in errors]
    assert found == [(Reason.UNKNOWN_FIELD, render_path((*path, name)))]


def marked() -> set[tuple[str, str]]:
    return {
        (model.__name__, field.alias or name)
        for model in MODELS
        for name, field in model.model_fields.items()
        if any(isinstance(each, NotModelled) for each in field.metadata)
    }


def test_many_fields_are_known_that_nothing_interprets() -> None:
    assert len(marked()) >= 25


def test_a_field_that_nothing_interprets_is_reported_once_for_each_feature() -> None:
    [document] = [each for each in DOCUMENTS if each["kind"] == "VirtualService"][:1]
    changed = deepcopy(document)
    changed["spec"]["http"] = [
        {
            "match": [{"sourceLabels": {"app": "a"}}, {"sourceLabels": {"app": "b"}}],
            "delegate": {"name": "more"},
        }
    ]

    parsed = parse_manifest(changed)

    assert parsed.errors == ()
    assert [field.path for field in parsed.not_modelled] == [
        "spec.http[0].delegate",
        "spec.http[0].match[0].sourceLabels",
        "spec.http[0].match[1].sourceLabels",
    ]
    assert all(
        "isn't checked" in str(each) or "aren't" in str(each) for each in parsed.not_modelled
    )
