"""`run.schema.json` and `Run` say the same, and `--set` is typed by it."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

import pytest

from vramlint.dialects import run_schema, set_value
from vramlint.run import Run

JSON_TYPES = {int: "integer", float: "number", bool: "boolean", str: "string", type(None): "null", tuple: "array"}
FIELDS = {f.name: f for f in dataclasses.fields(Run) if f.name not in ("unknown", "stack")}
HINTS = typing.get_type_hints(Run)


def members(hint: Any) -> list[Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [part for argument in typing.get_args(hint) for part in members(argument)]
    return [hint]


def test_the_keys_are_the_fields_in_their_order() -> None:
    assert list(run_schema()["properties"]) == list(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_type_vocabulary_and_default_agree(name: str) -> None:
    described = run_schema()["properties"][name]
    kinds = {described["type"]} if isinstance(described["type"], str) else set(described["type"])
    parts = members(HINTS[name])
    words = [word for part in parts if typing.get_origin(part) is typing.Literal for word in typing.get_args(part)]
    plain = {JSON_TYPES[typing.get_origin(p) or p] for p in parts if typing.get_origin(p) is not typing.Literal}
    assert kinds == plain | ({"string"} if words else set())
    if words:
        assert [word for word in described["enum"] if word is not None] == words
    assert described["default"] == FIELDS[name].default
    assert described["description"].endswith(".")
    if "enum" in described:
        assert FIELDS[name].default in described["enum"]


@pytest.mark.parametrize(("key", "text", "value"), [
    ("per_device_train_batch_size", "4", 4),
    ("gradient_checkpointing", "true", True),
    ("gradient_checkpointing", "no", False),
    ("learning_rate", "2e-5", 2e-5),
    ("lora_alpha", "16", 16),
    ("max_length", "null", None),
    ("trainer", "trl-sft", "trl-sft"),
    ("model_name_or_path", "Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
    ("lora_target_modules", "all-linear", "all-linear"),
    ("lora_target_modules", "q_proj,v_proj", ("q_proj", "v_proj")),
    ("lora_modules_to_save", "[lm_head]", ("lm_head",)),
])
def test_set_gives_typed_values(key: str, text: str, value: object) -> None:
    found = set_value(key, text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("key", "text", "says"), [
    ("per_device_train_batch_size", "four", "an integer from 1"),
    ("per_device_train_batch_size", "0", "an integer from 1"),
    ("per_device_train_batch_size", "-2", "an integer from 1"),
    ("per_device_train_batch_size", "2.5", "an integer from 1"),
    ("learning_rate", "nan", "a number"),
    ("bf16", "maybe", "true or false"),
    ("bnb_4bit_quant_type", "nf5", "did you mean nf4"),
    ("per_device_batch_size", "4", "did you mean per_device_"),
])
def test_set_refuses_with_what_is_taken(key: str, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        set_value(key, text)
