"""A dialect's schema: where it is found, and what it says of each key."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

from vramlint import data

SCHEMAS = "schemas.json"


@cache
def schema(name: str) -> dict[str, Any]:
    """The JSON Schema `schemas/<name>.schema.json`, from the compiled file of a wheel or the checkout."""
    path = data.compiled(SCHEMAS)
    if path is not None:
        with open(path, encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)[name]
            return found
    with open(os.path.join(data.source_directory("schemas"), f"{name}.schema.json"), encoding="utf-8") as file:
        loaded: dict[str, Any] = json.load(file)
        return loaded


def compiled_schemas() -> dict[str, Any]:
    """All schemas by name, without the descriptions: what a wheel ships."""
    directory = data.source_directory("schemas")
    found = {}
    for name in sorted(os.listdir(directory)):
        if name.endswith(".schema.json"):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                found[name.removesuffix(".schema.json")] = json.load(file)
    return found


def canonical_key(name: str, entry: dict[str, Any]) -> tuple[str, str | None] | None:
    """(canonical key, key inside the value) that a property stands for, or None if no memory hangs on it."""
    mark = entry.get("x-vramlint", {}).get("key")
    if mark is None:
        return None
    key, _, inner = str(mark).partition("@")
    return key, inner or None


def default_in(entry: dict[str, Any], class_name: str) -> Any:
    """The default that one class has for a property."""
    mark = entry.get("x-vramlint", {})
    if class_name in mark.get("defaults", {}):
        return mark["defaults"][class_name]
    return entry.get("default")
