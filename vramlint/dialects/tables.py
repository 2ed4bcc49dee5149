"""A dialect's schema with its references followed: which keys an object has, what each means, which default it has."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vramlint.dataclass import dataclass
from vramlint.dialects.schemas import schema_json

Json = dict[str, Any]
ABOUT = "x-vramlint"
WHOLE = "#"
"""The class that is the schema's root with all that is nested in it."""
MOST_NESTED = 6


@dataclass(frozen=True, slots=True)
class Default:
    """A framework's default and the class that has it."""

    value: Any
    why: str


class Tables:
    """Look-ups in one schema. Nodes of the JSON are known by identity, since it is loaded once and never changed."""

    def __init__(self, name: str, schema: Json) -> None:
        self.name = name
        self.schema = schema
        self.about: Json = schema.get(ABOUT, {})
        self._keys: dict[int, dict[str, Json]] = {}
        self._patterns: dict[int, list[tuple[re.Pattern[str], Json]]] = {}
        self._resolved: dict[int, Json] = {}
        self._defaults: dict[str, dict[str, Json]] = {}

    def root(self, file_format: str) -> Json:
        """The schema of a whole document of that format."""
        return self.at(self.root_reference(file_format))

    def root_reference(self, file_format: str) -> str:
        """Where in the schema that of a whole document of that format is."""
        roots: dict[str, str] = self.about.get("roots", {})
        return roots.get(file_format) or roots.get("", "#")

    def at(self, reference: str) -> Json:
        """The node that a reference `#/…` names."""
        node: Any = self.schema
        for step in reference.split("/")[1:]:
            node = node[step]
        found: Json = node
        return found

    def resolved(self, node: Json) -> Json:
        """The node with what it refers to beneath it; its own words win."""
        if "$ref" not in node:
            return node
        known = self._resolved.get(id(node))
        if known is None:
            base = self.resolved(self.at(node["$ref"]))
            own = {key: value for key, value in node.items() if key != "$ref"}
            about = {**base.get(ABOUT, {}), **own.get(ABOUT, {})}
            known = self._resolved[id(node)] = {**base, **own, ABOUT: about}
        return known

    def keys(self, node: Json) -> dict[str, Json]:
        """The properties of an object, those it refers to included."""
        known = self._keys.get(id(node))
        if known is None:
            known = {}
            if "$ref" in node:
                known.update(self.keys(self.at(node["$ref"])))
            for key, own in node.get("properties", {}).items():
                beneath = known.get(key)
                known[key] = {**self.resolved(beneath), **own} if beneath and "$ref" not in own else own
            self._keys[id(node)] = known
        return known

    def property(self, node: Json, key: str) -> Json | None:
        """What an object's key is, its references not yet followed; None if it has no such key."""
        found = self.keys(node).get(key)
        if found is None:
            found = next((own for pattern, own in self.patterns(node) if pattern.search(key)), None)
        return found

    def patterns(self, node: Json) -> list[tuple[re.Pattern[str], Json]]:
        """The `patternProperties` of an object, compiled: its own, then those of what it refers to."""
        known = self._patterns.get(id(node))
        if known is None:
            own = node.get("patternProperties") or {}
            known = [(re.compile(text), value) for text, value in own.items()]
            if "$ref" in node:
                known += self.patterns(self.at(node["$ref"]))
            self._patterns[id(node)] = known
        return known

    def default(self, key: str, classes: Sequence[str], stack: Mapping[str, str]) -> Default | None:
        """The default of a canonical key: that of the first class which has it, in the version that `stack` names."""
        for name in classes:
            found = self.class_keys(name).get(key)
            if found is not None:
                value = found["default"]
                for older in found.get(ABOUT, {}).get("history", ()):
                    if is_below(stack, older["below"]):
                        value = older["default"]
                meant = found.get(ABOUT, {}).get("values", {}).get(word(value), value)
                if meant == {}:  # a word that says nothing
                    continue
                return Default(meant.get(key) if isinstance(meant, dict) else meant, self._source(name, found))
        return None

    def class_keys(self, name: str) -> dict[str, Json]:
        """The properties of a class by canonical key, those with a default."""
        known = self._defaults.get(name)
        if known is None:
            known = self._defaults[name] = {}
            self._collect(self.schema if name == WHOLE else self.schema["$defs"][name], known, 0, nested=name == WHOLE)
        return known

    def marks(self, classes: Sequence[str]) -> list[str]:
        """The dialect's own facts among the keys that have a default."""
        return [key for name in classes for key in self.class_keys(name) if key.startswith("_")]

    def _collect(self, node: Json, known: dict[str, Json], depth: int, *, nested: bool) -> None:
        """The properties with a canonical key and a default; of a whole schema also those of the mappings in it."""
        inner = []
        for described in self.keys(node).values():
            own = self.resolved(described)
            key = own.get(ABOUT, {}).get("key")
            if key and "default" in own:
                known.setdefault(key, own)
            if nested and depth < MOST_NESTED and "properties" in own:
                inner.append(own)
        for own in inner:
            self._collect(own, known, depth + 1, nested=True)

    def _source(self, name: str, found: Json) -> str:
        """Whose default it is, as findings say it: the class, or the file that the property or the schema names."""
        own = found.get(ABOUT, {}).get("source")
        if name == WHOLE:
            return str(own or self.about.get("source", self.name))
        return str(own or self.resolved(self.schema["$defs"][name]).get(ABOUT, {}).get("from", name))


def is_below(stack: Mapping[str, str], bounds: Mapping[str, str]) -> bool:
    """Whether the stack names a library in a version below its bound; a stack that names none is the current one."""
    return any(name in stack and version(stack[name]) < version(bound) for name, bound in bounds.items())


def version(text: str) -> tuple[int, ...]:
    """The numbers of a version, `5.17.0` → (5, 17, 0)."""
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


@functools.cache
def tables(dialect: str) -> Tables:
    """The tables of a dialect. Raises `KeyError` if there is none of that name."""
    return Tables(dialect, schema_json(dialect))


def word(value: Any) -> str:
    """A written value as the schemas' value words spell it."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)
