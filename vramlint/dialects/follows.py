"""The conditions of a schema: `x-vramlint.follows`, what the values in force make of other keys.

An entry holds where every key of `when` has one of its words and no key of `unless` does (a key that is not said and has
no default is null). Then: `set` gives values where nothing is said, `force` whatever is said, `copy` takes over another
key's value where nothing is said, `doubt` says why a key cannot be known, `note` states an assumption. `why` is for the
reader. Where a key of `when` or `unless` is itself unknown, so is everything that the entry would decide.
"""

from __future__ import annotations

from typing import Any

from vramlint.dialects.settlement import Settlement
from vramlint.dialects.tables import word
from vramlint.dialects.values import fitted


def follow(it: Settlement, entries: list[dict[str, Any]]) -> None:
    """Apply the entries in order; later ones see what earlier ones gave."""
    for entry in entries:
        when, unless = entry.get("when", {}), entry.get("unless", {})
        unknown = next((key for key in (*when, *unless) if _is_unknown(it, key)), None)
        if unknown is not None:
            for key in (*entry.get("set", {}), *entry.get("force", {}), *entry.get("copy", {})):
                if not key.startswith("_") and ("force" in entry or not it.said.is_said(key)):
                    it.doubt(key, it.said.unknown.get(unknown) or it.unknown.get(unknown, "it is not known"))
        elif all(_has(it, key, words) for key, words in when.items()) and not any(
            _has(it, key, words) for key, words in unless.items()
        ):
            _apply(it, entry)


def _is_unknown(it: Settlement, key: str) -> bool:
    return key in it.unknown or (key.startswith("_") and key in it.said.unknown)


def _has(it: Settlement, key: str, words: list[Any]) -> bool:
    return word(it.trainer if key == "trainer" else it.values.get(key)) in [word(one) for one in words]


def _apply(it: Settlement, entry: dict[str, Any]) -> None:
    why = str(entry.get("why", "it follows from other keys"))
    for key, value in entry.get("set", {}).items():
        it.infer(key, _fit(key, value), why)
    for key, value in entry.get("force", {}).items():
        it.force(key, _fit(key, value), why)
    for key, other in entry.get("copy", {}).items():
        if other in it.unknown and not it.said.is_said(key):
            it.doubt(key, it.unknown[other])
        it.infer(key, it.values.get(other), why)
    for key, reason in entry.get("doubt", {}).items():
        if not (it.said.is_said(key) and it.values.get(key) is not None):
            it.doubt(key, reason)
    if "note" in entry:
        it.note(entry["note"])


def _fit(key: str, value: Any) -> Any:
    return value if value is None or key.startswith("_") else fitted(key, value)
