"""A value as text of a format, in the style of what it replaces."""

from __future__ import annotations

import json
import math
import re

from vramlint.source.operations import Expression, PlainValue
from vramlint.source.tree import Format

PLAIN_YAML = re.compile(r"[A-Za-z_][\w./-]*")
BARE_TOML_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Unwritable(Exception):
    """A value that the format has no text for; the message says why."""


def render(value: PlainValue, format: Format, style: str = "") -> str:
    """The text of `value`; `style` is the old scalar's (quotes are kept). Raises `Unwritable`."""
    if isinstance(value, Expression):
        if format != "python":
            raise Unwritable(f"{value.code} is code, and this is no Python")
        return value.code
    if value is None:
        if format == "toml":
            raise Unwritable("TOML has no null")
        return "None" if format == "python" else "null"
    if isinstance(value, bool):
        return str(value) if format == "python" else str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float(value, format)
    if isinstance(value, str):
        return _string(value, format, style)
    if isinstance(value, list):
        return f"[{', '.join(render(item, format) for item in value)}]"
    inner = ", ".join(f"{render_key(key, format)}{_colon(format)}{render(item, format)}" for key, item in value.items())
    return f"{{{inner}}}"


def render_key(key: str, format: Format) -> str:
    """A key as the format writes it."""
    if format == "yaml" and PLAIN_YAML.fullmatch(key):
        return _string(key, "yaml", "")
    if format == "toml" and BARE_TOML_KEY.fullmatch(key):
        return key
    return json.dumps(key, ensure_ascii=False)


def _colon(format: Format) -> str:
    return " = " if format == "toml" else ": "


def _float(value: float, format: Format) -> str:
    """Always with a point before the exponent: YAML 1.1 reads `2e-05` as text."""
    if not math.isfinite(value):
        raise Unwritable(f"{value} has no text here")
    text = repr(value)
    mantissa, mark, exponent = text.partition("e")
    if mark and "." not in mantissa:
        mantissa += ".0"
    return mantissa + mark + exponent


def _string(value: str, format: Format, style: str) -> str:
    if not value.isprintable() or "\ufeff" in value:
        return json.dumps(value)
    if format == "yaml":
        if style in ("", "plain") and PLAIN_YAML.fullmatch(value):
            from vramlint.source.yaml_reader import typed  # noqa: PLC0415 (YAML only where YAML is written)

            if typed(value) == value:
                return value
        if style in ("'", "single"):
            return "'" + value.replace("'", "''") + "'"
    if style == "single" and not set(value) & set("'\\"):
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=False)
