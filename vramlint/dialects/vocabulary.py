"""The canonical keys with their types: `schemas/run.schema.json`, and typed values for `--set`."""

from __future__ import annotations

import difflib
from typing import Any

from vramlint.dialects.schema import schema
from vramlint.run import Value

WORDS: dict[str, Value] = {"true": True, "false": False, "yes": True, "no": False, "null": None, "none": None}


def run_schema() -> dict[str, Any]:
    """The schema of a `Run`."""
    return schema("run")


def set_value(key: str, text: str) -> Value:
    """`text` as a value of the canonical `key`. Raises `ValueError` saying what was expected."""
    properties = run_schema()["properties"]
    if key not in properties:
        near = difflib.get_close_matches(key, properties, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown key {key!r}{hint}")
    entry = properties[key]
    types = [entry["type"]] if isinstance(entry.get("type"), str) else list(entry.get("type", ["string"]))
    for kind in ("boolean", "null", "integer", "number", "array", "string"):
        if kind in types:
            matched, value = _as(kind, text)
            if matched:
                _check(key, entry, value)
                return value
    raise ValueError(f"{key} takes {' or '.join(types)}, not {text!r}")


def _as(kind: str, text: str) -> tuple[bool, Value]:
    lowered = text.lower()
    if kind == "boolean":
        return (lowered in ("true", "false", "yes", "no"), bool(WORDS.get(lowered)))
    if kind == "null":
        return (lowered in ("null", "none"), None)
    try:
        if kind == "integer":
            return True, int(text)
        if kind == "number":
            return True, float(text)
    except ValueError:
        return False, None
    if kind == "array":
        return ("," in text, tuple(part.strip() for part in text.split(",")))
    return True, text


def _check(key: str, entry: dict[str, Any], value: Value) -> None:
    if "enum" in entry and value not in entry["enum"]:
        raise ValueError(f"{key} takes {', '.join(map(str, entry['enum']))}, not {value!r}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < entry.get("minimum", value):
            raise ValueError(f"{key} is at least {entry['minimum']}, not {value}")
        if value > entry.get("maximum", value):
            raise ValueError(f"{key} is at most {entry['maximum']}, not {value}")
