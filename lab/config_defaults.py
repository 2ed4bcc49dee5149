"""Reads each model type's configuration defaults off an installed transformers; gives vramlint/catalog/data/config_defaults.json.

usage: python -m lab.config_defaults OUTPUT   (needs transformers; it imports torch only if it is there)
"""

# ruff: noqa: E501, PERF203
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

MODEL_TYPES = ["llama", "qwen2", "qwen3", "mistral", "ministral", "gemma", "gemma2", "gemma3_text", "gemma3", "gemma3n_text", "gemma4_text", "phi", "phi3", "gpt2", "gpt_neox", "gpt_neo", "gptj", "opt", "olmo", "olmo2", "olmo3", "granite", "starcoder2", "stablelm", "cohere", "cohere2", "falcon", "bloom", "mpt", "gpt_bigcode", "smollm3", "mixtral", "qwen2_moe", "qwen3_moe", "phimoe", "granitemoe", "olmoe", "deepseek_v2", "deepseek_v3", "gpt_oss", "bert", "roberta", "xlm-roberta", "distilbert", "electra", "deberta-v2", "modernbert", "t5", "mt5", "bart", "glm", "glm4", "glm4_moe", "glm4_moe_lite", "ernie4_5_moe", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text", "exaone4", "apertus", "seed_oss", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_text", "qwen2_vl_text", "qwen2_5_vl_text", "mistral3", "llama4", "llama4_text", "helium", "ernie4_5", "hunyuan_v1_dense", "nemotron", "persimmon", "codegen", "lfm2", "arcee", "bitnet", "dots1", "minimax", "gpt_neox_japanese", "internlm3", "baichuan", "xglm", "mamba"]

FIELDS = ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "vocab_size", "tie_word_embeddings", "hidden_act", "hidden_activation", "activation_function", "max_position_embeddings", "attention_bias", "mlp_bias", "use_bias", "use_qkv_bias", "bias", "sliding_window", "layer_types", "use_sliding_window", "max_window_layers", "attention_dropout", "attn_pdrop", "resid_pdrop", "embd_pdrop", "hidden_dropout", "attention_dropout_prob", "attention_probs_dropout_prob", "hidden_dropout_prob", "dropout", "residual_dropout", "embedding_dropout", "classifier_dropout", "num_experts", "num_local_experts", "n_routed_experts", "num_experts_per_tok", "moe_intermediate_size", "n_shared_experts", "first_k_dense_replace", "shared_expert_intermediate_size", "decoder_sparse_step", "mlp_only_layers", "q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "use_qk_norm", "qk_layernorm", "use_parallel_residual", "parallel_attn", "new_decoder_architecture", "multi_query", "alibi", "partial_rotary_factor", "rotary_pct", "rotary_dim", "do_layer_norm_before", "word_embed_proj_dim", "n_inner", "attn_logit_softcapping", "final_logit_softcapping", "num_local_experts", "type_vocab_size", "layer_norm_elementwise_affine", "d_ff", "d_kv", "d_model", "num_layers", "num_decoder_layers", "encoder_layers", "decoder_layers", "encoder_ffn_dim", "decoder_ffn_dim", "encoder_attention_heads", "decoder_attention_heads", "feed_forward_proj", "is_gated_act", "dense_act_fn", "query_pre_attn_scalar", "sliding_window_pattern", "embedding_size", "qkv_bias", "no_rope_layers", "logit_scale", "linear_num_key_heads", "linear_num_value_heads", "linear_key_head_dim", "linear_value_head_dim", "linear_conv_kernel_dim", "moe_num_experts", "moe_k", "moe_num_shared_experts", "moe_layer_start_index", "moe_layer_interval"]


def defaults_of(model_type: str, config_class: Any) -> dict[str, Any]:
    """The class's defaults for the fields that decide memory, and which names stand for others."""
    config = config_class()
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    found = {name: getattr(text, name) for name in FIELDS if _plain(getattr(text, name, None))}
    # A class may fill a field from another one where it is not given; such a default must not outlive its source.
    dependent = [name for name in ("num_key_value_heads", "head_dim", "layer_types", "moe_intermediate_size", "num_decoder_layers") if _depends(config_class, name)]
    return {
        "defaults": {name: value for name, value in found.items() if name not in dependent},
        "dependent": dependent,
        "aliases": dict(getattr(type(text), "attribute_map", {})),
        "model_type": getattr(text, "model_type", model_type),
    }


def _depends(config_class: Any, name: str) -> bool:
    import inspect

    try:
        source = inspect.getsource(config_class)
    except OSError:
        return False
    return f"self.{name} is None" in source or f"self.{name} is not None else" in source or f"if {name} is None" in source


def _plain(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool)) or (isinstance(value, (list, tuple)) and len(value) < 8)


def main(output: str) -> int:
    """Write the file; model types that the installed version lacks are left out."""
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    entries = {}
    for model_type in MODEL_TYPES:
        try:
            entries[model_type] = defaults_of(model_type, CONFIG_MAPPING[model_type])
        except Exception as error:  # noqa: BLE001 (a class of an optional package)
            print(f"{model_type}: {error}")
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(entries.items()))
    source = f"transformers {transformers.__version__}, src/transformers/models/*/configuration_*.py"
    Path(output).write_text(f'{{"source": {json.dumps(source)},\n"model_types": {{\n{lines}\n}}}}\n')
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
