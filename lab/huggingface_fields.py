"""Fields of the packages' configuration classes as JSON Schema properties; used by `huggingface_schema.py`."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
import typing
from typing import Any

Json = dict[str, Any]
ABOUT = "x-vramlint"
JSON_TYPES: dict[Any, str] = {
    int: "integer", float: "number", bool: "boolean", str: "string", dict: "object", list: "array", tuple: "array",
    type(None): "null",
}


class Fields:
    """Describes fields; `hand` is huggingface_schema.yaml, `run` the canonical keys."""

    def __init__(self, hand: Json, run: Json) -> None:
        self.hand = hand
        self.run = run

    def of_class(self, cls: Any, kind: str) -> Json:
        """The fields of a dataclass; `kind` names the table of canonical keys that counts for them."""
        hints = typing.get_type_hints(cls)
        return {field.name: self._field(cls, field, kind, hints[field.name]) for field in dataclasses.fields(cls)}

    def of_signature(self, cls: Any) -> Json:
        """The arguments of a class that is no dataclass."""
        found: Json = {}
        for name, parameter in inspect.signature(cls.__init__).parameters.items():
            if name not in ("self", "kwargs"):
                default = self._effective(cls, name, parameter.default)
                described = self.hand["types"].get(name) or {"type": JSON_TYPES[type(default)]}
                found[name] = {**described, "default": default, **self._meaning(cls, name, cls.__name__)}
        return found

    def says(self, key: str) -> Json:
        """Description, mapping and value words of a canonical key."""
        about: Json = {"key": key}
        if key in self.hand["values"]:
            about["values"] = self.hand["values"][key]
        if key in self.hand["refers"]:
            about["refers"] = self.hand["refers"][key]
        return {"description": self.run[key]["description"], ABOUT: about}

    def expanded(self, value: Any) -> Any:
        """A fragment with every `says: KEY` written out."""
        if isinstance(value, list):
            return [self.expanded(item) for item in value]
        if not isinstance(value, dict):
            return value
        found = {key: self.expanded(inner) for key, inner in value.items() if key != "says"}
        return {**found, **self.says(value["says"])} if isinstance(value.get("says"), str) else found

    def own(self) -> Json:
        """The keys that Hugging Face has no name for."""
        return {
            name: {
                **{k: v for k, v in self.run[name].items() if k in ("type", "enum", "minimum", "maximum")},
                **self.says(name),
            }
            for name in self.hand["own"]
        }

    def renamed(self) -> Json:
        """The names of the past, each with what became of it."""
        found = {}
        for name, about in self.hand["renamed"].items():
            note = {key: about[key] for key in ("to", "since", "note") if key in about}
            says = self.says(about["key"]) if "key" in about else {}
            described = {key: about[key] for key in ("type", "minimum") if key in about}
            if "like" in about:
                bounds = self.hand["bounds"].get(about["like"], {})
                described = {"type": self.run[about["like"]]["type"], **bounds}
            if described["type"] == "string" and name in ("torch_dtype", "evaluation_strategy"):
                described["type"] = ["string", "null"]
            words = {"values": about["sets"]} if "sets" in about else {}
            about_it = {**says.get(ABOUT, {}), **words, "renamed": note}
            found[name] = {**described, "deprecated": True, **says, ABOUT: about_it}
        return found

    def _field(self, cls: Any, field: dataclasses.Field[Any], kind: str, hint: Any) -> Json:
        described = typed(hint)
        if field.metadata.get("choices"):
            null = [None] if "null" in as_list(described["type"]) else []
            described = {"type": described["type"], "enum": [*field.metadata["choices"], *null]}
        described = {**self.hand["types"].get(field.name, described), **self.hand["bounds"].get(field.name, {})}
        default = self._effective(cls, field.name, default_of(field))
        if default is None or isinstance(default, str | int | float | bool | list):
            described["default"] = default
        return {**described, **self._meaning(cls, field.name, kind)}

    def _effective(self, cls: Any, name: str, default: Any) -> Any:
        return self.hand["effective_defaults"].get(cls.__name__, {}).get(name, default)

    def _meaning(self, cls: Any, name: str, kind: str) -> Json:
        keys = {**self.hand["keys"].get(kind, {})}
        key = name if name in keys.get("same", []) else keys.get(name)
        if not key:
            return {"description": f"Field of {cls.__name__}."}
        said = self.says(key)
        rank = {"rank": self.hand["ranks"][name]} if name in self.hand["ranks"] else {}
        return {**said, ABOUT: {**said[ABOUT], **rank}}


def default_of(field: dataclasses.Field[Any]) -> Any:
    """A field's default as plain data, None if it has none."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    default = None if field.default is dataclasses.MISSING else field.default
    return default.value if isinstance(default, enum.Enum) else default


def typed(hint: Any) -> Json:
    """What a type annotation admits."""
    kinds: set[str] = set()
    choices: list[Any] = []
    item = None
    for part in members(hint):
        origin = typing.get_origin(part) or part
        if origin is typing.Literal:
            kinds |= {JSON_TYPES[type(value)] for value in typing.get_args(part)}
            choices += typing.get_args(part)
        elif isinstance(origin, type) and issubclass(origin, enum.Enum):
            kinds.add("string")
            choices += [member.value for member in origin]
        elif origin in (list, tuple):
            kinds.add("array")
            inner = [JSON_TYPES.get(argument) for argument in typing.get_args(part)]
            item = inner[0] if len(inner) == 1 else None
        else:
            kinds.add(JSON_TYPES.get(origin, "object"))
    described: Json = {"type": sorted(kinds) if len(kinds) > 1 else next(iter(kinds))}
    is_pattern = any("[" in str(choice) for choice in choices)
    if choices and kinds <= {"string", "null"} and not is_pattern:
        described["enum"] = [*dict.fromkeys(choices), *([None] if "null" in kinds else [])]
    return {**described, "items": {"type": item}} if item else described


def widen(described: Json, other: Json) -> None:
    """Let `described` also take what `other` takes."""
    if "type" not in other or "type" not in described:
        return
    kinds = list(dict.fromkeys([*as_list(described["type"]), *as_list(other["type"])]))
    if "enum" in described and "enum" in other:
        described["enum"] = list(dict.fromkeys([*described["enum"], *other["enum"]]))
    else:
        described.pop("enum", None)
    described["type"] = kinds[0] if len(kinds) == 1 else kinds
    for bound in ("minimum", "maximum", "exclusiveMinimum"):
        if described.get(bound) != other.get(bound):
            described.pop(bound, None)


def as_list(value: Any) -> list[Any]:
    """A JSON Schema `type` as a list."""
    return value if isinstance(value, list) else [value]


def members(hint: Any) -> list[Any]:
    """The members of a (nested) union."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [part for argument in typing.get_args(hint) for part in members(argument)]
    return [hint]
