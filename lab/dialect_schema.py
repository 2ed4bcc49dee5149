"""Writes schemas/<name>.schema.json from a dump of a framework's argument classes and from lab/dialects/<name>.yaml.

Usage: `python -m lab.dialect_schema NAME [DUMP.json] > schemas/NAME.schema.json`. The dump holds what the framework's
source says, `{"file.py::Class": {"fields": {name: {"type", "default"}}}}` (read off with `ast`); names, types and
defaults come from there, and only what bears on memory is said by hand in the YAML.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from typing import Any

import yaml

from lab.huggingface_schema import dumped

HERE = os.path.dirname(os.path.abspath(__file__))
ABOUT = "x-vramlint"
Json = dict[str, Any]
SIMPLE = {
    "str": "string", "int": "integer", "float": "number", "bool": "boolean", "dict": "object", "Dict": "object",
    "list": "array", "List": "array", "None": "null", "tuple": "array",
}


class Builder:
    """One schema; `hand` is the YAML, `dump` the classes, `run` the canonical vocabulary."""

    def __init__(self, hand: Json, dump: Json, run: Json) -> None:
        self.hand = hand
        self.classes = {name.rpartition("::")[2]: body["fields"] for name, body in dump.items()}
        self.run = run

    def schema(self) -> Json:
        """The whole schema."""
        hand, name = self.hand, self.hand["name"]
        about = {"recognise": hand["recognise"], **hand.get("about", {})}
        built: Json = {
            "$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:vramlint:{name}", "title": name,
            "description": hand["description"], "type": "object", ABOUT: about,
        }
        if "base" in hand:
            built["$ref"] = hand["base"]
        built["properties"] = self.properties(hand.get("classes", []), hand.get("keys", {}))
        built |= {key: hand[key] for key in ("additionalProperties", "unevaluatedProperties") if key in hand}
        if "definitions" in hand:
            built["$defs"] = {key: self.fragment(body) for key, body in hand["definitions"].items()}
        return built

    def properties(self, classes: list[str], keys: Json) -> Json:
        """The fields of the classes, the later winning, with what the hand says over them."""
        found: Json = {}
        for name in classes:
            for field, described in self.classes[name].items():
                if not field.startswith("model_config"):
                    found[field] = self.field(described)
        for field, said in keys.items():
            known = found.get(field, {})
            found[field] = self.fragment(said, known)
        return found

    def field(self, described: Json) -> Json:
        """A field as its annotation and default say."""
        made = taken(described["type"])
        default = described["default"]
        if self.hand.get("loose_lists") and "array" in made.get("type", []) and "string" not in made["type"]:
            made["type"] = [*made["type"], "string"]
        if isinstance(default, str) and default.startswith(("expr:", "factory:", "<required>")):
            return made
        if default is None and "type" in made and "null" not in made["type"]:
            made["type"] = [*made["type"], "null"]
        if self.hand.get("nullable") and "type" in made and "null" not in made["type"]:
            made["type"] = [*made["type"], "null"]
        if "enum" in made and "null" in made.get("type", []) and None not in made["enum"]:
            made["enum"] = [*made["enum"], None]
        return made if default is None else {**made, "default": default}

    def fragment(self, said: Any, known: Json | None = None) -> Json:
        """What the hand says of a key: `key` (canonical or a mark), `values` and so on go into x-vramlint."""
        if isinstance(said, str):
            said = {"key": said}
        made = dict(known or {})
        about = {k: said[k] for k in ("key", "values", "rank", "renamed", "given", "sets", "source", "history", "from",
                                      "trainer", "positional", "values_only", "refers", "matches") if k in said}
        for key, value in said.items():
            if key == "properties":
                made[key] = {**made.get(key, {}), **{name: self.fragment(inner) for name, inner in value.items()}}
            elif key == "patternProperties":
                made[key] = {name: self.fragment(inner) for name, inner in value.items()}
            elif key == "class":
                made.pop("type", None)
                own = self.properties([value], {})
                made = {**made, "type": ["object", "null"], "properties": {**own, **made.get("properties", {})}}
            elif key not in about and key != "plain":
                made[key] = value
        if isinstance(made.get("type"), list) and len(made["type"]) == 1:
            made["type"] = made["type"][0]
        described = self.run["properties"].get(said.get("key"))
        if described and "description" not in made:
            made["description"] = described["description"]
        if about or said.get("plain"):  # plain: what a base says of the key does not hold here
            made[ABOUT] = about
        if "default" in said and said["default"] == "none":
            del made["default"]
        return made


def taken(annotation: str) -> Json:
    """The types and words of a Python annotation; nothing where it says too little."""
    try:
        tree = ast.parse(annotation.strip() or "Any", mode="eval").body
    except SyntaxError:
        return {}
    kinds, words = _kinds(tree)
    if kinds is None:
        return {}
    made: Json = {"type": list(dict.fromkeys(kinds))}
    if words is not None and not set(kinds) - {"null"} - {_kind_of(w) for w in words}:
        made["enum"] = words
    return made


def _kinds(node: ast.expr) -> tuple[list[str] | None, list[Any] | None]:
    if isinstance(node, ast.BinOp):
        return _union([node.left, node.right])
    if isinstance(node, ast.Constant) and node.value is None:
        return ["null"], None
    if isinstance(node, ast.Name):
        return ([SIMPLE[node.id]], None) if node.id in SIMPLE else (None, None)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if node.value.id == "Literal":
            words = [item.value for item in inner if isinstance(item, ast.Constant)]
            return [_kind_of(word) for word in words], words
        if node.value.id in ("Optional", "Union"):
            more = [ast.Constant(None)] if node.value.id == "Optional" else []
            return _union([*inner, *more])
        if node.value.id in SIMPLE:
            return [SIMPLE[node.value.id]], None
    return None, None


def _union(nodes: list[ast.expr]) -> tuple[list[str] | None, list[Any] | None]:
    kinds: list[str] = []
    words: list[Any] | None = None
    for node in nodes:
        more, said = _kinds(node)
        if more is None:
            return None, None
        kinds += more
        words = [*(words or []), *said] if said else words
    if words is not None and "boolean" in kinds:
        words += [True, False]
    if words is not None and "null" in kinds:
        words.append(None)
    return kinds, words


def _kind_of(word: Any) -> str:
    if isinstance(word, bool):
        return "boolean"
    return {str: "string", int: "integer", float: "number", type(None): "null"}[type(word)]


def main() -> None:
    """Print the schema."""
    name = sys.argv[1]
    if not re.fullmatch(r"[\w-]+", name):
        raise SystemExit("the name of a dialect is expected")
    with open(os.path.join(HERE, "dialects", f"{name}.yaml"), encoding="utf-8") as file:
        hand = yaml.safe_load(file)
    dump: Json = {}
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            dump |= json.load(file)
    with open(os.path.join(HERE, "..", "schemas", "run.schema.json"), encoding="utf-8") as file:
        run = json.load(file)
    sys.stdout.write(dumped(Builder({"name": name, **hand}, dump, run).schema()) + "\n")


if __name__ == "__main__":
    main()
