"""Canonical values: what a dialect's words come to, and what `--set KEY=VALUE` says."""

from __future__ import annotations

import math
import re
from typing import Any

from vramlint.dialects.check import is_of
from vramlint.dialects.schemas import run_keys
from vramlint.dialects.tables import Json, word
from vramlint.run import Value

NUMBER = re.compile(r"[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?")
BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
NULLS = ("null", "none", "~", "")


class UnfitError(ValueError):
    """A value that a canonical key cannot hold; the message says what it takes."""


def canonical(key: str, value: Any, about: Json) -> dict[str, Value]:
    """The canonical keys and values that a written value comes to, usually one. Raises `UnfitError`."""
    words = about.get("values", {})
    if not isinstance(value, dict | list) and word(value) in words:
        meant = words[word(value)]
        return dict(meant) if isinstance(meant, dict) else {key: meant}
    if key.startswith("_"):
        return {key: value}
    if value is None and "null" not in run_keys()[key]["type"]:
        return {}  # as good as not written
    return {key: fitted(key, value)}


def fitted(key: str, value: Any) -> Value:
    """The value as its canonical key holds it: lists become tuples, 8.0 becomes 8. Raises `UnfitError`."""
    described = run_keys()[key]
    kinds = [described["type"]] if isinstance(described["type"], str) else described["type"]
    if isinstance(value, str) and "string" not in kinds and ("integer" in kinds or "number" in kinds):
        value = number(value)
    if isinstance(value, dict):
        value = [f"{name}={word(inner)}" for name, inner in value.items()]
    if isinstance(value, list):
        if "array" in kinds and all(isinstance(item, str) for item in value):
            return tuple(value)
        if "string" in kinds and value and all(isinstance(item, str) for item in value):
            value = value[0] if len(value) == 1 else ",".join(value)
    if isinstance(value, float) and value.is_integer() and "number" not in kinds:
        value = int(value)
    if not any(is_of(value, kind) for kind in kinds if kind != "array"):
        raise UnfitError(f"{key} takes {takes(described)}, not {word(value)!s:.60}")
    if "enum" in described and value not in described["enum"]:
        near = did_you_mean(str(value), described["enum"])
        raise UnfitError(f"{key} takes {takes(described)}, not {value!s:.60}{near}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise UnfitError(f"{key} takes {takes(described)}, not {value}")
        if value < described.get("minimum", value) or value > described.get("maximum", value):
            raise UnfitError(f"{key} takes {takes(described)}, not {value}")
    result: Value = value
    return result


def fitted_default(key: str, value: Any) -> Value:
    """A class's default as the canonical key holds it; null where the class works it out later."""
    return None if value is None else fitted(key, value)


def number(text: str) -> int | float | str:
    """The number that a text spells, `2e-5` included; else the text."""
    if not NUMBER.fullmatch(text.strip()):
        return text
    try:
        return int(text)
    except ValueError:
        return float(text)


def takes(described: Json) -> str:
    """What a key takes, in words: "an integer from 1 to 1048576", "true or false", "one of nf4, fp4"."""
    if "enum" in described:
        words = [word(w) for w in described["enum"]]
        return f"one of {', '.join(words)}" if len(words) > 1 else words[0]
    kinds = [described["type"]] if isinstance(described.get("type"), str) else described.get("type", [])
    names = {
        "boolean": "true or false", "integer": "an integer", "number": "a number", "string": "a string",
        "array": "a list", "object": "a mapping", "null": "null",
    }
    text = " or ".join(names[kind] for kind in sorted(kinds, key=lambda kind: (kind == "null", kind)))
    low, high = described.get("minimum"), described.get("maximum")
    if low is not None and high is not None:
        return f"{text} from {low:g} to {high}"
    if low is not None:
        return f"{text} of at least {low:g}"
    if "exclusiveMinimum" in described:
        return f"{text} above {described['exclusiveMinimum']:g}"
    return text


def did_you_mean(text: str, known: Any) -> str:
    """`; did you mean …?` for a near miss, else nothing."""
    import difflib  # noqa: PLC0415  # only where something is wrong

    close = difflib.get_close_matches(text, [str(w) for w in known], n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def set_value(key: str, text: str) -> Value:
    """The value of `--set KEY=VALUE`, typed by the canonical key. Raises `ValueError` with what the key takes."""
    described = run_keys().get(key)
    if described is None:
        raise ValueError(f"there is no key {key}{did_you_mean(key, run_keys())}")
    kinds = [described["type"]] if isinstance(described["type"], str) else described["type"]
    stripped = text.strip()
    if "null" in kinds and stripped.lower() in NULLS:
        return None
    if "boolean" in kinds and stripped.lower() in BOOLEANS:
        return BOOLEANS[stripped.lower()]
    if "array" in kinds and (stripped.startswith("[") or "," in stripped or "string" not in kinds):
        return fitted(key, [part.strip(" \"'") for part in stripped.strip("[]").split(",") if part.strip()])
    return fitted(key, stripped)
