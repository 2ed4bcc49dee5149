"""A value as text of a format, in the style of what it replaces."""

from __future__ import annotations

import json
import math
import re

from vramlint.source.operations import Expression, PlainValue
from vramlint.source.tree import Format

PLAIN_YAML = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
BARE_TOML_KEY = re.compile(r"[A-Za-z0-9_-]+")
YES_OR_NO = frozenset("yYnN")
"""Booleans to YAML 1.1 as it is written, though not to PyYAML."""


class Unwritable(Exception):  # noqa: N818 (an answer, not an error)
    """A value that the format has no text for; the message says why."""


def render(value: PlainValue, format: Format, style: str = "") -> str:  # noqa: A002 (the word that all rooms use)
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
        return _float(value)
    if isinstance(value, str):
        return _string(value, format, style)
    if isinstance(value, list | tuple):
        return f"[{', '.join(render(item, format) for item in value)}]"
    colon = " = " if format == "toml" else ": "
    return f"{{{', '.join(f'{render_key(key, format)}{colon}{render(item, format)}' for key, item in value.items())}}}"


def render_key(key: str, format: Format, style: str = "plain") -> str:  # noqa: A002
    """A key as the format writes it; `style` is the old key's."""
    if format == "toml" and style == "plain":
        return key if BARE_TOML_KEY.fullmatch(key) else _string(key, "toml", "double")
    return _string(key, format, style)


def _float(value: float) -> str:
    """Always with a point before the exponent: YAML 1.1 reads `2e-05` as text."""
    if not math.isfinite(value):
        raise Unwritable(f"{value} has no text in a config")
    mantissa, mark, exponent = repr(value).partition("e")
    if mark and "." not in mantissa:
        mantissa += ".0"
    return mantissa + mark + exponent


def _string(value: str, format: Format, style: str) -> str:  # noqa: A002
    if format == "json":
        return json.dumps(value, ensure_ascii=not value.isprintable())
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise Unwritable("half a surrogate pair has no text in a config")
    if format == "yaml" and style in ("", "plain") and _is_plain_yaml(value):
        return value
    if style == "single" and value.isprintable():
        if format == "yaml":
            return "'" + value.replace("'", "''") + "'"
        if "'" not in value and "\\" not in value:
            return f"'{value}'"
    return '"' + "".join(_escaped(character) for character in value) + '"'


def _escaped(character: str) -> str:
    """Spelt as YAML, TOML and Python all read it."""
    if character in '"\\':
        return "\\" + character
    if character in "\n\t":
        return "\\n" if character == "\n" else "\\t"
    if character.isprintable():
        return character
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"


def _is_plain_yaml(value: str) -> bool:
    """Whether the text without quotes is read as itself, by PyYAML and by the letter of YAML 1.1."""
    if not PLAIN_YAML.fullmatch(value) or value in YES_OR_NO:
        return False
    from vramlint.source.yaml_scalars import plain  # noqa: PLC0415 (YAML only where YAML is written)

    return plain(value) == (value, "plain")
