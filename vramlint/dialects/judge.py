"""jsonschema, the judge of what is valid: asked only about documents that the quick check does not pass."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from vramlint.dataclass import dataclass
from vramlint.dialects.tables import Json, Tables
from vramlint.source import UNKNOWN, Path

UNKNOWN_KEYS = ("additionalProperties", "unevaluatedProperties")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that jsonschema finds: which keyword, where, what was found, and the schema that it broke."""

    keyword: str
    path: Path
    found: Any
    schema: Json


def judged(tables: Tables, reference: str, data: Any) -> list[Verdict]:
    """What jsonschema finds in `data` under the schema node `reference`; unknown values count as valid."""
    validator = _validator(tables, reference)
    return [verdict for error in validator.iter_errors(_pruned(data)) for verdict in _leaves(error)]


def _leaves(error: Any) -> Iterator[Verdict]:
    # An unevaluated key under a broken sibling is an echo of that breakage only if the sibling's schema is its own.
    yield Verdict(str(error.validator), tuple(error.absolute_path), error.instance, error.schema)


@functools.cache
def _validator(tables: Tables, reference: str) -> Any:
    import jsonschema  # noqa: PLC0415  # 50 ms, and most files are valid
    from referencing import Registry  # noqa: PLC0415  # without one, jsonschema may look on the network

    schema = tables.schema if reference == "#" else {
        "$schema": tables.schema["$schema"], "$defs": tables.schema["$defs"], "$ref": reference,
    }
    return jsonschema.Draft202012Validator(schema, registry=Registry())


def _pruned(data: Any) -> Any:
    """The data without what is unknown."""
    if isinstance(data, dict):
        return {key: _pruned(value) for key, value in data.items() if value is not UNKNOWN}
    if isinstance(data, list):
        return [_pruned(item) for item in data if item is not UNKNOWN]
    return data
