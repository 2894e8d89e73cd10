"""YAML documents as Kubernetes reads them, with the line number of every JSON path. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # PyYAML was built without libyaml: this loader is slower, otherwise the same.
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

_SEGMENT: Final = re.compile(r'\["(?P<quoted>[^"]*)"\]|\[(?P<index>\d+)\]|\.?(?P<plain>[^.\[]+)')
_INT: Final = "tag:yaml.org,2002:int"


class YamlInvalid(Exception):
    """A text is not valid YAML; ``line`` counts from 1 and is None if it is unknown."""

    def __init__(self, reason: str, line: int | None) -> None:
        super().__init__(reason)
        self.line = line


class _Loader(_SafeLoader):
    """Reads YAML as Go's reader does, which has no dates and no sexagesimal numbers."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML declares it without ClassVar
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag not in {"tag:yaml.org,2002:timestamp", _INT}
        ]
        for first, resolvers in _SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen and key.value != "<<":
                    raise yaml.constructor.ConstructorError(
                        None, None, f'the key "{key.value}" occurs twice', key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _reject(_: _Loader, node: yaml.Node) -> Any:
    raise yaml.constructor.ConstructorError(
        None, None, f"JSON has no value of type {node.tag}", node.start_mark
    )


for _tag in ("binary", "timestamp", "omap", "pairs", "set"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _reject)
_Loader.add_implicit_resolver(
    _INT,
    re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One document of a text: its value, and the nodes that know the line numbers."""

    value: Any
    node: yaml.Node

    def line_of(self, path: str) -> int:
        """Return the line of a JSON path, or of its longest prefix that the document has."""
        node = self.node
        line = node.start_mark.line + 1
        for segment in _SEGMENT.finditer(path):
            found = _child(node, segment)
            if found is None:
                break
            # For a mapping this is the line of the key; the value may begin on a later line.
            line, node = found
        return line


def _child(node: yaml.Node, segment: re.Match[str]) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and segment["index"]:
        items = node.value[int(segment["index"]) :][:1]
        return next(((item.start_mark.line + 1, item) for item in items), None)
    if isinstance(node, yaml.MappingNode):
        wanted = segment["plain"] if segment["quoted"] is None else segment["quoted"]
        for key, value in node.value:
            if getattr(key, "value", None) == wanted:
                return key.start_mark.line + 1, value
    return None


def parse_documents(text: str) -> Iterator[YamlDocument]:
    """Yield the documents of a text without the empty ones; raise YamlInvalid."""
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            value = None if node is None else loader.construct_document(node)
            if node is not None and value is not None:
                # Kubernetes converts YAML to JSON, where every key is a string.
                yield YamlDocument(json.loads(json.dumps(value)), node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise YamlInvalid(error.problem or "it can't be read", line) from None
    except (yaml.YAMLError, ValueError) as error:
        raise YamlInvalid(str(error).splitlines()[0], None) from None
    except RecursionError:
        raise YamlInvalid("it is nested too deeply", None) from None
    finally:
        loader.dispose()
