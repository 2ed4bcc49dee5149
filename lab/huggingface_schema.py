"""Reads Hugging Face's configuration classes off the installed packages; gives schemas/huggingface.schema.json.

usage: python -m lab.huggingface_schema OUTPUT   (needs transformers, trl, peft, bitsandbytes as installed for a training run)

What the classes cannot say (which canonical key a name stands for, renamed keys, other frameworks' names) is in
lab/huggingface_words.json beside this script.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import re
import sys
import types
import typing
from pathlib import Path
from typing import Any

WORDS = json.loads(Path(__file__).with_name("huggingface_words.json").read_text(encoding="utf-8"))
JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}


def classes() -> dict[str, Any]:
    """The configuration classes by name, in the order in which their words count."""
    from peft import LoraConfig
    from transformers import BitsAndBytesConfig, TrainingArguments
    from trl import DPOConfig, GRPOConfig, KTOConfig, ModelConfig, RewardConfig, RLOOConfig, ScriptArguments, SFTConfig

    named = [TrainingArguments, SFTConfig, DPOConfig, RewardConfig, KTOConfig, GRPOConfig, RLOOConfig, ModelConfig]
    return {cls.__name__: cls for cls in [*named, ScriptArguments, LoraConfig, BitsAndBytesConfig]}


def fields_of(cls: Any) -> list[tuple[str, Any, Any, str]]:
    """(name, annotation, default, help) of a dataclass's fields, or of the parameters of a plain class."""
    if dataclasses.is_dataclass(cls):
        hints = typing.get_type_hints(cls)
        found = []
        for field in dataclasses.fields(cls):
            default = field.default
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            if field.init:
                found.append((field.name, hints.get(field.name, Any), default, str(field.metadata.get("help", ""))))
        if {name for name, *_ in found} >= set(inspect.signature(cls.__init__).parameters) - {"self", "kwargs"}:
            return found
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return [(p.name, Any, p.default, "") for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]


def types_of(annotation: Any) -> list[str]:
    """The JSON types that an annotation admits; none if it says nothing."""
    if annotation is Any:
        return []
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return sorted({t for arg in typing.get_args(annotation) for t in types_of(arg) or ["any"]})
    if annotation is type(None):
        return ["null"]
    if origin is typing.Literal:
        return sorted({JSON_TYPES[type(value)] for value in typing.get_args(annotation)})
    base = origin or annotation
    if isinstance(base, type):
        if issubclass(base, enum.Enum):
            return ["string"]
        for python, name in JSON_TYPES.items():
            if issubclass(base, python):
                return [name]
        if base in (set, tuple):
            return ["array"]
    return []


def words_of(annotation: Any) -> list[str]:
    """The words of an enum annotation."""
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return [str(member.value) for member in annotation]
    return [word for arg in typing.get_args(annotation) for word in words_of(arg)]


def plain(value: Any) -> Any:
    """A default as JSON, or None where it has no plain form."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (set, tuple)):
        return sorted(value)
    return value if isinstance(value, (str, int, float, bool, list, dict)) else None


def main(output: str) -> int:
    """Write the schema."""
    import bitsandbytes
    import peft
    import torch
    import transformers
    import trl
    from transformers.training_args import OptimizerNames

    properties: dict[str, Any] = {}
    for class_name, cls in classes().items():
        for name, annotation, default, text in fields_of(cls):
            entry = properties.setdefault(name, {"types": set(), "words": set(), "defaults": {}, "open": False})
            found = types_of(annotation)
            entry["open"] = entry["open"] or not found or "any" in found
            entry["types"] |= set(found) - {"any"}
            entry["words"] |= set(words_of(annotation))
            entry.setdefault("description", re.sub(r"\s+", " ", text).replace("%%", "%")[:200])
            if default is not dataclasses.MISSING and default is not inspect.Parameter.empty:
                entry["defaults"][class_name] = plain(default)
    properties["optim"]["words"] = {member.value for member in OptimizerNames}
    versions = {m.__name__: m.__version__.partition("+")[0] for m in (transformers, trl, peft, bitsandbytes, torch)}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://vramlint.dev/schemas/huggingface.schema.json",
        "title": "Hugging Face: TrainingArguments, TRL, PEFT and bitsandbytes configs, flat or by class",
        "type": "object",
        "x-vramlint": {"dialect": "huggingface", "stack": versions, **WORDS["schema"]},
        "properties": {name: property_of(name, entry) for name, entry in sorted(properties.items())},
    }
    for name, extra in WORDS["own"].items():
        schema["properties"][name] = extra
    Path(output).write_text(json.dumps(schema, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def property_of(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """One property of the schema."""
    defaults = entry["defaults"]
    common = max(defaults.values(), key=lambda v: sum(v == w for w in defaults.values())) if defaults else None
    mark: dict[str, Any] = {}
    if name in WORDS["keys"]:
        mark["key"] = WORDS["keys"][name]
    different = {cls: value for cls, value in defaults.items() if value != common}
    mark["classes"] = sorted(defaults) if len(defaults) < len(classes()) else []
    if different:
        mark["defaults"] = different
    result: dict[str, Any] = {}
    allowed = set(entry["types"])
    if any(value is None for value in defaults.values()):
        allowed.add("null")
    if "number" in allowed:
        allowed.discard("integer")
    override = WORDS["types"].get(name)
    if override is not None:
        result.update(override)
    elif allowed and not entry["open"]:
        result["type"] = sorted(allowed)[0] if len(allowed) == 1 else sorted(allowed)
    if entry["words"] and "enum" not in result:
        result["enum"] = sorted(entry["words"]) + ([None] if "null" in allowed else [])
        result.pop("type", None)
    if common is not None:
        result["default"] = common
    if entry.get("description"):
        result["description"] = entry["description"]
    result["x-vramlint"] = mark
    return result


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
