"""YAML as Kubernetes reads it, with the line of every path."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

try:
    from yaml import CSafeLoader as _Parser
except ImportError:  # PyYAML built without libyaml: the same, slower
    from yaml import SafeLoader as _Parser  # type: ignore[assignment]

_STEP: Final = re.compile(r'\["(?P<quoted>[^"]*)"\]|\[(?P<index>\d+)\]|\.?(?P<plain>[^.\[]+)')
_INT: Final = "tag:yaml.org,2002:int"


class YamlInvalid(Exception):
    """A text is no YAML; ``line`` counts from 1."""

    def __init__(self, said: str, line: int | None) -> None:
        super().__init__(said)
        self.line = line


class _Loader(_Parser):
    """Without what Go's reader does not know: dates, and numbers to the base of 60."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML declares it
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag not in {"tag:yaml.org,2002:timestamp", _INT}
        ]
        for first, resolvers in _Parser.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen and key.value != "<<":
                    raise yaml.constructor.ConstructorError(
                        None, None, f'the key "{key.value}" stands here twice', key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _refuse(_: _Loader, node: yaml.Node) -> Any:
    raise yaml.constructor.ConstructorError(
        None, None, f"JSON has nothing like {node.tag}", node.start_mark
    )


for _tag in ("binary", "timestamp", "omap", "pairs", "set"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _refuse)
_Loader.add_implicit_resolver(
    _INT,
    re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a text: what it says, and where."""

    value: Any
    node: yaml.Node

    def line_of(self, path: str) -> int:
        """Return the line of a JSON path, or of the nearest there is on the way to it."""
        node = self.node
        line = node.start_mark.line + 1
        for step in _STEP.finditer(path):
            found = _below(node, step)
            if found is None:
                break
            # A key's own line: its value's may begin further down.
            line, node = found
        return line


def _below(node: yaml.Node, step: re.Match[str]) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and step["index"]:
        items = node.value[int(step["index"]) :][:1]
        return next(((item.start_mark.line + 1, item) for item in items), None)
    if isinstance(node, yaml.MappingNode):
        wanted = step["plain"] if step["quoted"] is None else step["quoted"]
        for key, value in node.value:
            if getattr(key, "value", None) == wanted:
                return key.start_mark.line + 1, value
    return None


def read_documents(text: str) -> Iterator[Document]:
    """Yield the documents that are not empty; raise YamlInvalid."""
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            value = None if node is None else loader.construct_document(node)
            if node is not None and value is not None:
                # Kubernetes goes by JSON: keys are texts, whatever they look like.
                yield Document(json.loads(json.dumps(value)), node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise YamlInvalid(error.problem or "it can't be read", line) from None
    except (yaml.YAMLError, ValueError) as error:
        raise YamlInvalid(str(error).splitlines()[0], None) from None
    except RecursionError:
        raise YamlInvalid("it is nested too deep", None) from None
    finally:
        loader.dispose()
