"""What each card and each library lets a run use, as data with its source."""

from __future__ import annotations

from vramlint.catalog.architecture import Architecture

LIGER_MODEL_TYPES = frozenset({
    "deepseek_v2", "deepseek_v3", "deepseek_v4", "exaone4", "falcon_h1", "gemma", "gemma2", "gemma3", "gemma3_text",
    "gemma4", "gemma4_text", "glm4", "glm4v", "glm4v_moe", "gpt_oss", "granite", "hunyuan_v1_dense",
    "hunyuan_v1_moe", "internvl", "llama", "llama4", "llama4_text", "llava", "ministral", "mistral", "mixtral",
    "mllama", "mllama_text_model", "muse_glimmer", "nemotron", "olmo2", "olmo3", "paligemma", "phi3", "pixtral",
    "qwen2", "qwen2_5_vl", "qwen2_5_vl_text", "qwen2_vl", "qwen2_vl_text", "qwen3", "qwen3_5", "qwen3_5_moe",
    "qwen3_5_moe_text", "qwen3_5_text", "qwen3_moe", "qwen3_next", "qwen3_vl", "qwen3_vl_moe", "qwen3_vl_moe_text",
    "qwen3_vl_text", "smollm3", "smolvlm",
})
"""Model types that Liger patches: MODEL_TYPE_TO_APPLY_LIGER_FN of liger_kernel/transformers/monkey_patch.py."""

PEFT_DEFAULT_TARGETS: dict[str, tuple[str, ...]] = {
    "RefinedWeb": ("query_key_value",),
    "RefinedWebModel": ("query_key_value",),
    "bart": ("q_proj", "v_proj"),
    "bert": ("query", "value"),
    "blip-2": ("q", "v", "q_proj", "v_proj"),
    "bloom": ("query_key_value",),
    "btlm": ("c_proj", "c_attn"),
    "chatglm": ("query_key_value",),
    "codegen": ("qkv_proj",),
    "deberta": ("in_proj",),
    "deberta-v2": ("query_proj", "value_proj"),
    "electra": ("query", "value"),
    "falcon": ("query_key_value",),
    "gemma": ("q_proj", "v_proj"),
    "gemma2": ("q_proj", "v_proj"),
    "gemma3_text": ("q_proj", "v_proj"),
    "gpt2": ("c_attn",),
    "gpt_bigcode": ("c_attn",),
    "gpt_neo": ("q_proj", "v_proj"),
    "gpt_neox": ("query_key_value",),
    "gptj": ("q_proj", "v_proj"),
    "layoutlm": ("query", "value"),
    "llama": ("q_proj", "v_proj"),
    "llama4": ("q_proj", "v_proj"),
    "mistral": ("q_proj", "v_proj"),
    "mixtral": ("q_proj", "v_proj"),
    "mpt": ("Wqkv",),
    "mt5": ("q", "v"),
    "nemotron_h": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "opt": ("q_proj", "v_proj"),
    "phi": ("q_proj", "v_proj", "fc1", "fc2"),
    "qwen2": ("q_proj", "v_proj"),
    "qwen3": ("q_proj", "v_proj"),
    "roberta": ("query", "value"),
    "rwkv": ("key", "value", "receptance", "output"),
    "rwkv7": ("r_proj", "k_proj", "v_proj", "o_proj", "key", "value"),
    "stablelm": ("q_proj", "v_proj"),
    "t5": ("q", "v"),
    "xlm-roberta": ("query", "value"),
}
"""LoRA targets where none are named: TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING of peft 0.21.2, utils/constants.py."""


def allowances(
    architecture: Architecture | None, capability: tuple[int, int] | None, vendor: str | None,
) -> dict[str, bool]:
    """What may be used, by name. Without a card, what current data-centre cards allow."""
    at = capability or (8, 0)
    cuda = vendor in (None, "nvidia")
    return {
        "bf16": at >= (8, 0),
        "tf32": at >= (8, 0),
        "fp8": at >= (8, 9),
        "flash_attention_2": cuda and at >= (8, 0),
        "flash_attention_3": cuda and at[0] == 9,
        "liger": architecture is not None and architecture.model_type in LIGER_MODEL_TYPES,
        "triton": not cuda or at >= (7, 0),  # torch 2.11, _inductor/scheduler.py, GPUTooOldForTriton
        "bitsandbytes": cuda,
        "four_bit": cuda and (architecture is None or architecture.num_experts == 0),
    }
