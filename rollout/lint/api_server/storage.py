"""Claims of volumes as the API server accepts them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ...manifests.field_errors import FieldError
from ...manifests.json_path import PathSegments
from ...manifests.names import is_subdomain
from ...manifests.untyped import list_or_empty, mapping_or_empty
from .fields import bad, check_selector, missing
from .quantities import parse_quantity

_ALONE: Final = "ReadWriteOncePod"
_ACCESS_MODES: Final = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", _ALONE)
_VOLUME_MODES: Final = ("Filesystem", "Block")
_SPEC: Final = ("spec",)


def claim_errors(document: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield what the API server refuses of a PersistentVolumeClaim."""
    spec = mapping_or_empty(document.get("spec"))
    modes = list_or_empty(spec.get("accessModes"))
    at: PathSegments = (*_SPEC, "accessModes")
    if not modes:
        yield missing(at, "a claim needs an access mode", "add one, for example ReadWriteOnce")
    for index, each in enumerate(modes):
        if isinstance(each, str) and each not in _ACCESS_MODES:
            known = ", ".join(_ACCESS_MODES)
            yield bad((*at, index), f'there is no access mode "{each}"', f"use one of {known}")
    if _ALONE in modes and len(modes) > 1:
        yield bad(at, f"{_ALONE} excludes other modes", "keep one of them")
    requests = mapping_or_empty(mapping_or_empty(spec.get("resources")).get("requests"))
    at = (*_SPEC, "resources", "requests", "storage")
    size = parse_quantity(requests.get("storage"))
    if "storage" not in requests:
        yield missing(at, "a claim needs a size", "add it, for example 1Gi")
    elif size is None:
        yield bad(at, f'"{requests["storage"]}" is not a quantity', "write it like 1Gi")
    elif size <= 0:
        yield bad(at, f"{requests['storage']} is not more than 0", "raise it")
    volume_mode = spec.get("volumeMode")
    if isinstance(volume_mode, str) and volume_mode not in _VOLUME_MODES:
        yield bad(
            (*_SPEC, "volumeMode"), f'there is no mode "{volume_mode}"', "use Filesystem or Block"
        )
    storage_class = spec.get("storageClassName")
    if isinstance(storage_class, str) and storage_class and not is_subdomain(storage_class):
        yield bad(
            (*_SPEC, "storageClassName"),
            f'"{storage_class}" is not a name of a StorageClass',
            "use a-z, 0-9, - and .",
        )
    yield from check_selector(spec.get("selector"), (*_SPEC, "selector"))
