"""What a wheel ships for the schemas: one JSON, each schema a text of its own so that only the one in use is parsed."""

from __future__ import annotations

import json
from typing import Any

from vramlint.dialects.schemas import NO_DIALECTS, dialect_names, schema_json


def compiled_schemas() -> dict[str, Any]:
    """The content of `_data/schemas.json`. Descriptions of dialects stay behind: they are for editors and documents."""
    texts = {name: _text(schema_json(name)) for name in sorted(NO_DIALECTS)}
    for name in dialect_names():
        texts[name] = _text(without_descriptions(schema_json(name)))
    return {"version": 1, "schemas": texts}


def without_descriptions(value: Any) -> Any:
    """The schema without its `description` texts (a property that is called so stays)."""
    if isinstance(value, dict):
        return {
            key: without_descriptions(inner) for key, inner in value.items()
            if not (key == "description" and isinstance(inner, str))
        }
    return [without_descriptions(item) for item in value] if isinstance(value, list) else value


def _text(schema: Any) -> str:
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
