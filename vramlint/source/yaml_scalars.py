"""Plain YAML scalars as PyYAML types them (YAML 1.1), with bounded work."""

from __future__ import annotations

from functools import lru_cache

from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from vramlint.source.limits import MOST_DIGITS
from vramlint.source.tree import Scalar

RESOLVERS = Resolver.yaml_implicit_resolvers
BOOLEANS = SafeConstructor.bool_values
STANDARD = "tag:yaml.org,2002:"


class Untyped(Exception):  # noqa: N818 (not an error of the file: the value is just not a plain one)
    """A scalar that is no string, number, boolean or null; the message says what it is."""


@lru_cache(maxsize=4096)
def plain(text: str) -> tuple[Scalar, str]:
    """The value of a plain scalar, and its style: plain, or date. Raises `Untyped`."""
    for tag, pattern in RESOLVERS.get(text[:1], ()):
        if pattern.match(text):
            return typed(tag, text)
    return text, "plain"


def typed(tag: str, text: str) -> tuple[Scalar, str]:
    """The value of a scalar that carries `tag`, and its style. Raises `Untyped`."""
    kind = tag.removeprefix(STANDARD)
    if kind in ("int", "float") and len(text) > MOST_DIGITS:
        raise Untyped(f"a number of more than {MOST_DIGITS} digits")
    try:
        if kind == "int":
            return _integer(text), "plain"
        if kind == "float":
            return _real(text), "plain"
        if kind == "bool":
            return BOOLEANS[text.lower()], "plain"
    except (KeyError, ValueError, IndexError, OverflowError):
        raise Untyped(f"{text[:40]!r} is no {kind}") from None
    if kind == "null":
        return None, "plain"
    if kind == "timestamp":
        return text, "date"
    if kind == "str" or tag == "!":
        return text, "plain"
    raise Untyped(f"a value of the YAML type {kind[:40]}")


def _integer(text: str) -> int:
    """YAML 1.1: `0b1`, `0x1`, `010` octal, `1:30` to the base 60, underscores anywhere."""
    sign = -1 if text[0] == "-" else 1
    digits = text.lstrip("+-").replace("_", "")
    if ":" in digits:
        total: int = sum(int(part) * 60**place for place, part in enumerate(reversed(digits.split(":"))))
        return sign * total
    if digits[:2] in ("0b", "0x"):
        return sign * int(digits, 0)
    return sign * int(digits, 8 if len(digits) > 1 and digits[0] == "0" else 10)


def _real(text: str) -> float:
    sign = -1 if text[0] == "-" else 1
    digits = text.lstrip("+-").replace("_", "").lower()
    if digits in (".inf", ".nan"):
        return sign * float(digits[1:])
    if ":" in digits:
        total: float = sum(float(part) * 60**place for place, part in enumerate(reversed(digits.split(":"))))
        return sign * total
    return sign * float(digits)
