"""Pin images to digests in a directory: python -m kustomize.pin DIRECTORY IMAGE IMAGE.

It never asks a registry. The digests are yours: from ``docker push``, ``crane digest`` or the like.
"""  # noqa: INP001

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

HERE: Final = Path(__file__).parent
#: The image whose tag is the release, which the pods' labels name too.
RELEASED: Final = "tallykv"

_IMAGE: Final = re.compile(
    r"(?P<name>[\w./-]+)=(?P<new_name>[\w./:-]*?[\w./-])(:(?P<tag>[\w][\w.-]*))?@(?P<digest>sha256:[0-9a-f]{64})"
)
_LABEL: Final = re.compile(r"^( +(?:app\.kubernetes\.io/)?version: ).*$", re.MULTILINE)
#: The list, up to the next line that is not indented.
_IMAGES: Final = re.compile(r"^images:\n(?:[ -].*\n)*", re.MULTILINE)


class PinFailed(ValueError):
    """An image can't be pinned; the message says why."""


@dataclass(frozen=True)
class Pin:
    """What the manifests' image ``name`` becomes."""

    name: str
    new_name: str
    tag: str | None
    digest: str


def parse_pin(text: str) -> Pin:
    """Parse NAME=REPOSITORY:TAG@sha256:DIGEST. Raises PinFailed."""
    found = _IMAGE.fullmatch(text)
    if found is None:
        raise PinFailed(f"{text}: not NAME=REPOSITORY:TAG@sha256:DIGEST")
    pin = Pin(found["name"], found["new_name"], found["tag"], found["digest"])
    if _is_placeholder(pin.digest):
        raise PinFailed(f"{text}: this digest is the placeholder")
    if pin.name == RELEASED and pin.tag is None:
        raise PinFailed(f"{text}: the tag of {RELEASED} is missing; the pods' labels name it")
    if pin.name not in known_images():
        raise PinFailed(f"{text}: no manifest uses an image {pin.name}")
    return pin


def known_images() -> set[str]:
    """Return the names of the images in the manifests here, without tags."""
    files = HERE.rglob("*.yaml")
    return {name for f in files for name in re.findall(r" image: ([\w./-]+)", f.read_text())}


def pin(directory: Path, pins: Sequence[Pin]) -> None:
    """Write the pins to the directory's kustomization.yaml, and the release to the labels.

    Everything but the list and the labels stays, comments included. Raises PinFailed.
    """
    file = directory / "kustomization.yaml"
    if not file.is_file():
        raise PinFailed(f"{directory}: there is no kustomization.yaml")
    text = file.read_text()
    images = {each["name"]: each for each in (yaml.safe_load(text) or {}).get("images", [])}
    for each in pins:
        tag = each.tag or images.get(each.name, {}).get("newTag")
        images[each.name] = {
            "name": each.name,
            **({"newName": each.new_name} if each.new_name != each.name else {}),
            **({"newTag": tag} if tag else {}),
            "digest": each.digest,
        }
    block = _render(images)
    if _IMAGES.search(text):
        text = _IMAGES.sub(lambda _: block, text, count=1)
    else:
        text = text.rstrip("\n") + "\n" + block
    if not any(_is_placeholder(each.get("digest", "")) for each in images.values()):
        text = re.sub(r"^# PLACEHOLDERS.*\n", "", text, flags=re.MULTILINE)
    release = next((each.tag for each in pins if each.name == RELEASED), None)
    file.write_text(_labelled(text, release))
    if release and (labels := directory / "release.yaml").is_file():
        labels.write_text(_labelled(labels.read_text(), release))


def _render(images: Mapping[str, Mapping[str, str]]) -> str:
    lines = ["images:"]
    for _, image in sorted(images.items()):
        for key, value in image.items():
            lines.append(f"{'  - ' if key == 'name' else '    '}{key}: {_scalar(value)}")
    return "\n".join(lines) + "\n"


def _scalar(text: str) -> str:
    """Return the text as YAML. A tag such as 7 or 1.10 would be read as a number."""
    return text if yaml.safe_load(text) == text else f'"{text}"'


def _is_placeholder(digest: str) -> bool:
    return digest == "sha256:" + "0" * 64


def _labelled(text: str, release: str | None) -> str:
    return text if release is None else _LABEL.sub(rf"\g<1>{_scalar(release)}", text)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m kustomize.pin",
        description="Pin images to digests, and name the release in the pods' labels.",
    )
    parser.add_argument("directory", type=Path, help="it holds a kustomization.yaml")
    parser.add_argument("images", nargs="+", metavar="NAME=REPOSITORY:TAG@sha256:DIGEST")
    arguments = parser.parse_args(argv)
    try:
        pin(arguments.directory, [parse_pin(each) for each in arguments.images])
    except PinFailed as error:
        print(f"pin: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
