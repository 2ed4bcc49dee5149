"""Whether a document of ours (a configuration, a rule) has the shape its schema asks for: each fault at its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from vramlint.dataclass import dataclass
from vramlint.dialects.check import is_of
from vramlint.dialects.values import takes
from vramlint.source import UNKNOWN, Effective, Entry, Node, Path, Span

Schema = dict[str, Any]
KEYWORDS = frozenset({
    "$schema", "$id", "title", "description", "type", "enum", "pattern", "properties", "additionalProperties", "required",
    "items",
})
"""All that such a schema may say; a test holds them to it, and this check to jsonschema's verdict."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as the schema has it; `path` is where from the checked node on."""

    message: str
    span: Span | None
    path: Path = ()
    help: tuple[str, ...] = ()


def faults_of(values: Effective, node: Node, schema: Schema) -> Iterator[Fault]:
    """Every fault of what stands at `node`."""
    yield from _faults(values, node, schema, (), node.span)


def _faults(values: Effective, node: Node, schema: Schema, path: Path, place: Span | None) -> Iterator[Fault]:
    resolved = values.scalar(node)
    node = resolved.node
    span = node.span if node.span.start < node.span.end and node.kind == "scalar" else place
    kinds = schema.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    if resolved.value is UNKNOWN:
        yield Fault(f"{_name(path)} cannot be known from this file: {resolved.why or 'an expression'}", span, path)
    elif node.kind not in ("map", "seq", "scalar") or (kinds and not any(_is(node, kind) for kind in kinds)):
        yield Fault(f"{_name(path)} takes {takes({'type': list(kinds)})}, not {_shown(node)}", span, path)
    elif node.kind == "map":
        yield from _faults_of_map(values, node, schema, path, place)
    elif node.kind == "seq":
        for index, item in enumerate(node.items):
            yield from _faults(values, item, schema.get("items", {}), (*path, index), item.span)
    elif "enum" in schema and node.value not in schema["enum"]:
        yield Fault(
            f"{_name(path)} takes {takes(schema)}, not {_shown(node)}", span, path, near(str(node.value), schema["enum"]),
        )
    elif "pattern" in schema and isinstance(node.value, str) and not re.search(schema["pattern"], node.value):
        yield Fault(f"{_name(path)} is not written as {schema['pattern']}", span, path)


def _faults_of_map(values: Effective, node: Node, schema: Schema, path: Path, place: Span | None) -> Iterator[Fault]:
    known: dict[str, Schema] = schema.get("properties", {})
    other = schema.get("additionalProperties", True)
    entries: dict[str, tuple[Entry, Span | None]] = values.entries(node)
    for key, (entry, _) in entries.items():
        if key in known or isinstance(other, dict):
            yield from _faults(values, entry.value, known.get(key) or other, (*path, key), entry.key_span)
        elif other is False:
            yield Fault(f"unknown key {key!r}", entry.key_span, (*path, key), near(key, list(known)))
    for key in schema.get("required", ()):
        if key not in entries:
            yield Fault(f"missing {key!r}", place, path, (f"state {key}",))


def near(word: str, known: Sequence[str]) -> tuple[str, ...]:
    """`did you mean …?` as the only line of help, or none."""
    import difflib  # noqa: PLC0415  # only where something is wrong

    found = difflib.get_close_matches(word, [str(one) for one in known], 1, 0.6)
    return (f"did you mean {found[0]!r}?",) if found else ()


def _is(node: Node, kind: str) -> bool:
    if node.kind == "map":
        return kind == "object"
    if node.kind == "seq":
        return kind == "array"
    return is_of(node.value, kind)


def _name(path: Path) -> str:
    return next((str(step) for step in reversed(path) if isinstance(step, str)), "the document")


def _shown(node: Node) -> str:
    if node.kind == "scalar":
        return repr(node.value)[:40] if not isinstance(node.value, bool) else str(node.value).lower()
    return {"map": "a mapping", "seq": "a list"}.get(node.kind, "an expression")
