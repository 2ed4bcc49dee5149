"""Whether data is valid under a schema, quickly: passes what jsonschema passes, and leaves it to explain the rest."""

from __future__ import annotations

from typing import Any

from vramlint.dialects.tables import ABOUT, Json, Tables
from vramlint.source import UNKNOWN, Path

KEYWORDS = frozenset({
    "$ref", "type", "enum", "minimum", "maximum", "exclusiveMinimum", "items", "properties", "patternProperties",
    "additionalProperties", "unevaluatedProperties", "anyOf", "required", "default", "description", "deprecated",
    "title", "unit", "$schema", "$id", "$defs", ABOUT,
})
"""All that a schema of ours may say; a test holds the schemas to it."""


def check(tables: Tables, node: Json, data: Any) -> tuple[bool, list[Path]]:
    """Whether `data` is valid but for unknown keys, and where those stand. What is `UNKNOWN` is valid everywhere."""
    extras: list[Path] = []
    return _valid(tables, node, data, (), extras), extras


def _valid(tables: Tables, node: Json, data: Any, path: Path, extras: list[Path]) -> bool:
    if data is UNKNOWN:
        return True
    valid = True
    if "$ref" in node:
        valid = _valid(tables, tables.at(node["$ref"]), data, path, extras)
    kinds = node.get("type")
    if kinds is not None and not (
        is_of(data, kinds) if isinstance(kinds, str) else any(is_of(data, kind) for kind in kinds)
    ):
        return False
    if "enum" in node and not any(same(data, word) for word in node["enum"]):
        return False
    if isinstance(data, dict):
        return _valid_object(tables, node, data, path, extras) and valid
    if isinstance(data, list):
        items = node.get("items")
        if items is not None:
            for index, item in enumerate(data):
                valid = _valid(tables, items, item, (*path, index), extras) and valid
    elif isinstance(data, int | float) and not isinstance(data, bool) and (
        data < node.get("minimum", data)
        or data > node.get("maximum", data)
        or ("exclusiveMinimum" in node and data <= node["exclusiveMinimum"])
    ):
        return False
    if "anyOf" in node:
        return any(_valid(tables, option, data, path, extras) for option in node["anyOf"]) and valid
    return valid


def _valid_object(tables: Tables, node: Json, data: dict[str, Any], path: Path, extras: list[Path]) -> bool:
    valid = all(key in data for key in node.get("required", ()))
    own, patterns = node.get("properties") or {}, tables.patterns(node)
    for key, value in data.items():
        if key in own:
            valid = _valid(tables, own[key], value, (*path, key), extras) and valid
        for pattern, inner in patterns:
            if pattern.search(key):
                valid = _valid(tables, inner, value, (*path, key), extras) and valid
    if node.get("additionalProperties") is False or node.get("unevaluatedProperties") is False:
        known = tables.keys(node)
        extras += [(*path, key) for key in data if key not in known and not any(p.search(key) for p, _ in patterns)]
    return valid


def is_of(data: Any, kind: str) -> bool:
    """Whether data is of a JSON type, as JSON Schema means it: true is no number, and 8.0 is an integer."""
    if kind == "integer":
        return (isinstance(data, int) and not isinstance(data, bool)) or (isinstance(data, float) and data.is_integer())
    if kind == "number":
        return isinstance(data, int | float) and not isinstance(data, bool)
    return isinstance(data, PYTHON_TYPES[kind])


PYTHON_TYPES: dict[str, type] = {
    "string": str, "boolean": bool, "object": dict, "array": list, "null": type(None),
}


def same(left: Any, right: Any) -> bool:
    """Equality in which true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)
