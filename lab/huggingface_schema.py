"""Writes schemas/huggingface.schema.json from the installed transformers, TRL, peft and what stands in huggingface_schema.yaml.

Usage, in an environment that has those packages: `python lab/huggingface_schema.py > schemas/huggingface.schema.json`.
Names, types, choices and defaults are the packages' own; only what bears on memory is said by hand.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib.metadata
import inspect
import json
import os
import sys
import types
import typing
from typing import Any

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
JSON_TYPES: dict[Any, str] = {
    int: "integer", float: "number", bool: "boolean", str: "string", dict: "object", list: "array", tuple: "array",
    type(None): "null",
}
TRL_CONFIGS = ("SFTConfig", "DPOConfig", "RewardConfig", "KTOConfig", "GRPOConfig", "RLOOConfig")
OWN = {
    "trainer": "Which trainer runs this config; inferred from the class or from keys that only one has when absent.",
    "prepare_model_for_kbit_training": "Whether peft's prepare_model_for_kbit_training is called on the quantised model.",
    "padding": "Whether batches carry a mask with padding in it; true unless packed or padding-free.",
    "max_length": "Tokens per sequence after truncation.",
}


class Builder:
    """Collects the definitions; `hand` is the YAML beside this file, `run` the canonical vocabulary."""

    def __init__(self, hand: dict[str, Any], run: dict[str, Any]) -> None:
        self.hand = hand
        self.run = run["properties"]
        self.definitions: dict[str, dict[str, Any]] = {}

    def schema(self) -> dict[str, Any]:
        """The whole schema."""
        self._classes()
        self._functions()
        self._groups()
        self.definitions["python"] = self._python()
        root = self._root()
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": "urn:vramlint:huggingface",
            "title": "huggingface",
            "description": "Training configs in Hugging Face's names: TRL's command line, alignment-handbook, open-r1, "
            "keyword arguments of transformers, TRL and peft, in YAML, TOML, JSON and Python.",
            "type": "object",
            "x-vramlint": self._about(),
            "properties": root,
            "additionalProperties": False,
            "$defs": self.definitions,
        }

    def _classes(self) -> None:
        import peft
        import transformers
        import trl
        from transformers import BitsAndBytesConfig

        base = transformers.TrainingArguments
        fields = {f.name: self._field(base, f, "training") for f in dataclasses.fields(base)}
        for name in TRL_CONFIGS:  # what any class of the family takes as null, the shared definition does
            for f in dataclasses.fields(getattr(trl, name)):
                if f.name in fields:
                    widen(fields[f.name], self._field(getattr(trl, name), f, "training"))
        fields |= self._own() | self._renamed(without=("bnb_4bit_use_double_quant",))
        self.definitions["training_fields"] = {"properties": fields}
        self._define(base, {}, "transformers", base="training_fields", positional=["output_dir"])
        for name in TRL_CONFIGS:
            cls = getattr(trl, name)
            own = {}
            for f in dataclasses.fields(cls):
                described = self._field(cls, f, "trl" if f.name in self.hand["keys"]["trl"]["same"] else "training")
                shared = fields.get(f.name, {})
                if f.name not in fields or f.name == "max_length":
                    own[f.name] = described
                elif described.get("default") != shared.get("default"):
                    own[f.name] = {k: v for k, v in described.items() if k in ("default", "description", "x-vramlint")}
            self._history(own, "TRL", name)
            self._define(cls, own, "trl", base="training_fields", positional=["output_dir"])
        self._history(fields, "TrainingArguments")
        for cls, library in ((trl.ModelConfig, "trl"), (peft.LoraConfig, "peft")):
            own = {f.name: self._field(cls, f, cls.__name__) for f in dataclasses.fields(cls)}
            self._history(own, cls.__name__)
            self._define(cls, own, library)
        self.definitions["LoraConfig"]["x-vramlint"]["sets"] = {"use_peft": True}
        self._define(BitsAndBytesConfig, self._signature(BitsAndBytesConfig), "transformers")
        script = {name: {"type": kind, "description": "Key of the training scripts of TRL, alignment-handbook, open-r1 "
                         "and transformers."} for name, kind in self.hand["script"].items()}
        self.definitions["script"] = {"properties": script}

    def _functions(self) -> None:
        attention = {"type": ["string", "object", "null"], "default": None, **self._says("attn_implementation")}
        name = {"type": "string", **self._says("model_name_or_path")}
        dtype = {"type": ["string", "null"], "default": "auto", **self._says("dtype")}
        loading = {
            "pretrained_model_name_or_path": name, "dtype": dtype, "attn_implementation": attention,
            "torch_dtype": self._renamed()["torch_dtype"] | {"type": ["string", "null"]},
            "quantization_config": {"$ref": "#/$defs/BitsAndBytesConfig"},
            "load_in_4bit": {"type": "boolean", **self._says("load_in_4bit")},
            "load_in_8bit": {"type": "boolean", **self._says("load_in_8bit")},
            "use_flash_attention_2": self._renamed()["use_flash_attention_2"],
        }
        loading["torch_dtype"].pop("enum", None)
        self._history(loading, "from_pretrained")
        self._def("from_pretrained", {"properties": loading}, "transformers", positional=["pretrained_model_name_or_path"])
        self._def("create_model_from_path", {"properties": {
            "model_id": name, "dtype": dict(dtype, default="float32"), "attn_implementation": attention,
        }}, "trl")
        self._history(self.definitions["create_model_from_path"]["properties"], "create_model_from_path")
        self._def("prepare_model_for_kbit_training", {"properties": {
            "use_gradient_checkpointing": {"type": "boolean", "x-vramlint": {"key": "_prepare_checkpointing"}},
            "gradient_checkpointing_kwargs": {"properties": {
                "use_reentrant": {"type": "boolean", "x-vramlint": {"key": "_prepare_reentrant"}}}},
        }}, "peft", positional=["model", "use_gradient_checkpointing"], sets={"prepare_model_for_kbit_training": True})
        self._def("get_peft_model", {"properties": {
            "autocast_adapter_dtype": {"type": "boolean", "default": True, **self._says("autocast_adapter_dtype")},
        }}, "peft", positional=["model", "peft_config"], sets={"use_peft": True})
        self._def("ParallelismConfig", self._parallelism(), "accelerate")
        self._def("tokenizer", {"properties": {"max_length": self._length(1)}}, None)
        self._def("collator", {"properties": {"max_length": self._length(2)}}, None)
        self._def("from_pretrained_tokenizer", {"properties": {"model_max_length": self._length(3)}}, None)
        self._def("gradient_checkpointing_enable", {"properties": {"gradient_checkpointing_kwargs": {"properties": {
            "use_reentrant": {"type": "boolean", "x-vramlint": {"key": "_enabled_reentrant"}}}}}}, None,
            sets={"_enabled_checkpointing": True})

    def _groups(self) -> None:
        training = self._union(["training_fields", *TRL_CONFIGS])
        names = {n: {"type": "string", **self._says("model_name_or_path")} for n in (
            "model_name_or_path", "name_or_path", "pretrained_model_name_or_path", "name", "model_id", "model_name", "path")}
        switch = {n: {"type": "boolean", **self._says("use_peft")} for n in ("enabled", "use_lora", "use_peft")}
        short = {
            "rank": {"$ref": "#/$defs/LoraConfig/properties/r"}, "alpha": {"$ref": "#/$defs/LoraConfig/properties/lora_alpha"},
            "dropout": {"$ref": "#/$defs/LoraConfig/properties/lora_dropout"}}
        model = self._union(["ModelConfig", "from_pretrained"])
        loose = {
            "training": training,
            "model": model | names | {"max_length": {"$ref": "#/$defs/training_fields/properties/max_length"},
                                      "prepare_model_for_kbit_training": {"$ref": "#/$defs/training_fields/properties/prepare_model_for_kbit_training"}},
            "lora": self._union(["LoraConfig", "ModelConfig"]) | short | switch,
            "quantization": self._union(["BitsAndBytesConfig", "ModelConfig"]),
        }
        own = {k: {"$ref": f"#/$defs/training_fields/properties/{k}"} for k in OWN}
        for name in dict.fromkeys(self.hand["groups"].values()):
            self.definitions[f"{name}_group"] = {
                "$ref": f"#/$defs/{name}", "properties": {k: v for k, v in own.items() if k not in self.definitions[name]["properties"]},
                "unevaluatedProperties": False}
        inner = self._inner()
        for name, properties in loose.items():
            about = {"sets": {"use_peft": True}} if name == "lora" else {}
            self.definitions[f"{name}_group"] = {
                "x-vramlint": about, "properties": {k: v for k, v in inner.items() if k not in properties} | own | properties}

    def _root(self) -> dict[str, Any]:
        every = ["training_fields", *TRL_CONFIGS, "ModelConfig", "LoraConfig", "BitsAndBytesConfig", "script"]
        flat = self._union(every)
        groups = self._inner()
        return {k: v for k, v in flat.items() if k not in groups} | groups

    def _inner(self) -> dict[str, Any]:
        """The groups by the names that people give them."""
        return {n: {"$ref": f"#/$defs/{c}_group"} for n, c in (self.hand["groups"] | self.hand["loose_groups"]).items()}

    def _python(self) -> dict[str, Any]:
        calls: dict[str, Any] = {}
        for name in ("TrainingArguments", *TRL_CONFIGS, "ModelConfig", "LoraConfig", "BitsAndBytesConfig", "ParallelismConfig",
                     "prepare_model_for_kbit_training", "get_peft_model"):
            calls[name] = f"#/$defs/{name}"
        calls["Seq2SeqTrainingArguments"] = "#/$defs/training_fields"
        for name in ("DataCollatorForSeq2Seq", "DataCollatorWithPadding", "DataCollatorForLanguageModeling"):
            calls[name] = "#/$defs/collator"
        for trainer, about in self.hand["trainers"].items():
            for name in about["python"]:
                self.definitions[name] = self._trainer(trainer)
                calls[name] = f"#/$defs/{name}"
        closed = {"TrainingArguments", "Seq2SeqTrainingArguments", *TRL_CONFIGS, "ModelConfig", "LoraConfig", "BitsAndBytesConfig"}
        patterns = {
            rf"^{name}\(\)(#\d+)?$": {"$ref": ref} | ({"unevaluatedProperties": False} if name in closed - {"Seq2SeqTrainingArguments"} else {})
            for name, ref in calls.items()}
        loads = r"^(AutoModel\w*|\w+For(CausalLM|SequenceClassification|ConditionalGeneration|ImageTextToText)|\w+LMHeadModel)"
        patterns[loads + r"\.from_pretrained\(\)(#\d+)?$"] = {"$ref": "#/$defs/from_pretrained"}
        patterns[r"^(Auto|\w+)(Tokenizer|TokenizerFast|Processor)\.from_pretrained\(\)(#\d+)?$"] = {
            "$ref": "#/$defs/from_pretrained_tokenizer"}
        patterns[r"^(tokenizer|\w+_tokenizer|processor|self\.tokenizer|tokenizer\.encode|tokenizer\.batch_encode_plus|"
                 r"tokenizer\.apply_chat_template)\(\)(#\d+)?$"] = {"$ref": "#/$defs/tokenizer"}
        patterns[r"\.gradient_checkpointing_enable\(\)(#\d+)?$"] = {"$ref": "#/$defs/gradient_checkpointing_enable"}
        constants = {}
        for stem in ("max_length", "max_len", "max_seq_length", "max_seq_len", "max_sequence_length", "seq_length", "seq_len",
                     "sequence_length", "sequence_len", "cutoff_len", "block_size", "context_length", "ctx_len"):
            constants[stem] = constants[stem.upper()] = self._length(4)
        return {"x-vramlint": {}, "properties": constants, "patternProperties": patterns}

    def _trainer(self, trainer: str) -> dict[str, Any]:
        properties: dict[str, Any] = {
            "model": {"x-vramlint": {"key": "model_name_or_path", "rank": 5}},
            "peft_config": {"x-vramlint": {"given": {"use_peft": True}}},
        }
        positional = ["model", "args"]
        if trainer in ("trl-dpo", "trl-kto"):
            properties["ref_model"] = {"x-vramlint": {"given": {"reference_model": True}}}
            positional = ["model", "ref_model", "args"]
        if trainer == "transformers":
            properties = {}
        elif trainer == "trl-sft":
            properties["max_seq_length"] = self._renamed()["max_seq_length"]
            properties["packing"] = {"$ref": "#/$defs/SFTConfig/properties/packing"}
        return {"x-vramlint": {"trainer": trainer, "positional": positional}, "properties": properties}

    def _about(self) -> dict[str, Any]:
        trainers = {}
        for name, about in self.hand["trainers"].items():
            config = about.get("config")
            trainers[name] = {
                "flat": about.get("classes") or [config, "TrainingArguments", "ModelConfig", "LoraConfig", "BitsAndBytesConfig"],
                "nested": about.get("classes") or [config, "TrainingArguments", "LoraConfig", "BitsAndBytesConfig", "create_model_from_path"],
                "config": config or "TrainingArguments",
            }
        return {
            "roots": {"python": "#/$defs/python", "": "#"},
            "trainers": trainers,
            "told_by": self._told_by(),
            "told_by_value": self.hand["told_by_value"],
            "foreign": self.hand["foreign"],
            "required": ["model_name_or_path"],
            "recognise": {
                "model": ["model_name_or_path"],
                "loaded": ["model.pretrained_model_name_or_path", "model.name_or_path", "model.name", "model.model_id", "model.model_name", "model.path"],
                "training": ["per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps",
                    "gradient_checkpointing", "lr_scheduler_type", "num_train_epochs", "learning_rate", "max_steps", "eval_strategy",
                    "evaluation_strategy", "save_strategy", "logging_steps", "save_total_limit", "training_arguments", "training_args",
                    "lora_r", "use_peft", "lora_target_modules", "bf16", "fp16", "optim", "packing", "max_seq_length", "beta",
                    "loss_type", "num_generations", "gradient_checkpointing_kwargs", "use_liger_kernel", "deepspeed"],
                "batch": ["per_device_train_batch_size", "per_gpu_train_batch_size", "num_train_epochs", "eval_strategy"],
                "python": ["TrainingArguments()", "Seq2SeqTrainingArguments()", *(f"{c}()" for c in TRL_CONFIGS)],
                "any": [{"model": 1, "training": 1}, {"batch": 1, "training": 2}, {"loaded": 1, "training": 2, "batch": 1}, {"python": 1}],
                "not": [["base_model"], ["base_model_config"], ["finetuning_type"], ["stage", "template"], ["stage", "cutoff_len"],
                    ["model", "train_type"], ["model", "tuner_type"], ["use_slow_tokenizer"], ["use_flash_attn"], ["with_tracking"],
                    ["checkpointing_steps"], ["dataset_mixer_list"], ["model.model_name", "training.trainer_type"],
                    ["training.trainer_type"], ["sft_tuner_type"], ["micro_batch_size", "global_batch_size"],
                    ["train_micro_batch_size_per_gpu"], ["FastLanguageModel.from_pretrained()"], ["FastModel.from_pretrained()"],
                    ["FastVisionModel.from_pretrained()"], ["model._target_"], ["recipe", "step_scheduler"]],
            },
        }

    def _told_by(self) -> dict[str, list[str]]:
        """For each field that not every trainer has: the trainers that have it."""
        told: dict[str, list[str]] = {k: list(v) for k, v in self.hand["told_by"].items()}
        fields = self.definitions["training_fields"]["properties"]
        for name, about in self.hand["trainers"].items():
            for field in self.definitions[about.get("config") or "TrainingArguments"].get("properties", {}):
                if field not in fields and field not in self.hand["tells_nothing"] and name not in told.get(field, []):
                    told.setdefault(field, []).append(name)
        every_trl = [n for n in self.hand["trainers"] if n != "transformers"]
        for field in self.hand["trl_script"]:
            told.setdefault(field, every_trl)
        return {k: sorted(v) for k, v in told.items()}

    def _define(self, cls: type, own: dict[str, Any], library: str, base: str | None = None, positional: list[str] | None = None) -> None:
        body: dict[str, Any] = {"$ref": f"#/$defs/{base}"} if base else {}
        self._def(cls.__name__, body | {"properties": own}, library, positional)

    def _def(self, name: str, body: dict[str, Any], library: str | None, positional: list[str] | None = None, sets: Any = None) -> None:
        about: dict[str, Any] = {}
        if library:
            about["from"] = f"{name} of {library} {importlib.metadata.version(library)}"
        if positional:
            about["positional"] = positional
        if sets:
            about["sets"] = sets
        self.definitions[name] = {"x-vramlint": about, **body}

    def _field(self, cls: type, field: dataclasses.Field[Any], kind: str) -> dict[str, Any]:
        described = self._type(cls, field.name, typing.get_type_hints(cls)[field.name])
        if field.metadata.get("choices"):
            choices = list(field.metadata["choices"])
            described = {"type": described["type"], "enum": choices + ([None] if "null" in as_list(described["type"]) else [])}
        hand = self.hand["types"].get(field.name)
        if hand:
            described = self._special(hand)
        described |= self.hand["bounds"].get(field.name, {})
        default = field.default if field.default is not dataclasses.MISSING else (
            field.default_factory() if field.default_factory is not dataclasses.MISSING else None)
        default = default.value if isinstance(default, enum.Enum) else default
        default = self.hand["effective_defaults"].get(cls.__name__, {}).get(field.name, default)
        if default is None or isinstance(default, str | int | float | bool) or (isinstance(default, list | dict) and cls.__name__ != "LoraConfig"):
            described["default"] = default
        keys = self.hand["keys"].get(kind, {})
        key = field.name if field.name in keys.get("same", []) else keys.get(field.name)
        return described | (self._says(key) if key else {"description": f"Field of {cls.__name__}."})

    def _signature(self, cls: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, parameter in inspect.signature(cls.__init__).parameters.items():
            if name in ("self", "kwargs"):
                continue
            hand = self.hand["types"].get(name)
            default = self.hand["effective_defaults"].get(cls.__name__, {}).get(name, parameter.default)
            described = self._special(hand) if hand else {"type": JSON_TYPES[type(default)]}
            key = name if name in self.hand["keys"][cls.__name__]["same"] else None
            found[name] = described | {"default": default} | (self._says(key) if key else {"description": f"Argument of {cls.__name__}."})
        return found

    def _special(self, hand: dict[str, Any]) -> dict[str, Any]:
        if "dtype" in hand:
            return {"type": ["string", "null"], "enum": [*self.hand["values"]["dtype"], *(w for w in ("auto", "bfloat16", "float16", "float32"))][1:] + [None]}
        if "deepspeed" in hand:
            offload = {"properties": {"device": {"type": "string", "x-vramlint": {}}}}
            zero = {"stage": {"type": "integer", "enum": [0, 1, 2, 3], **self._says("zero_stage")}}
            for name in ("offload_optimizer", "offload_param"):
                about = {"key": name, "values": {"cpu": True, "nvme": True, "none": False}}
                zero[name] = {"properties": {"device": dict(offload["properties"]["device"], **{"x-vramlint": about})}}
            return {"type": ["string", "object", "null"], "properties": {"zero_optimization": {"properties": zero}}}
        if "checkpointing_kwargs" in hand:
            return {"type": ["object", "string", "null"], "properties": {"use_reentrant": {"type": "boolean", **self._says("use_reentrant")}}}
        if "model_init_kwargs" in hand:
            return {"type": ["object", "string", "null"], "$ref": "#/$defs/from_pretrained"}
        if "parallelism_config" in hand:
            return {"type": ["object", "null"], **self._parallelism()}
        return dict(hand)

    def _parallelism(self) -> dict[str, Any]:
        return {"properties": {
            "tp_size": {"type": "integer", "minimum": 1, **self._says("tensor_parallel_size")},
            "cp_size": {"type": "integer", "minimum": 1, **self._says("context_parallel_size")},
        }}

    def _type(self, cls: type, name: str, hint: Any) -> dict[str, Any]:
        kinds, choices, item = set(), [], None
        for part in flatten(hint):
            origin = typing.get_origin(part) or part
            if origin is typing.Literal:
                kinds |= {JSON_TYPES[type(value)] for value in typing.get_args(part)}
                choices += typing.get_args(part)
            elif isinstance(origin, type) and issubclass(origin, enum.Enum):
                kinds.add("string")
                choices += [member.value for member in origin]
            elif origin in (list, tuple):
                kinds.add("array")
                inner = [JSON_TYPES.get(a) for a in typing.get_args(part)]
                item = inner[0] if len(inner) == 1 and inner[0] else None
            elif origin is typing.Any or origin not in JSON_TYPES:
                kinds.add("object")
            else:
                kinds.add(JSON_TYPES[origin])
        described: dict[str, Any] = {"type": sorted(kinds) if len(kinds) > 1 else kinds.pop()}
        if choices and kinds <= {"string", "null"} and not any("[" in c for c in choices if isinstance(c, str)):
            described["enum"] = [*dict.fromkeys(choices), *([None] if "null" in kinds else [])]
        if item:
            described["items"] = {"type": item}
        return described

    def _says(self, key: str) -> dict[str, Any]:
        about: dict[str, Any] = {"key": key}
        if key in self.hand["values"]:
            about["values"] = self.hand["values"][key]
        return {"description": self.run[key]["description"], "x-vramlint": about}

    def _own(self) -> dict[str, Any]:
        found = {}
        for name, text in OWN.items():
            kind = {"type": "boolean"} if name in ("padding", "prepare_model_for_kbit_training") else {"type": "string", "enum": self.run["trainer"]["enum"]}
            if name == "max_length":
                kind = {"type": ["integer", "null"], **self.hand["bounds"]["max_length"]}
            found[name] = {**kind, "description": text, "x-vramlint": {"key": name}}
        return found

    def _length(self, rank: int) -> dict[str, Any]:
        about: dict[str, Any] = {"key": "_length", "rank": rank}
        return {"type": ["integer", "null"], **self.hand["bounds"]["max_length"], "x-vramlint": about}

    def _renamed(self, without: tuple[str, ...] = ()) -> dict[str, Any]:
        found = {}
        for name, about in self.hand["renamed"].items():
            if name in without or about.get("only"):
                continue
            note = {"to": about["to"], "since": about["since"]} | ({"note": about["note"]} if "note" in about else {})
            says = self._says(about["key"]) if about.get("key") in self.run else {"x-vramlint": {"key": "_" + about["key"]} if about.get("key") else {}}
            kind = {k: about[k] for k in ("type", "minimum") if k in about} or {"type": self._like(about["like"])}
            kind |= self.hand["bounds"].get(about.get("like"), {})
            sets = {"values": about["sets"]} if "sets" in about else {}
            found[name] = {**kind, "deprecated": True, **says, "x-vramlint": says["x-vramlint"] | sets | {"renamed": note}}
        return found

    def _like(self, name: str) -> Any:
        if name in ("dtype", "eval_strategy"):
            return ["string", "null"]
        if name in ("max_length",):
            return ["integer", "null"]
        return "boolean" if name.startswith(("use_", "load_")) else "integer"

    def _history(self, properties: dict[str, Any], *names: str) -> None:
        for place, entries in self.hand["history"].items():
            cls, _, field = place.partition(".")
            if cls in names and field in properties:
                properties[field] = dict(properties[field])
                properties[field]["x-vramlint"] = dict(properties[field]["x-vramlint"], history=entries)

    def _union(self, names: list[str]) -> dict[str, Any]:
        """A reference per field, or the merged definition where classes differ in more than the default."""
        found: dict[str, list[str]] = {}
        for name in names:
            for field, described in self.definitions[name]["properties"].items():
                if "type" in described or "$ref" in described or "properties" in described:
                    found.setdefault(field, []).append(f"{name}/properties/{field}")
        union = {}
        for field, places in found.items():
            described = [self.definitions[p.partition("/")[0]]["properties"][field] for p in places]
            first, *rest = [{k: v for k, v in d.items() if k not in ("default", "description")} for d in described]
            if all({k: v for k, v in other.items() if k != "x-vramlint"} == {k: v for k, v in first.items() if k != "x-vramlint"} for other in rest):
                union[field] = {"$ref": f"#/$defs/{places[0]}"}
            else:
                merged = {k: v for k, v in described[0].items() if k != "default"}
                for other in described[1:]:
                    widen(merged, other)
                union[field] = merged
        return union


def widen(described: dict[str, Any], other: dict[str, Any]) -> None:
    """Let `described` also take what `other` takes."""
    if "type" not in other or "type" not in described:
        return
    kinds = list(dict.fromkeys([*as_list(described["type"]), *as_list(other["type"])]))
    if "enum" in described and "enum" in other:
        described["enum"] = list(dict.fromkeys([*described["enum"], *other["enum"]]))
    elif "enum" in described or "enum" in other:
        described.pop("enum", None)
    described["type"] = kinds[0] if len(kinds) == 1 else kinds
    for bound in ("minimum", "maximum", "exclusiveMinimum"):
        if described.get(bound) != other.get(bound):
            described.pop(bound, None)


def as_list(value: Any) -> list[Any]:
    """A JSON Schema `type` as a list."""
    return value if isinstance(value, list) else [value]


def flatten(hint: Any) -> list[Any]:
    """The members of a (nested) union."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [part for argument in typing.get_args(hint) for part in flatten(argument)]
    return [hint]


def dumped(value: Any, depth: int = 0) -> str:
    """JSON with one property a line: what a reviewer can read and a diff can show."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict) or (depth > 2 and len(line) <= 400) or len(line) <= 100:
        return line
    indent = " " * (depth + 1)
    inner = ",\n".join(f"{indent}{json.dumps(k, ensure_ascii=False)}: {dumped(v, depth + 1)}" for k, v in value.items())
    return "{\n" + inner + "\n" + " " * depth + "}"


def main() -> None:
    """Print the schema."""
    with open(os.path.join(HERE, "huggingface_schema.yaml"), encoding="utf-8") as file:
        hand = yaml.safe_load(file)
    with open(os.path.join(HERE, "..", "schemas", "run.schema.json"), encoding="utf-8") as file:
        run = json.load(file)
    sys.stdout.write(dumped(Builder(hand, run).schema()) + "\n")


if __name__ == "__main__":
    main()
