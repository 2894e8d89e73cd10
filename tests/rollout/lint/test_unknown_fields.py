"""Whatever a model does not know is refused by its path, wherever it stands."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.lint.yaml_text import read_documents
from rollout.manifests.http_match import HttpMatch
from rollout.manifests.kinds import SUPPORTED
from rollout.manifests.metadata import IstioObject
from rollout.manifests.part import Part, Steps, Unsupported, WrittenAs
from rollout.manifests.reading import is_istio, read_manifest
from rollout.manifests.refusals import Reason, render_path
from tests.rollout.lint.linted import FIXTURES

MATCHES: Final = ("uri", "scheme", "method", "authority")
MATCH_MAPS: Final = ("headers", "withoutHeaders", "queryParams")


def documents() -> Iterator[dict[str, Any]]:
    for path in sorted((FIXTURES / "valid").glob("*.yaml")):
        for document in read_documents(path.read_text()):
            value = document.value
            for each in value["items"] if value["kind"] == "List" else [value]:
                if is_istio(each["apiVersion"]):
                    yield json.loads(json.dumps(each))


def parts(part: Part, steps: Steps = ()) -> Iterator[tuple[Steps, Part]]:
    yield steps, part
    for below, each in part.parts():
        yield from parts(each, (*steps, *below))


def at(document: Any, steps: Steps) -> Any:
    for step in steps:
        document = document[step]
    return document


def mappings(document: dict[str, Any]) -> Iterator[Steps]:
    """Yield the steps to every mapping whose fields are fixed: parts, and matches as written."""
    manifest = read_manifest(document).manifest
    assert manifest is not None
    for steps, part in parts(manifest):
        yield steps
        if isinstance(part, HttpMatch):
            written = at(document, steps)
            yield from ((*steps, name) for name in MATCHES if name in written)
            for name in MATCH_MAPS:
                yield from ((*steps, name, key) for key in written.get(name, ()))


def models(model: type[Part]) -> Iterator[type[Part]]:
    """Yield a model and all that it is made of."""
    seen = {model}
    waiting = [model]
    while waiting:
        one = waiting.pop()
        yield one
        for field in one.model_fields.values():
            for each in [field.annotation, *field.metadata]:
                for below in mentioned(each):
                    if below not in seen:
                        seen.add(below)
                        waiting.append(below)


def mentioned(annotation: Any) -> Iterator[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    if isinstance(annotation, WrittenAs):
        yield annotation.part
    inner = (*getattr(annotation, "__args__", ()), *getattr(annotation, "__metadata__", ()))
    for each in inner:
        yield from mentioned(each)


DOCUMENTS: Final = list(documents())
PLACES: Final = [
    (index, steps) for index, document in enumerate(DOCUMENTS) for steps in mappings(document)
]
MODELS: Final = {each for kind in SUPPORTED.values() for each in models(kind.model)}
KNOWN: Final = {
    field.alias or name for model in MODELS for name, field in model.model_fields.items()
}
NAMES: Final = st.text(string.ascii_letters, min_size=1, max_size=20).filter(
    lambda name: name not in KNOWN
)
VALUES: Final[st.SearchStrategy[object]] = st.one_of(
    st.integers(), st.text(), st.booleans(), st.just({}), st.just([])
)


@given(place=st.sampled_from(PLACES), name=NAMES, value=VALUES)
def test_an_unknown_field_anywhere_is_refused_by_its_path(
    place: tuple[int, Steps], name: str, value: object
) -> None:
    index, steps = place
    document = deepcopy(DOCUMENTS[index])
    at(document, steps)[name] = value

    refusals = read_manifest(document).refusals

    said = [(refusal.reason, refusal.path) for refusal in refusals]
    assert said == [(Reason.UNKNOWN_FIELD, render_path((*steps, name)))]


def unsupported() -> set[tuple[str, str]]:
    return {
        (model.__name__, field.alias or name)
        for model in MODELS
        for name, field in model.model_fields.items()
        if any(isinstance(each, Unsupported) for each in field.metadata)
    }


def placed() -> dict[tuple[str, str], tuple[int, Steps]]:
    """Return for each unsupported field a place in a valid manifest where it could stand."""
    found: dict[tuple[str, str], tuple[int, Steps]] = {}
    for index, document in enumerate(DOCUMENTS):
        manifest = read_manifest(document).manifest
        assert isinstance(manifest, IstioObject)
        for steps, part in parts(manifest):
            for model, name in unsupported():
                if type(part).__name__ == model:
                    found.setdefault((model, name), (index, steps))
    return found


PLACED: Final = placed()


def test_every_unsupported_field_can_be_tried() -> None:
    assert unsupported() - PLACED.keys() == set()
    assert len(PLACED) >= 25


@pytest.mark.parametrize("field", sorted(PLACED), ids=".".join)
def test_an_unsupported_field_is_refused_by_its_path(field: tuple[str, str]) -> None:
    index, steps = PLACED[field]
    document = deepcopy(DOCUMENTS[index])
    at(document, steps)[field[1]] = {"any": "thing"}

    refusals = read_manifest(document).refusals

    said = [(refusal.reason, refusal.path) for refusal in refusals]
    assert said == [(Reason.UNSUPPORTED_FIELD, render_path((*steps, field[1])))]
    assert all(refusal.remedy for refusal in refusals)
