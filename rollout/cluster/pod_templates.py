"""Pod templates of Deployments: set images, and make the stable one out of the canary's. Pure."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from ..runner.ports import TargetFailed

Json = dict[str, Any]
#: Labels that name a release and are therefore set to the tag of a new image.
_VERSION_LABELS: Final = ("app.kubernetes.io/version", "version")


def set_images(template: Mapping[str, Any], images: Mapping[str, str], workload: str) -> Json:
    """Return a pod template with these images by container, "" for the only container.

    A version label that is the old image's tag becomes the new one's. Raise TargetFailed if a
    container is not there.
    """
    result = copy.deepcopy(dict(template))
    containers = result["spec"]["containers"]
    names = [each["name"] for each in containers]
    for name, image in images.items():
        if name and name not in names:
            raise TargetFailed(
                f"{workload} has no container {name}; it has {', '.join(names)}: correct --image"
            )
        if not name and len(names) > 1:
            raise TargetFailed(
                f"{workload} has the containers {', '.join(names)}: say which one gets the image,"
                f" for example --image {names[0]}={image}"
            )
        container = next(each for each in containers if each["name"] == (name or names[0]))
        # A webhook may have added the digest of the tag.
        if container["image"].partition("@")[0] == image:
            continue
        _set_version(result, tag_of(container["image"]), tag_of(image))
        container["image"] = image
    return result


def tag_of(image: str) -> str:
    """Return the tag of an image, an empty text if it has none."""
    name = image.partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2]


def _set_version(template: Json, old: str, new: str) -> None:
    labels = (template.get("metadata") or {}).get("labels") or {}
    for label in _VERSION_LABELS:
        if old and new and labels.get(label) == old:
            labels[label] = new


def promoted_template(stable: Mapping[str, Any], canary: Mapping[str, Any]) -> Json:
    """Return the canary's pod template with the stable Deployment's selector labels.

    Where pods are placed by these labels, in affinities and topology constraints, the stable ones
    take the place of the canary's.
    """
    theirs, ours = (each["spec"]["selector"].get("matchLabels") or {} for each in (canary, stable))
    result = copy.deepcopy(canary["spec"]["template"])
    labels = result["metadata"].setdefault("labels", {})
    for name in theirs:
        labels.pop(name, None)
    labels.update(ours)
    for place in ("affinity", "topologySpreadConstraints"):
        if place in result["spec"]:
            _replace_labels(result["spec"][place], theirs, ours)
    return dict(result)


def _replace_labels(part: Any, theirs: Mapping[str, str], ours: Mapping[str, str]) -> None:
    if isinstance(part, list):
        for each in part:
            _replace_labels(each, theirs, ours)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name == "matchLabels" and isinstance(value, dict):
                part[name] = {
                    key: ours.get(key, each) if theirs.get(key) == each else each
                    for key, each in value.items()
                }
            else:
                _replace_labels(value, theirs, ours)


def digest(template: Mapping[str, Any]) -> str:
    """Return a short text that differs between templates."""
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:16]
