"""Which dialects a document may be in: the marks that each schema names, against the keys that the document has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vramlint.dialects.schemas import dialect_marks
from vramlint.dialects.walk import REPEATED
from vramlint.source import Effective

NO_GROUPS = ("any", "not", "formats")
LONGEST = 200
JSON_SCHEMA = (".$schema", ".properties")
"""Keys of a JSON Schema, which describes configs and is none, however many of their keys it names."""


def dialects_of(values: Effective, file_format: str) -> list[str]:
    """Every dialect whose marks the document bears, in alphabetical order; usually one or none."""
    names = names_of(values, python=file_format == "python")
    if all(mark in names for mark in JSON_SCHEMA):
        return []
    return [name for name, marks in dialect_marks().items() if bears(marks, names, file_format)]


def bears(marks: Mapping[str, Any], names: Mapping[str, str | None], file_format: str) -> bool:
    """Whether enough marks of one of `any` are there, and no set of `not` is complete."""
    formats = marks.get("formats")
    if formats is not None and file_format not in formats:
        return False
    if any(all(_is_there(mark, names) for mark in together) for together in marks.get("not", ())):
        return False
    return any(
        all(sum(_is_there(mark, names) for mark in marks[group]) >= least for group, least in needed.items())
        for needed in marks["any"]
    )


def _is_there(mark: str, names: Mapping[str, str | None]) -> bool:
    """`key` anywhere above, `.key` at the root, `a.b` one down; `key=word` and `key=start*` by its value too."""
    key, equals, wanted = mark.partition("=")
    if key not in names:
        return False
    if not equals:
        return True
    value = names[key]
    if value is None:
        return False
    return value.startswith(wanted[:-1]) if wanted.endswith("*") else value == wanted


def names_of(values: Effective, *, python: bool) -> dict[str, str | None]:
    """The keys of the document with their texts: those of its root, and those one and two mappings down.

    A key of the root stands there as `key` and `.key`, one below it as `inner` and `key.inner`, one further down as
    `innermost` alone. The first of equal names counts.
    """
    names: dict[str, str | None] = {}
    for key, (entry, _) in values.entries(values.root).items():
        name = REPEATED.sub("", key) if python else key
        node = values.scalar(entry.value).node
        text = _text(node.value) if node.kind == "scalar" else None
        names.setdefault(name, text)
        names.setdefault(f".{name}", text)
        if node.kind != "map" or python:
            continue
        for inner, (second, _) in values.entries(node).items():
            below = values.scalar(second.value).node
            text = _text(below.value) if below.kind == "scalar" else None
            names.setdefault(inner, text)
            names.setdefault(f"{key}.{inner}", text)
            if below.kind == "map":
                for innermost in values.entries(below):
                    names.setdefault(innermost, None)
    return names


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:LONGEST] if isinstance(value, str | int | float) else None
