"""YAML documents as Kubernetes reads them, with the line number of every JSON path. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import yaml

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # PyYAML was built without libyaml: this loader is slower, otherwise the same.
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

_SEGMENT: Final = re.compile(r'\["(?P<quoted>[^"]*)"\]|\[(?P<index>\d+)\]|\.?(?P<plain>[^.\[]+)')
_TAG: Final = "tag:yaml.org,2002:"
_INT: Final = _TAG + "int"
_TIMESTAMP: Final = _TAG + "timestamp"
_MERGE: Final = "<<"


class YamlInvalid(Exception):
    """A text is not valid YAML; ``line`` counts from 1 and is None if it is unknown."""

    def __init__(self, reason: str, line: int | None) -> None:
        super().__init__(reason)
        self.line = line


class _Loader(_SafeLoader):
    """Reads YAML as Go's reader does, which has no dates and no sexagesimal numbers."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML declares it without ClassVar
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in {_TIMESTAMP, _INT}]
        for first, resolvers in _SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    _INT,
    re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)
#: What Kubernetes makes of scalars; it converts YAML to JSON.
_SCALARS: Final[dict[str, Callable[[_Loader, yaml.ScalarNode], Any]]] = {
    _TAG + "str": lambda _, node: node.value,
    _TAG + "value": lambda _, node: node.value,
    _TAG + "null": lambda _loader, _node: None,
    _TAG + "bool": lambda loader, node: loader.construct_yaml_bool(node),
    _INT: lambda loader, node: loader.construct_yaml_int(node),
    _TAG + "float": lambda loader, node: loader.construct_yaml_float(node),
}


def _value(loader: _Loader, node: yaml.Node) -> Any:
    """Return the JSON value of a node; raise ConstructorError if it has none."""
    if isinstance(node, yaml.ScalarNode):
        if construct := _SCALARS.get(node.tag):
            return construct(loader, node)
    elif isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
        return [_value(loader, each) for each in node.value]
    elif isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
        return _mapping(loader, node)
    raise yaml.constructor.ConstructorError(
        None, None, f"JSON has no value of type {node.tag}", node.start_mark
    )


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    own = {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
    if len(own) < len(node.value):
        _refuse_doubles(node)
    if _MERGE in own:
        loader.flatten_mapping(node)
    value: dict[str, Any] = {}
    for key, each in node.value:
        name = _value(loader, key)
        if isinstance(name, (dict, list)):
            raise yaml.constructor.ConstructorError(
                None, None, "a key is a list or a mapping, not a text", key.start_mark
            )
        # In JSON, every key is a string.
        value[name if isinstance(name, str) else json.dumps(name)] = _value(loader, each)
    return value


def _refuse_doubles(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen and key.value != _MERGE:
                raise yaml.constructor.ConstructorError(
                    None, None, f'the key "{key.value}" occurs twice', key.start_mark
                )
            seen.add(key.value)


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One document of a text: its value, and where in the text it is.

    Only a document with findings is read again for its line numbers: the nodes that know them take
    ten times as much memory as the value.
    """

    value: Any
    text: str
    #: In characters.
    start: int
    end: int
    first_line: int
    column: int
    #: What the paths are relative to, such as ``items[0]``.
    root: str = ""

    def item(self, path: str) -> YamlDocument:
        """Return the same text for paths that begin at a part of the document."""
        return replace(self, root=path)

    def _node(self) -> yaml.Node | None:
        """Compose the document alone, at the lines and columns that it has in the text."""
        loader = _Loader(" " * self.column + self.text[self.start : self.end])
        try:
            return loader.get_node() if loader.check_node() else None
        except yaml.YAMLError:
            return None  # It depends on a directive before it.
        finally:
            loader.dispose()

    def line_of(self, path: str) -> int:
        """Return the line of a JSON path, or of its longest prefix that the document has."""
        path = ".".join(filter(None, (self.root, path)))
        node = self._node() if path else None
        line = 1
        for segment in _SEGMENT.finditer(path):
            found = None if node is None else _child(node, segment)
            if found is None:
                break
            # For a mapping this is the line of the key; the value may begin on a later line.
            line, node = found
        return self.first_line + line - 1


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
            value = None if node is None else _value(loader, node)
            if node is not None and value is not None:
                first, last = node.start_mark, node.end_mark
                yield YamlDocument(
                    value, text, first.index, last.index, first.line + 1, first.column
                )
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
