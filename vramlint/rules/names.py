"""The names that a condition may use, with their types: the run's keys from its schema, the result's and the card's by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vramlint.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Type:
    """`kind`: number, bytes, bool, text, list or null. `words`: the only texts it can be, if they are known."""

    kind: str
    words: tuple[str, ...] = ()


NUMBER, BYTES, BOOL, TEXT, LIST, NULL = (Type(kind) for kind in ("number", "bytes", "bool", "text", "list", "null"))
KINDS = {"integer": "number", "number": "number", "boolean": "bool", "string": "text", "array": "list"}
PARTS = ("weights", "adapters", "gradients", "optimizer", "activations", "logits", "workspace")

RESULTS: dict[str, Type] = {
    **{f"estimate.{field}.{end}": BYTES
       for field in ("allocated", "required", "context", "device") for end in ("low", "typical", "high")},
    **{f"estimate.peak.parts.{part}": BYTES for part in PARTS},
    "estimate.peak.phase": TEXT, "estimate.peak.largest": TEXT, "estimate.peak.next_allocated": BYTES,
    "estimate.narrowest_adapted": NUMBER, "estimate.trainable_parameters": NUMBER, "estimate.total_parameters": NUMBER,
    "target.name": TEXT, "target.id": TEXT, "target.vendor": Type("text", ("nvidia", "amd", "intel", "apple")),
    "target.total": BYTES, "target.usable": BYTES, "target.reserve": BYTES, "target.gpu_count": NUMBER,
    "target.capability": NUMBER,
    "model.model_type": TEXT, "model.vocab_size": NUMBER, "model.hidden_size": NUMBER, "model.num_hidden_layers": NUMBER,
    "model.max_position_embeddings": NUMBER, "model.learned_positions": NUMBER, "model.num_experts": NUMBER, "model.dtype": TEXT,
    "verdict": Type("text", ("fits", "tight", "does-not-fit")), "dialect": TEXT,
    **{f"allows.{name}": BOOL for name in (
        "bf16", "tf32", "fp8", "flash_attention_2", "flash_attention_3", "liger", "triton", "bitsandbytes", "four_bit",
    )},
    "KiB": BYTES, "MiB": BYTES, "GiB": BYTES,
}
CONSTANTS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def types_of(run_schema: Mapping[str, Any]) -> dict[str, Type]:
    """Every name with its type."""
    found = dict(RESULTS)
    for key, entry in run_schema["properties"].items():
        kinds = [entry["type"]] if isinstance(entry.get("type"), str) else list(entry.get("type", ["string"]))
        kind = next((KINDS[k] for k in kinds if k in KINDS), "text")
        words = tuple(word for word in entry.get("enum", ()) if isinstance(word, str))
        found[f"run.{key}"] = Type(kind, words)
    return found
