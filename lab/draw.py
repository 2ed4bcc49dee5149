"""How the cases of lab/grid.py are drawn: the models, shapes, dtypes and settings there are to choose from."""

from __future__ import annotations

import random
from typing import Any

Case = dict[str, Any]

DECODERS = (
    "qwen2.5-0.5b",
    "qwen2.5-1.5b",
    "qwen3-0.6b",
    "llama-3.2-1b",
    "tinyllama-1.1b",
    "smollm2-135m",
    "mistral-7b-v0.3",
    "gemma-2-2b",
    "gemma-3-1b",
    "phi-2",
    "phi-3-mini",
    "gpt2",
    "pythia-410m",
    "opt-125m",
    "olmo2-1b",
    "granite-3-2b",
    "starcoder2-3b",
    "stablelm-2-1.6b",
    "llama-3.1-8b",
    "qwen2.5-7b",
)
SMALL = (
    "qwen2.5-0.5b",
    "qwen2.5-1.5b",
    "qwen3-0.6b",
    "llama-3.2-1b",
    "tinyllama-1.1b",
    "smollm2-135m",
    "smollm2-360m",
    "gemma-3-270m",
    "gemma-3-1b",
    "gpt2",
    "pythia-410m",
    "pythia-160m",
    "opt-125m",
    "olmo2-1b",
    "granite-3-2b",
    "qwen3-1.7b",
    "stablelm-2-1.6b",
)
OLDER = (
    "qwen2.5-0.5b", "llama-3.2-1b", "smollm2-135m", "gemma-2-2b", "gpt2", "pythia-410m", "phi-3-mini", "mistral-7b-v0.1",
)
LIGER_SMALL = (
    "qwen2.5-0.5b",
    "qwen2.5-1.5b",
    "qwen3-0.6b",
    "llama-3.2-1b",
    "smollm2-135m",
    "gemma-3-1b",
    "olmo2-1b",
    "granite-3-2b",
)
CAPABILITIES = ("7.5", "8.0", "8.6", "8.9", "9.0", "12.0")
DTYPES = (
    ("bfloat16", "bf16"),
    ("bfloat16", "none"),
    ("float32", "bf16"),
    ("float32", "fp16"),
    ("float32", "none"),
    ("float16", "none"),
)
OPTIMIZERS = (
    "adamw_torch",
    "adamw_torch_fused",
    "adafactor",
    "adamw_torch_4bit",
    "adamw_torch_8bit",
    "ademamix",
    "sgd",
    "adagrad",
    "adamw_bnb_8bit",
    "adamw_8bit",
    "ademamix_8bit",
    "lion_8bit",
    "lion_32bit",
    "paged_adamw_32bit",
    "paged_adamw_8bit",
    "paged_ademamix_32bit",
    "paged_ademamix_8bit",
    "paged_lion_32bit",
    "paged_lion_8bit",
    "rmsprop",
    "rmsprop_bnb",
    "rmsprop_bnb_8bit",
    "rmsprop_bnb_32bit",
    "galore_adamw",
    "galore_adamw_8bit",
    "galore_adafactor",
    "galore_adamw_layerwise",
    "galore_adamw_8bit_layerwise",
    "galore_adafactor_layerwise",
    "lomo",
    "adalomo",
    "grokadamw",
    "schedule_free_radam",
    "schedule_free_adamw",
    "schedule_free_sgd",
    "apollo_adamw",
    "apollo_adamw_layerwise",
    "stable_adamw",
)
METHODS = ("full", "lora", "qlora")
SHAPES = ((1, 512), (2, 512), (4, 1024), (1, 2048), (8, 256), (2, 1000), (3, 640))


def preference(draw: random.Random, trainer: str) -> Case:
    """One drawn case of a TRL trainer."""
    batch, seq = draw.choice(SHAPES)
    case: Case = {
        "trainer": trainer,
        "arch": draw.choice(SMALL),
        "method": draw.choice(METHODS),
        "batch": batch,
        "seq": seq,
        "checkpointing": draw.random() < 0.6,
        "capability": draw.choice(CAPABILITIES),
        "padded": draw.random() < 0.5,
        "liger": trainer in {"sft", "dpo"} and draw.random() < 0.2,
        "grad_accum": draw.choice((1, 1, 2)),
        "optim": draw.choice(
            ("adamw_torch_fused", "adamw_torch_fused", "adamw_torch", "adamw_8bit", "paged_adamw_8bit")
        ),
        "weights": draw.choice(("bfloat16", "bfloat16", "float32")),
        "double_quant": draw.random() < 0.5,
    }
    if trainer == "sft":
        case |= draw.choice(
            ({}, {}, {"packing": True, "padded": False}, {"padding_free": True, "padded": False}, {"offload": True})
        )
    if trainer in {"dpo", "kto"}:
        case["batch"] = max(2, batch)
        case |= draw.choice(({}, {}, {"precompute_ref": True}))
    if trainer == "reward":
        case["liger"] = False
    if trainer == "grpo":
        case |= {
            "batch": 4 * max(1, batch // 4),
            "seq": min(seq, 768),
            "completion": draw.choice((16, 32, 64)),
            "padded": False,
            "beta": draw.choice((None, 0.04)),
            "num_iterations": draw.choice((1, 1, 2)),
            "liger": False,
        }
        case["seq"] += 64
    return case


def family(draw: random.Random, arch: str, head: str, method: str, shape: tuple[int, int]) -> Case:
    """One drawn case of an architecture."""
    return {
        "arch": arch,
        "head": head,
        "method": method,
        "batch": shape[0],
        "seq": shape[1],
        "capability": draw.choice(CAPABILITIES),
        "padded": draw.random() < 0.4,
        "checkpointing": draw.random() < 0.5,
        "weights": draw.choice(("bfloat16", "float32")) if head != "causal-lm" else "bfloat16",
        "optim": draw.choice(("adamw_torch_fused", "adamw_torch", "adamw_8bit")),
    }


def anything(draw: random.Random) -> Case:
    """One case drawn over trainers, methods, dtypes, optimizers, shapes and capabilities."""
    trainer = draw.choice(("hf", "hf", "hf", "sft", "sft", "dpo", "reward", "kto", "grpo"))
    if trainer != "hf":
        return preference(draw, trainer)
    batch, seq = draw.choice((*SHAPES, (16, 512), (1, 4096), (32, 128)))
    weights, amp = draw.choice((*DTYPES, ("bfloat16", "bf16"), ("bfloat16", "bf16"), ("bfloat16", "bf16")))
    case = {
        "arch": draw.choice(SMALL),
        "method": draw.choice(METHODS),
        "batch": batch,
        "seq": seq,
        "weights": weights,
        "amp": amp,
        "checkpointing": draw.random() < 0.6,
        "reentrant": draw.random() < 0.3,
        "padded": draw.random() < 0.4,
        "capability": draw.choice(CAPABILITIES),
        "grad_accum": draw.choice((1, 1, 2, 4)),
        "liger": draw.random() < 0.15,
        "optim": draw.choice(
            (
                "adamw_torch_fused",
                "adamw_torch",
                "adamw_8bit",
                "adafactor",
                "lion_8bit",
                "sgd",
                "paged_adamw_32bit",
                "ademamix",
            )
        ),
        "lora_r": draw.choice((8, 16, 64)),
        "lora_dropout": draw.choice((0.0, 0.0, 0.05)),
        "lora_targets": draw.choice(("all-linear", "all-linear", ["q_proj", "v_proj"])),
        "double_quant": draw.random() < 0.5,
        "attn": draw.choice(("sdpa", "sdpa", "sdpa", "sdpa", "eager")),
    }
    if case["lora_targets"] != "all-linear" and case["arch"] in {"gpt2", "pythia-160m", "pythia-410m", "phi-3-mini"}:
        case["lora_targets"] = "all-linear"
    if case["liger"] and case["arch"] not in LIGER_SMALL:
        case["liger"] = False
    return case


ADAPTERS: tuple[Case, ...] = (
    {"dora": True},
    {"dora": True, "lora_dropout": 0.05},
    {"rslora": True},
    {"modules_to_save": ["lm_head"]},
    {"modules_to_save": ["embed_tokens", "lm_head"]},
    {"lora_bias": "all"},
    {"lora_bias": "lora_only"},
    {"lora_targets": ["down_proj"]},
    {"lora_targets": ["gate_proj", "up_proj"], "lora_dropout": 0.1},
    {"autocast_adapters": False},
)
BASES: tuple[Case, ...] = ({"bits": 8}, {"bits": 8, "kbit_prepare": False}, {"kbit_prepare": False}, {"quant_type": "fp4"})
STEPS: tuple[Case, ...] = (
    {"liger": True},
    {"liger": True, "liger_parts": {"fused_linear_cross_entropy": False, "cross_entropy": True}},
    {"liger": True, "liger_parts": {"rms_norm": False}},
    {"liger": True, "liger_parts": {"swiglu": False, "rope": False}},
    {"label_smoothing": 0.1},
    {"neftune": 5.0},
    {"reentrant": True, "checkpointing": True},
    {"eval_batch": 4},
    {"eval_batch": 2, "eval_rows": 8},
    {"eval_batch": 2, "eval_rows": 8, "eval_accumulation": 1},
    {"eval_batch": 4, "loss_only": True},
)
LLAMA_NAMES = (
    "qwen2.5-0.5b", "qwen3-0.6b", "llama-3.2-1b", "smollm2-360m", "olmo2-1b", "qwen2.5-1.5b", "granite-3-2b", "gemma-3-1b",
)
"""Models whose modules have llama's names, for settings that name modules."""


def mixture(draw: random.Random) -> Case:
    """One case drawn over everything that a step can be told: every optimizer, kind of adapter, base, and part of a step."""
    case = anything(draw)
    case["arch"] = draw.choice(LLAMA_NAMES)
    case["liger"] = False
    plain = case.get("trainer", "hf") == "hf"
    if plain and draw.random() < 0.6:
        optim = case["optim"] = draw.choice(OPTIMIZERS)
        if optim.endswith("layerwise") or "lomo" in optim:
            case |= {"max_grad_norm": 0.0, "grad_accum": 1}
        if optim.startswith(("galore", "apollo")):
            case |= {"optim_targets": draw.choice((["attn", "mlp"], "all-linear")), "method": "full"}
    if case["method"] != "full":
        case |= draw.choice(ADAPTERS)
    elif draw.random() < 0.15:
        case |= {"unfrozen": draw.choice((["lm_head.*", "model.layers.[0-3]\\."], [".*norm.*"]))}
    if case["method"] == "qlora":
        case |= draw.choice(({}, {}, *BASES))
    if (plain or case.get("trainer") == "sft") and draw.random() < 0.6:
        case |= draw.choice(STEPS)
    return case
