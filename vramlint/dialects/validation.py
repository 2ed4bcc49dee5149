"""A document held against its dialect's schema: a quick check that passes what is valid, jsonschema for the rest."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from vramlint.dialects.recognised import SchemaProblem
from vramlint.findings import Fix, Safety
from vramlint.source import UNKNOWN, Effective, Entry, Rename, Set, Span

NUMBER_AS_TEXT = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+")
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,), "integer": (int,), "number": (int, float), "string": (str,), "null": (type(None),),
    "array": (list,), "object": (dict,),
}
IN_WORDS = {
    "boolean": "true or false", "integer": "a whole number", "number": "a number", "string": "text", "null": "null",
    "array": "a list", "object": "a mapping",
}


class Checker:
    """Checks entries against the properties of one schema."""

    def __init__(self, schema: Mapping[str, Any], effective: Effective) -> None:
        self._schema = schema
        self._properties: Mapping[str, Any] = schema["properties"]
        self._marks = schema["x-vramlint"]
        self._effective = effective

    def value(self, name: str, entry: Entry, path: tuple[str | int, ...], document: int) -> SchemaProblem | None:
        """The first thing wrong with a value of a known key."""
        rule = self._properties[name]
        node = self._effective.scalar(entry.value).node
        value = self._effective.plain(entry.value)
        if self._effective.file.format == "python" and isinstance(value, str) and node.style == "attribute":
            return None
        if _holds_unknown(value) or passes(rule, value):
            return None
        span = entry.value.span if entry.value.span.start < entry.value.span.end else entry.key_span
        if isinstance(value, str) and NUMBER_AS_TEXT.fullmatch(value) and _takes_number(rule):
            number = float(value)
            fix = Fix(
                f"write {_spelled(number)}", Safety.SAFE, operations=(Set(path, number, document),),
            )
            return SchemaProblem(
                "number-as-text", f"{name}: YAML 1.1 reads {value} as text", span, path, _spelled(number),
                (f"write {_spelled(number)}",), (fix,),
            )
        return SchemaProblem(*_violation(name, rule, value), span, path)

    def unknown_key(self, entry: Entry, path: tuple[str | int, ...], document: int) -> SchemaProblem:
        """What to say of a key that no class has."""
        name = entry.key
        renamed = self._marks["renamed"].get(name)
        if renamed:
            fix = Fix(f"rename to {renamed}", Safety.UNSAFE, operations=(Rename(path, renamed, document),))
            return SchemaProblem(
                "renamed-key", f"{name} is now called {renamed}", entry.key_span, path, renamed, (), (fix,),
            )
        foreign = self._marks["foreign"].get(name)
        if foreign:
            return SchemaProblem(
                "foreign-key", f"{name} is the {foreign[0]} name; here it is {foreign[1]}", entry.key_span, path,
                foreign[1],
            )
        near = difflib.get_close_matches(name, self._properties, 1, 0.75)
        fixes = tuple(
            Fix(f"rename to {match}", Safety.UNSAFE, operations=(Rename(path, match, document),)) for match in near
        )
        return SchemaProblem(
            "unknown-key", f"unknown key {name!r}", entry.key_span, path, near[0] if near else None,
            (f"did you mean {near[0]!r}?",) if near else (), fixes,
        )


def passes(rule: Mapping[str, Any], value: object) -> bool:
    """Whether `value` is valid under one property's rule: type, enum and bounds, which is all that our schemas use."""
    if "enum" in rule and not any(value == word and type(value) is type(word) for word in rule["enum"]):
        return False
    types = rule.get("type")
    if types is not None:
        allowed = [types] if isinstance(types, str) else types
        if isinstance(value, bool):
            if "boolean" not in allowed:
                return False
        elif isinstance(value, float) and value.is_integer() and "integer" in allowed:
            pass
        elif not any(isinstance(value, PYTHON_TYPES[kind]) for kind in allowed):
            return False
    if isinstance(value, int | float) and not isinstance(value, bool):
        return bool(
            value >= rule.get("minimum", value) and value <= rule.get("maximum", value)
            and value < rule.get("exclusiveMaximum", value + 1),
        )
    return True


def _violation(name: str, rule: Mapping[str, Any], value: object) -> tuple[str, str]:
    shown = repr(value) if not isinstance(value, bool) else str(value).lower()
    if "enum" in rule:
        words = [str(word).lower() if isinstance(word, bool) else str(word) for word in rule["enum"]]
        near = difflib.get_close_matches(str(value), words, 1, 0.6)
        hint = f"; did you mean {near[0]!r}?" if near else f": it takes {', '.join(words[:6])}"
        return "enum", f"{shown[:60]} is no {name}{hint}"
    types = [rule["type"]] if isinstance(rule.get("type"), str) else rule.get("type", [])
    typed = passes({"type": types}, value) if types else True
    if not typed:
        expected = " or ".join(IN_WORDS[kind] for kind in types if kind != "null")
        return "type", f"{name} should be {expected}, found {shown[:60]}"
    if "minimum" in rule and value < rule["minimum"]:  # type: ignore[operator]  # bounds are on numbers only
        return "minimum", f"{name} is {shown}, below the minimum of {rule['minimum']}"
    limit = rule.get("maximum", rule.get("exclusiveMaximum"))
    return "maximum", f"{name} is {shown}; it must stay below {limit}"


def _spelled(number: float) -> str:
    mantissa, mark, exponent = repr(number).partition("e")
    return (mantissa if "." in mantissa or not mark else mantissa + ".0") + mark + exponent


def _takes_number(rule: Mapping[str, Any]) -> bool:
    types = rule.get("type", [])
    return "number" in types or "integer" in types


def _holds_unknown(value: object) -> bool:
    return value is UNKNOWN


def span_of(entry: Entry) -> Span:
    """Where a finding about an entry points: its value, or its key where the value is empty."""
    return entry.value.span if entry.value.span.start < entry.value.span.end else entry.key_span
