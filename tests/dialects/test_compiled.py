"""What a wheel ships says what the checkout says."""

from __future__ import annotations

import json

from vramlint.dialects import compiled_schemas
from vramlint.dialects.compile import without_descriptions
from vramlint.dialects.schemas import dialect_names, schema_json


def test_each_schema_is_a_text_of_its_own_without_descriptions() -> None:
    compiled = json.loads(json.dumps(compiled_schemas()))["schemas"]
    assert set(compiled) == {*dialect_names(), "run", "config", "rule"}
    assert json.loads(compiled["run"]) == schema_json("run")
    assert json.loads(compiled["huggingface"]) == without_descriptions(schema_json("huggingface"))


def test_a_property_called_description_stays() -> None:
    schema = {"properties": {"description": {"description": "x"}}}
    assert without_descriptions(schema) == {"properties": {"description": {}}}
