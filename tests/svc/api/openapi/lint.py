"""Rules for OpenAPI documents: those of Spectral's set ``oas`` that concern version 3.1.

They have the names that they have there. What is a warning there, or off, is an error here. Schemas
and structure are openapi-spec-validator's subject.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import jsonschema_rs

Document = dict[str, Any]
Rule = Callable[[Document], Iterator[str]]

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def operations(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each operation, and where it is."""
    for path, methods in document.get("paths", {}).items():
        for method, operation in methods.items():
            if method in METHODS:
                yield f"{method.upper()} {path}", operation


def resolve(document: Document, part: Any) -> Any:
    while isinstance(part, dict) and "$ref" in part:
        found: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def parts(part: Any, where: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each object in the document, and where it is. Examples hold clients' data, no parts."""
    if isinstance(part, dict):
        yield where, part
        for name, each in part.items():
            if name not in {"example", "examples", "default", "const", "enum"}:
                yield from parts(each, f"{where}/{name}")
    elif isinstance(part, list):
        for index, each in enumerate(part):
            yield from parts(each, f"{where}/{index}")


def parameters(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    for where, operation in operations(document):
        for each in operation.get("parameters", []):
            found = resolve(document, each)
            yield f"{where} {found['name']}", found


def media_types(document: Document) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield where a body is, its media type, and what is said of it."""
    for where, operation in operations(document):
        bodies = {"body": resolve(document, operation.get("requestBody", {}))}
        for status, response in operation.get("responses", {}).items():
            bodies[status] = resolve(document, response)
        for name, body in bodies.items():
            for media, each in body.get("content", {}).items():
                yield f"{where} {name} {media}", media, each


def validator(document: Document, schema: dict[str, Any]) -> Any:
    # Most schemas refer to nothing, and compiling all components takes long.
    schemas = document.get("components", {}).get("schemas", {}) if "$ref" in str(schema) else {}
    return jsonschema_rs.Draft202012Validator({**schema, "components": {"schemas": schemas}})


def operation_operation_id(document: Document) -> Iterator[str]:
    yield from (where for where, each in operations(document) if not each.get("operationId"))


def operation_operation_id_unique(document: Document) -> Iterator[str]:
    times = Counter(each.get("operationId") for _, each in operations(document))
    yield from (str(name) for name, count in times.items() if count > 1)


def operation_operation_id_valid_in_url(document: Document) -> Iterator[str]:
    for where, each in operations(document):
        if not re.fullmatch(r"[A-Za-z0-9-._~:/?#\[\]@!$&'()*+,;=]*", each.get("operationId", "")):
            yield where


def operation_description(document: Document) -> Iterator[str]:
    yield from (where for where, each in operations(document) if not each.get("description"))


def operation_summary(document: Document) -> Iterator[str]:
    for where, each in operations(document):
        if not 1 <= len(each.get("summary", "")) <= 60:
            yield where


def operation_tags(document: Document) -> Iterator[str]:
    yield from (where for where, each in operations(document) if not each.get("tags"))


def operation_singular_tag(document: Document) -> Iterator[str]:
    yield from (where for where, each in operations(document) if len(each.get("tags", [])) > 1)


def operation_tag_defined(document: Document) -> Iterator[str]:
    defined = {tag["name"] for tag in document.get("tags", [])}
    for where, each in operations(document):
        if set(each.get("tags", [])) - defined:
            yield where


def openapi_tags_alphabetical(document: Document) -> Iterator[str]:
    names = [tag["name"] for tag in document.get("tags", [])]
    if names != sorted(names):
        yield str(names)


def openapi_tags_uniqueness(document: Document) -> Iterator[str]:
    times = Counter(tag["name"] for tag in document.get("tags", []))
    yield from (name for name, count in times.items() if count > 1)


def tag_description(document: Document) -> Iterator[str]:
    yield from (tag["name"] for tag in document.get("tags", []) if not tag.get("description"))


def operation_success_response(document: Document) -> Iterator[str]:
    for where, each in operations(document):
        if not any(status[0] in "23" for status in each.get("responses", {})):
            yield where


def operation_parameters(document: Document) -> Iterator[str]:
    """Report parameters given twice."""
    for where, each in operations(document):
        found = [resolve(document, one) for one in each.get("parameters", [])]
        times = Counter((one["name"].lower(), one["in"]) for one in found)
        yield from (f"{where} {name}" for (name, _), count in times.items() if count > 1)


def oas3_parameter_description(document: Document) -> Iterator[str]:
    yield from (where for where, each in parameters(document) if not each.get("description"))


def oas3_header_description(document: Document) -> Iterator[str]:
    for name, each in document.get("components", {}).get("headers", {}).items():
        if not each.get("description"):
            yield name


def path_params(document: Document) -> Iterator[str]:
    """Report variables of a path without a parameter, and the reverse."""
    for where, each in operations(document):
        named = set(re.findall(r"\{(\w+)\}", where))
        found = [resolve(document, one) for one in each.get("parameters", [])]
        given = {one["name"] for one in found if one["in"] == "path" and one.get("required")}
        if named != given:
            yield where


def path_keys_no_trailing_slash(document: Document) -> Iterator[str]:
    yield from (path for path in document.get("paths", {}) if path != "/" and path.endswith("/"))


def path_not_include_query(document: Document) -> Iterator[str]:
    yield from (path for path in document.get("paths", {}) if "?" in path)


def path_declarations_must_exist(document: Document) -> Iterator[str]:
    yield from (path for path in document.get("paths", {}) if "{}" in path)


def info_description(document: Document) -> Iterator[str]:
    yield from _lacks(document, "info", "description")


def info_license(document: Document) -> Iterator[str]:
    yield from _lacks(document, "info", "license")


def license_url(document: Document) -> Iterator[str]:
    """Report a licence without an address or, since 3.1, an SPDX identifier."""
    found = document.get("info", {}).get("license", {})
    if not found.get("url") and not found.get("identifier"):
        yield "license"


def oas3_api_servers(document: Document) -> Iterator[str]:
    if not document.get("servers"):
        yield "servers"


def oas3_server_trailing_slash(document: Document) -> Iterator[str]:
    for server in document.get("servers", []):
        if len(server["url"]) > 1 and server["url"].endswith("/"):
            yield server["url"]


def oas3_server_not_example_com(document: Document) -> Iterator[str]:
    yield from (
        server["url"] for server in document.get("servers", []) if "example.com" in server["url"]
    )


def oas3_operation_security_defined(document: Document) -> Iterator[str]:
    schemes = document.get("components", {}).get("securitySchemes", {})
    for where, each in operations(document):
        if any(set(one) - set(schemes) for one in each.get("security", [])):
            yield where


def oas3_unused_component(document: Document) -> Iterator[str]:
    used = set()
    for _, part in parts(document):
        used |= {part.get("$ref")} if isinstance(part.get("$ref"), str) else set()
        used |= set(part.get("mapping", {}).values())
    for section, found in document.get("components", {}).items():
        if section != "securitySchemes":
            refs = {name: f"#/components/{section}/{name}" for name in found}
            yield from (ref for ref in refs.values() if ref not in used)


def oas3_valid_media_example(document: Document) -> Iterator[str]:
    """Report examples of bodies that their schema refuses."""
    for where, media, each in media_types(document):
        values = [one["value"] for one in each.get("examples", {}).values()]
        values += [each["example"]] if "example" in each else []
        if values and ("json" in media or media.startswith("text/")):
            check = validator(document, each["schema"])
            yield from (where for value in values if not check.is_valid(value))


def oas3_valid_schema_example(document: Document) -> Iterator[str]:
    """Report examples of parameters and headers, and defaults, that their schema refuses."""
    headers = document.get("components", {}).get("headers", {})
    for where, each in (*parameters(document), *headers.items()):
        values = [one["value"] for one in each.get("examples", {}).values()]
        values += [each["example"]] if "example" in each else []
        values += [each["schema"]["default"]] if "default" in each["schema"] else []
        if values:
            check = validator(document, each["schema"])
            yield from (where for value in values if not check.is_valid(value))


def oas3_examples_value_or_external_value(document: Document) -> Iterator[str]:
    for where, part in parts(document):
        for name, each in part.get("examples", {}).items() if "schema" in part else ():
            if ("value" in each) == ("externalValue" in each):
                yield f"{where} {name}"


def array_items(document: Document) -> Iterator[str]:
    yield from (
        where
        for where, part in parts(document)
        if part.get("type") == "array" and "items" not in part
    )


def duplicated_entry_in_enum(document: Document) -> Iterator[str]:
    for where, part in parts(document):
        found = [repr(each) for each in part.get("enum", [])]
        if len(set(found)) < len(found):
            yield where


def typed_enum(document: Document) -> Iterator[str]:
    for where, part in parts(document):
        if "enum" in part and "type" in part:
            check = jsonschema_rs.Draft202012Validator({"type": part["type"]})
            yield from (where for value in part["enum"] if not check.is_valid(value))


def no_eval_in_markdown(document: Document) -> Iterator[str]:
    yield from _texts_with(document, r"eval\(")


def no_script_tags_in_markdown(document: Document) -> Iterator[str]:
    yield from _texts_with(document, r"(?i)<script")


def _texts_with(document: Document, pattern: str) -> Iterator[str]:
    for where, part in parts(document):
        for name in ("description", "title", "summary"):
            if isinstance(part.get(name), str) and re.search(pattern, part[name]):
                yield where


def _lacks(document: Document, part: str, member: str) -> Iterator[str]:
    if not document.get(part, {}).get(member):
        yield f"{part}/{member}"
