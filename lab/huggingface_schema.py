"""Writes schemas/huggingface.schema.json from the installed transformers, TRL, peft, and from huggingface_schema.yaml.

Usage, in an environment with those packages: `python -m lab.huggingface_schema > schemas/huggingface.schema.json`.
Names, types, choices and defaults are the packages' own; only what bears on memory is said by hand.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from typing import Any

import yaml

from lab.huggingface_fields import ABOUT, Fields, Json, widen

HERE = os.path.dirname(os.path.abspath(__file__))
TRL_CONFIGS = ("SFTConfig", "DPOConfig", "RewardConfig", "KTOConfig", "GRPOConfig", "RLOOConfig")
FLAT = ("training_fields", *TRL_CONFIGS, "ModelConfig", "LoraConfig", "BitsAndBytesConfig", "script")
CALL = r"\(\)(#\d+)?$"


class Builder:
    """Collects the definitions; `hand` is the YAML beside this file, `run` the canonical vocabulary."""

    def __init__(self, hand: Json, run: Json) -> None:
        self.hand = hand
        self.fields = Fields(hand, run["properties"])
        hand["types"] = self.fields.expanded(hand["types"])
        self.definitions: dict[str, Json] = {}

    def schema(self) -> Json:
        """The whole schema."""
        self._classes()
        for name, body in self.fields.expanded(self.hand["definitions"]).items():
            library = body.get(ABOUT, {}).get("from")
            about = {**body.get(ABOUT, {}), **({"from": origin(name, library)} if library else {})}
            self._define(name, {**body, ABOUT: about})
        self._groups()
        self.definitions["python"] = self._python()
        groups = self._group_names()
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": "urn:vramlint:huggingface",
            "title": "huggingface",
            "description": "Training configs in Hugging Face's names: TRL's command line, alignment-handbook, open-r1, "
            "keyword arguments of transformers, TRL and peft, in YAML, TOML, JSON and Python.",
            "type": "object",
            ABOUT: self._about(),
            "properties": {**{k: v for k, v in self._union(FLAT).items() if k not in groups}, **groups},
            "additionalProperties": False,
            "$defs": self.definitions,
        }

    def _classes(self) -> None:
        import peft
        import transformers
        import trl

        fields = self.fields.of_class(transformers.TrainingArguments, "training")
        derived = {name: self.fields.of_class(getattr(trl, name), "training") for name in TRL_CONFIGS}
        for described in derived.values():  # what any class of the family takes as null, the shared field does
            for name, field in described.items():
                if name in fields:
                    widen(fields[name], field)
        own = self.fields.own()
        self._define("training_fields", {"properties": {**fields, **own, **self.fields.renamed()}})
        positional = {"positional": ["output_dir"]}
        base = {"$ref": "#/$defs/training_fields"}
        about = {"from": origin("TrainingArguments", "transformers"), **positional}
        self._define("TrainingArguments", {ABOUT: about, **base, "properties": {}})
        for name in TRL_CONFIGS:
            properties = {}
            for field, described in self.fields.of_class(getattr(trl, name), "trl").items():
                if field not in fields:
                    properties[field] = described
                elif described.get("default") != fields[field].get("default"):
                    meaning = {k: fields[field][k] for k in ("description", ABOUT) if k in fields[field]}
                    properties[field] = {"default": described.get("default"), **meaning}
            about = {"from": origin(name, "trl"), **positional}
            self._define(name, {ABOUT: about, **base, "properties": properties}, "TRL")
        self._history(fields, "TrainingArguments")
        self._define("training_fields", {"properties": {**fields, **own, **self.fields.renamed()}})
        for cls, library in ((trl.ModelConfig, "trl"), (peft.LoraConfig, "peft")):
            own_fields = self.fields.of_class(cls, cls.__name__)
            self._define(cls.__name__, {ABOUT: {"from": origin(cls.__name__, library)}, "properties": own_fields})
        self.definitions["LoraConfig"][ABOUT]["sets"] = {"use_peft": True}
        quantised = self.fields.of_signature(transformers.BitsAndBytesConfig)
        about = {"from": origin("BitsAndBytesConfig", "transformers")}
        self._define("BitsAndBytesConfig", {ABOUT: about, "properties": quantised})
        says = "Key of the training scripts of TRL, alignment-handbook, open-r1 and transformers."
        script = {name: {"type": kind, "description": says} for name, kind in self.hand["script"].items()}
        self._define("script", {"properties": script})

    def _groups(self) -> None:
        """Closed groups of the classes, which also take our own keys, and loose ones of several classes."""
        own = {name: {"$ref": f"#/$defs/training_fields/properties/{name}"} for name in self.hand["own"]}
        for name in dict.fromkeys(self.hand["groups"].values()):
            more = {key: value for key, value in own.items() if key not in self.definitions[name]["properties"]}
            closed = {"$ref": f"#/$defs/{name}", "properties": more, "unevaluatedProperties": False}
            self.definitions[f"{name}_group"] = closed
        inner = self._group_names()
        for name, classes in self.hand["loose_classes"].items():
            named = self.fields.expanded(self.hand["loose_names"].get(name, {}))
            properties = {**inner, **own, **self._union(classes), **named}
            about = {ABOUT: {"sets": {"use_peft": True}}} if name == "lora" else {}
            self.definitions[f"{name}_group"] = {**about, "properties": properties}

    def _group_names(self) -> Json:
        """The groups by the names that people give them."""
        named = {**self.hand["groups"], **self.hand["loose_groups"]}
        return {name: {"$ref": f"#/$defs/{kind}_group"} for name, kind in named.items()}

    def _python(self) -> Json:
        calls = self.hand["calls"]
        patterns: Json = {}
        for name in calls["closed"]:
            patterns[f"^{name}{CALL}"] = {"$ref": f"#/$defs/{name}", "unevaluatedProperties": False}
        for name in calls["open"]:
            patterns[f"^{name}{CALL}"] = {"$ref": f"#/$defs/{name}"}
        for pattern, name in calls["named"].items():
            patterns[pattern + CALL] = {"$ref": f"#/$defs/{name}"}
        length = {ABOUT: {"key": "_length", "rank": 4}}  # of any type: a name in a script promises nothing
        target = {ABOUT: {"key": "max_target_length", "rank": 4}}
        constants = {
            name: meant for kind, meant in (("length_constants", length), ("target_constants", target))
            for stem in calls[kind] for name in (stem, stem.upper())
        }
        return {ABOUT: {}, "properties": constants, "patternProperties": patterns}

    def _about(self) -> Json:
        trainers = {}
        for name, about in self.hand["trainers"].items():
            config = about["config"]
            shared = [config, "TrainingArguments"]
            flat = about.get("flat") or [*shared, "ModelConfig", "LoraConfig", "BitsAndBytesConfig"]
            nested = about.get("flat") or [*shared, "LoraConfig", "BitsAndBytesConfig", "create_model_from_path"]
            trainers[name] = {"config": config, "flat": flat, "nested": nested}
        return {
            "roots": {"python": "#/$defs/python", "": "#"}, "trainers": trainers, "told_by": self._told_by(),
            **{key: self.hand[key] for key in ("told_by_value", "elsewhere", "foreign", "recognise")},
            "required": ["model_name_or_path"],
        }

    def _told_by(self) -> dict[str, list[str]]:
        """For each field that not every trainer has: the trainers that have it."""
        told: dict[str, list[str]] = {key: list(names) for key, names in self.hand["told_by"].items()}
        fields = self.definitions["training_fields"]["properties"]
        for name, about in self.hand["trainers"].items():
            for field in self.definitions[about["config"]]["properties"]:
                is_telling = field not in fields and field not in self.hand["tells_nothing"]
                if is_telling and name not in told.get(field, []):
                    told.setdefault(field, []).append(name)
        every_trl = [name for name in self.hand["trainers"] if name != "transformers"]
        for field in self.hand["trl_script"]:
            told.setdefault(field, every_trl)
        return {key: sorted(names) for key, names in told.items()}

    def _define(self, name: str, body: Json, *also: str) -> None:
        self._history(body["properties"], name, *also)
        self.definitions[name] = body

    def _history(self, properties: Json, *names: str) -> None:
        """Note the defaults that older versions had."""
        for place, entries in self.hand["history"].items():
            cls, _, field = place.partition(".")
            if cls in names and field in properties:
                about = {**properties[field][ABOUT], "history": entries}
                properties[field] = {**properties[field], ABOUT: about}

    def _union(self, names: Any) -> Json:
        """A reference per field, or the merged definition where classes differ in more than the default."""
        found: dict[str, list[str]] = {}
        for name in names:
            for field, described in self.definitions[name]["properties"].items():
                if {"type", "$ref", "properties"} & set(described):
                    found.setdefault(field, []).append(name)
        union = {}
        for field, places in found.items():
            described = [self.definitions[place]["properties"][field] for place in places]
            if all(taken(other) == taken(described[0]) for other in described):
                union[field] = {"$ref": f"#/$defs/{places[0]}/properties/{field}"}
                continue
            merged = {key: value for key, value in described[0].items() if key != "default"}
            for other in described[1:]:
                widen(merged, other)
            union[field] = merged
        return union


def taken(described: Json) -> Json:
    """What a property takes, without what it means."""
    return {key: value for key, value in described.items() if key not in ("default", "description", ABOUT)}


def origin(name: str, library: str) -> str:
    """A class or function with its library and version, as findings name it."""
    return f"{name} of {library} {importlib.metadata.version(library)}"


def dumped(value: Any, depth: int = 0) -> str:
    """JSON with one property a line: what a reviewer can read and a diff can show."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict) or (depth > 2 and len(line) <= 400) or len(line) <= 100:
        return line
    indent = " " * (depth + 1)
    inner = [f"{indent}{json.dumps(key, ensure_ascii=False)}: {dumped(item, depth + 1)}" for key, item in value.items()]
    return "{\n" + ",\n".join(inner) + "\n" + " " * depth + "}"


def main() -> None:
    """Print the schema."""
    with open(os.path.join(HERE, "huggingface_schema.yaml"), encoding="utf-8") as file:
        hand = yaml.safe_load(file)
    with open(os.path.join(HERE, "..", "schemas", "run.schema.json"), encoding="utf-8") as file:
        run = json.load(file)
    sys.stdout.write(dumped(Builder(hand, run).schema()) + "\n")


if __name__ == "__main__":
    main()
