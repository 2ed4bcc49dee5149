"""A Hugging Face document → `Run`: what is written, over the defaults of the classes that its trainer uses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from vramlint.dialects.huggingface import CLASS_OF_TRAINER, Layout, Place
from vramlint.dialects.modeline import stated_in
from vramlint.dialects.recognised import Origin
from vramlint.dialects.schema import canonical_key, default_in
from vramlint.dialects.validation import passes
from vramlint.run import Run, Value
from vramlint.source import UNKNOWN, Effective

FIELDS = {field.name: field for field in dataclasses.fields(Run)}
DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "float": "float32", "half": "float16"}
LORA_KEYS = frozenset({"r", "lora_r", "target_modules", "lora_target_modules", "lora_alpha"})
PROBES = ("is_bfloat16_supported", "is_bf16_supported")
TRL_MODEL_CLASSES = ("ModelConfig",)
SCRIPT_CLASSES = ("LoraConfig", "BitsAndBytesConfig")


class Normaliser:
    """Reads canonical keys off a layout. One per document; `run_for` gives the run under one trainer."""

    def __init__(
        self, schema: Mapping[str, Any], effective: Effective, layout: Layout, overrides: Mapping[str, Value],
    ) -> None:
        self._properties: Mapping[str, Any] = schema["properties"]
        self._effective = effective
        self._layout = layout
        self._overrides = overrides
        self._python = effective.file.format == "python"
        self.origins: dict[str, Origin] = {}
        self.unknown: dict[str, str] = {}
        self.values: dict[str, Value] = {}
        renamed = schema["x-vramlint"]["renamed"]
        for place in layout.places:
            self._take(place, renamed.get(place.name, place.name))
        for key, (value, span) in stated_in(effective.file).items():
            self.values[key] = value
            self.unknown.pop(key, None)
            self.origins[key] = Origin("written", span, span, None, "stated in a comment")
        for key, value in overrides.items():
            self.values[key] = value
            self.unknown.pop(key, None)
            self.origins[key] = Origin("set", why="given by --set")

    def _take(self, place: Place, name: str) -> None:
        entry = self._properties.get(name)
        marked = canonical_key(name, entry) if entry else None
        if entry is None or marked is None:
            return
        key, inner = marked
        source = place.entry
        path = place.path
        if inner is not None:
            node = self._effective.scalar(source.value).node
            found = self._effective.entries(node).get(inner) if node.kind == "map" else None
            if found is None:
                return
            source, path = found[0], (*path, inner)
        resolved = self._effective.scalar(source.value)
        span = source.value.span if source.value.span.start < source.value.span.end else source.key_span
        via = place.via or resolved.via
        self.origins[key] = Origin("written", via or source.key_span, via or span, path)
        if resolved.value is UNKNOWN and resolved.node.kind == "opaque":
            self._probe(key, resolved.node.why or "", resolved.why or "it cannot be read off the file")
            return
        data = self._effective.plain(source.value)
        if data is UNKNOWN or (isinstance(data, list) and any(item is UNKNOWN for item in data)):
            self.unknown[key] = resolved.why or "it cannot be known from this file"
            return
        value = self._canonical(key, data)
        if value is NotImplemented or not (passes(entry, data) or self._python or inner):
            self.unknown[key] = f"{name}: {data!r} is no value for it"
        else:
            self.values[key] = value

    def _probe(self, key: str, what: str, why: str) -> None:
        if key in ("bf16", "fp16") and any(probe in what for probe in PROBES):
            self.values[key] = key == "bf16"
            return
        self.unknown[key] = why

    def _canonical(self, key: str, data: object) -> Any:
        """`data` as the canonical key holds it, or NotImplemented."""
        if key in ("dtype", "bnb_4bit_compute_dtype", "bnb_4bit_quant_storage") and isinstance(data, str):
            word = data.removeprefix("torch.")
            return DTYPES.get(word, word)
        if isinstance(data, str) and key in ("learning_rate", "weight_decay", "max_grad_norm", "lora_alpha"):
            try:
                return float(data)
            except ValueError:
                return NotImplemented
        if key == "eval_strategy" and data is False:
            return "no"
        if key == "lora_target_modules" and isinstance(data, str) and "," in data:
            return tuple(part.strip() for part in data.split(","))
        if isinstance(data, list):
            if all(isinstance(item, str) for item in data):
                return data[0] if key == "loss_type" and len(data) == 1 else tuple(data)
            return NotImplemented
        if isinstance(data, dict):
            return NotImplemented
        expected = FIELDS[key].default
        if isinstance(expected, bool) and data is None:
            return expected
        if isinstance(expected, bool) != isinstance(data, bool) and expected is not None and data is not None:
            return NotImplemented
        if isinstance(expected, int) and not isinstance(expected, bool) and isinstance(data, float):
            return int(data) if data.is_integer() else data
        if isinstance(expected, int | float) and isinstance(data, str):
            return NotImplemented
        return data

    def run_for(self, trainer: str, how: str) -> Run:
        """The run under one trainer; fills `origins` with where its defaults come from."""
        values: dict[str, Value] = {"trainer": trainer}
        self.origins.setdefault("trainer", Origin("inferred", why=how))
        classes = self._classes(trainer)
        for name, entry in self._properties.items():
            marked = canonical_key(name, entry)
            if marked is None or marked[1] is not None or marked[0] in self.values:
                continue
            for class_name in classes:
                if class_name in entry["x-vramlint"].get("classes", ()) or (
                    not entry["x-vramlint"].get("classes") and "default" in entry
                ):
                    value = self._canonical(marked[0], default_in(entry, class_name))
                    if value is not NotImplemented and (value is not None or FIELDS[marked[0]].default is None):
                        values[marked[0]] = value
                        self.origins.setdefault(marked[0], Origin("default", why=class_name))
                    break
        values.update(self.values)
        unknown = dict(self.unknown)
        self._imply(trainer, values, unknown)
        return Run(**values, unknown=unknown)  # type: ignore[arg-type]  # keys and types are the schema's

    def _classes(self, trainer: str) -> tuple[str, ...]:
        own = CLASS_OF_TRAINER.get(trainer, "TrainingArguments")
        if self._python or trainer == "transformers":
            return (own, *SCRIPT_CLASSES)
        return (own, *TRL_MODEL_CLASSES)

    def _imply(self, trainer: str, values: dict[str, Value], unknown: dict[str, str]) -> None:
        """What follows from other keys: adapters by their config, TRL's bf16, the length the plain Trainer does not have."""
        written = {place.name for place in self._layout.places}
        if "use_peft" not in self.values:
            by_script = "LoraConfig" in self._layout.calls or (
                not self._python and trainer == "transformers" and bool(written & LORA_KEYS)
            ) or "LoraConfig" in self._layout.homes
            if by_script:
                values["use_peft"] = True
                self.origins["use_peft"] = Origin("inferred", why="a LoRA configuration is given")
        if trainer != "transformers" and values.get("bf16") in (None, False) and "bf16" not in self.values:
            values["bf16"] = not values.get("fp16")
            self.origins["bf16"] = Origin("default", why="TRL's configs: bf16 unless fp16")
        if values.get("bf16") is None:
            values["bf16"] = False
        if "dtype" not in self.values and (trainer == "transformers" or self._python):
            values["dtype"] = "auto"
            self.origins["dtype"] = Origin("default", why="from_pretrained of transformers 5: the checkpoint's dtype")
        if values.get("dtype") is None:
            values["dtype"] = "auto"
        if trainer == "transformers" and values.get("max_length") is None and "max_length" not in unknown:
            unknown["max_length"] = "the plain Trainer has no length of its own: state max_length, tokens per sequence"
        if "model_name_or_path" not in self.values and "model_name_or_path" not in unknown:
            unknown["model_name_or_path"] = "no model is named"
        if values.get("packing") or values.get("padding_free"):
            values["padding"] = False
        for key in [k for k, v in values.items() if v is None and FIELDS[k].default is not None]:
            values[key] = FIELDS[key].default
