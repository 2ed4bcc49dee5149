"""A model's `config.json` → `Architecture`, with the defaults that transformers' own configuration classes fill in."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from vramlint.catalog.architecture import Architecture

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
BUILT_IN_BIAS = {"qwen2": (True, False), "qwen2_moe": (True, False), "qwen2_vl_text": (True, False),
                 "qwen2_5_vl_text": (True, False), "gpt2": (True, True), "opt": (True, True), "phi": (True, True),
                 "gpt_neo": (False, True), "bloom": (True, True), "bert": (True, True), "roberta": (True, True),
                 "xlm-roberta": (True, True), "codegen": (False, False), "gptj": (False, False),
                 "gpt_bigcode": (True, True)}
"""Biases of the q/k/v and of the output projection that the class has without a field for them."""
FEED_FORWARD = ("intermediate_size", "ffn_dim", "n_inner", "d_ff", "hidden_dim", "encoder_ffn_dim")
"""What configuration classes call the width of the feed-forward part."""
LARGEST = 1 << 24
_defaults: dict[str, Any] = {}


def model_defaults(model_type: str) -> dict[str, Any] | None:
    """transformers' defaults for a model type: `defaults`, `aliases`, `model_type` of its text part."""
    if not _defaults:
        with open(os.path.join(DATA, "config_defaults.json"), encoding="utf-8") as file:
            _defaults.update(json.load(file)["model_types"])
    return _defaults.get(model_type)


def architecture_from_config(config: Mapping[str, Any]) -> Architecture:
    """The architecture that a `config.json` describes; multimodal ones by their text part.

    Raises `ValueError` saying what is missing or does not go together.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        raise ValueError("it has no model_type")  # noqa: TRY004  # bad data, not a wrong call
    for part in ("text_config", "llm_config"):
        if isinstance(config.get(part), Mapping):
            inner = dict(config[part])
            inner.setdefault("model_type", f"{model_type}_text")
            if model_defaults(inner["model_type"]) is None:
                inner["model_type"] = model_type
            for shared in ("tie_word_embeddings", "torch_dtype", "dtype"):
                if shared in config:
                    inner.setdefault(shared, config[shared])
            return architecture_from_config(inner)
    known = model_defaults(model_type)
    fields = _filled(config, known)
    hidden, heads = _size(fields, "hidden_size"), _size(fields, "num_attention_heads")
    if not fields.get("head_dim") and hidden % heads:
        raise ValueError(f"num_attention_heads {heads} does not divide hidden_size {hidden}")
    head_dim = _size(fields, "head_dim") if fields.get("head_dim") else hidden // heads
    groups = fields.get("num_key_value_heads") or _grouped(fields, heads)
    if not isinstance(groups, int) or groups < 1 or heads % groups:
        raise ValueError(f"num_key_value_heads {groups} does not divide num_attention_heads {heads}")
    intermediate = next((fields[name] for name in FEED_FORWARD if fields.get(name)), None)
    qkv_bias, output_bias = _biases(model_type, fields)
    experts = fields.get("num_experts") or fields.get("num_local_experts") or fields.get("n_routed_experts") or 0
    return Architecture(
        model_type=str(known["model_type"]) if known else model_type,
        hidden_size=hidden,
        num_hidden_layers=_size(fields, "num_hidden_layers"),
        num_attention_heads=heads,
        num_key_value_heads=groups,
        head_dim=head_dim,
        intermediate_size=int(intermediate or 4 * hidden),
        vocab_size=_size(fields, "vocab_size"),
        tie_word_embeddings=bool(fields.get("tie_word_embeddings", True)),
        hidden_act=str(
            fields.get("hidden_act") or fields.get("hidden_activation") or fields.get("activation_function") or "gelu",
        ),
        max_position_embeddings=_number(fields.get("max_position_embeddings")),
        dtype=_dtype(config),
        attention_bias=qkv_bias,
        attention_output_bias=output_bias,
        mlp_bias=bool(fields.get("mlp_bias", False)),
        sliding_window=_number(fields.get("sliding_window")) if fields.get("use_sliding_window", True) else None,
        layer_types=tuple(map(str, fields["layer_types"])) if fields.get("layer_types") else None,
        attention_dropout=_dropout(fields, "attention_dropout", "attn_pdrop", "attention_probs_dropout_prob"),
        hidden_dropout=_dropout(fields, "resid_pdrop", "dropout", "hidden_dropout", "hidden_dropout_prob"),
        num_experts=int(experts),
        num_experts_per_tok=int(fields.get("num_experts_per_tok") or 0),
        moe_intermediate_size=int(fields.get("moe_intermediate_size") or (intermediate or 0) if experts else 0),
        kind=str(config.get("kind", "causal-lm")),
        extra=MappingProxyType({
            key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()
            if isinstance(value, str | int | float | bool | list) and key not in ("source", "aliases")
        }),
    )


def _filled(config: Mapping[str, Any], known: Mapping[str, Any] | None) -> dict[str, Any]:
    fields = dict(known["defaults"]) if known else {}
    native = dict(known["aliases"]) if known else {}
    for standard, name in native.items():
        if name in config and standard not in config:
            fields[standard] = config[name]
    fields.update({key: value for key, value in config.items() if value is not None or key in fields})
    return fields


def _size(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} is missing")  # noqa: TRY004  # bad data, not a wrong call
    if not 0 < value < LARGEST:
        raise ValueError(f"{name} is {value}")
    return value


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _grouped(fields: Mapping[str, Any], heads: int) -> int:
    if fields.get("multi_query") and not fields.get("new_decoder_architecture"):
        return 1
    return int(fields.get("num_kv_heads") or heads)


def _biases(model_type: str, fields: Mapping[str, Any]) -> tuple[bool, bool]:
    built_in = BUILT_IN_BIAS.get(model_type)
    written = fields.get("attention_bias")
    if isinstance(written, Mapping):
        return bool(written.get("qkv")), bool(written.get("o"))
    if built_in is not None:
        return built_in
    both = bool(fields.get("attention_bias", fields.get("use_bias", model_type == "falcon" and fields.get("bias", False))))
    # The output projection of glm and glm4 never has one (transformers 5.17, modeling_glm.py and modeling_glm4.py).
    return both or bool(fields.get("use_qkv_bias")), both and model_type not in ("glm", "glm4", "glm4_moe")


def _dropout(fields: Mapping[str, Any], *names: str) -> float:
    return next((float(fields[name]) for name in names if isinstance(fields.get(name), int | float)), 0.0)


def _dtype(config: Mapping[str, Any]) -> str | None:
    written = config.get("dtype") or config.get("torch_dtype")
    name = str(written).removeprefix("torch.") if written else None
    return name if name in ("float32", "bfloat16", "float16") else None
