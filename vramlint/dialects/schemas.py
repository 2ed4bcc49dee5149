"""The schemas as data: `schemas/<name>.schema.json` of a checkout, or the one compiled JSON of a wheel."""

from __future__ import annotations

import functools
import json
import os
from typing import Any

from vramlint import data

SUFFIX = ".schema.json"
COMPILED = "schemas.json"
RUN = "run"
MARKS = '"recognise":'
DECODER = json.JSONDecoder()
NO_DIALECTS = frozenset({RUN, "config", "rule"})
"""Schemas of what is ours: the vocabulary, vramlint's own configuration, and rules."""


@functools.cache
def schema_json(name: str) -> dict[str, Any]:
    """The JSON Schema `name`: `run` or a dialect. Raises `KeyError` for an unknown name.

    A dialect that says `x-vramlint.extends` may refer to the definitions of the one it names as if they were its own.
    """
    loaded: dict[str, Any] = json.loads(_text(name))
    base = loaded.get("x-vramlint", {}).get("extends")
    if base is not None:
        loaded["$defs"] = {**schema_json(base)["$defs"], **loaded.get("$defs", {})}
    return loaded


@functools.cache
def dialect_names() -> tuple[str, ...]:
    """Every dialect that has a schema, in alphabetical order."""
    compiled = _compiled()
    if compiled is not None:
        return tuple(sorted(name for name in compiled if name not in NO_DIALECTS))
    names = os.listdir(data.source_directory("schemas"))
    found = {n.removesuffix(SUFFIX) for n in names if n.endswith(SUFFIX)}
    return tuple(sorted(found - NO_DIALECTS))


@functools.cache
def dialect_marks() -> dict[str, dict[str, Any]]:
    """What each dialect is recognised by, without parsing the rest of its schema."""
    marks = {}
    for name in dialect_names():
        text = _text(name)
        start = text.find(MARKS)
        if start >= 0:
            marks[name] = DECODER.raw_decode(text, text.index("{", start + len(MARKS)))[0]
    return marks


def run_schema() -> dict[str, Any]:
    """`schemas/run.schema.json`: the canonical keys with type, enum, unit, bounds, default and description."""
    return schema_json(RUN)


def run_keys() -> dict[str, dict[str, Any]]:
    """The canonical keys and what each may hold."""
    keys: dict[str, dict[str, Any]] = run_schema()["properties"]
    return keys


@functools.cache
def _text(name: str) -> str:
    compiled = _compiled()
    if compiled is not None:
        return compiled[name]
    try:
        with open(os.path.join(data.source_directory("schemas"), name + SUFFIX), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        raise KeyError(name) from None


@functools.cache
def _compiled() -> dict[str, str] | None:
    """The texts by name: each is parsed only when its dialect is asked for."""
    path = data.compiled(COMPILED)
    if path is None:
        return None
    with open(path, encoding="utf-8") as file:
        texts: dict[str, str] = json.load(file)["schemas"]
    return texts
