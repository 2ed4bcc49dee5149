"""What one measured case is: its fields and their defaults, the model it names, whether it is held out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ARCHITECTURES_FILE = Path(__file__).parent / "phantom" / "architectures.json"
HELD_OUT_PERCENT = 30

STACKS = {
    "2026-11": "torch 2.11.0, transformers 5.17.0, peft 0.21.2, trl 1.16.0, bitsandbytes 0.50.2, accelerate 1.15.0",
    "2025-01": "torch 2.4.1, transformers 4.48.1, peft 0.13.2, trl 0.13.0, bitsandbytes 0.43.3, accelerate 1.2.1",
}

DEFAULTS: dict[str, Any] = {
    "stack": "2026-11",  # which library versions: a name of STACKS; measured.versions says them
    "capability": "9.0",  # compute capability of the card; on a real card, whatever it has
    "framework": None,  # a framework with a training loop of its own, lab/frameworks; None: transformers' and TRL's trainers
    "options": None,  # what only that framework has, under its own names
    "trainer": "hf",  # hf | sft | dpo | reward | kto | grpo
    "head": "causal-lm",  # causal-lm | seq-cls | token-cls | masked-lm | seq2seq-lm; reward trains seq-cls whatever this says
    "labels": 2,  # num_labels of a classifier
    "target": None,  # tokens of a seq2seq-lm's target; None: as many as seq
    "method": "full",  # full | lora | qlora (a base quantised to `bits`, and LoRA on it)
    "weights": "bfloat16",  # dtype the model is loaded in
    "amp": "bf16",  # bf16 | fp16 | none: TrainingArguments' mixed precision
    "attn": "sdpa",  # sdpa | eager
    "experts": None,  # experts_implementation of transformers 5: eager | grouped_mm | batched_mm
    # adapters
    "lora_r": 16,
    "lora_targets": "all-linear",
    "lora_dropout": 0.0,
    "dora": False,
    "rslora": False,
    "modules_to_save": None,
    "lora_bias": "none",
    "autocast_adapters": True,  # autocast_adapter_dtype of get_peft_model
    # quantised base
    "bits": 4,
    "quant_type": "nf4",
    "double_quant": False,
    "kbit_prepare": True,
    "float32_ends": False,  # embedding, head and norms in fp32 beside layers in another dtype, as axolotl trains under sdpa
    "unfrozen": None,  # regular expressions of the only parameters trained in a full run; None trains all
    # batch
    "batch": 1,
    "seq": 512,
    "grad_accum": 1,
    "padded": False,  # whether the attention mask has zeros, so that a mask is built
    "packing": False,
    "padding_free": False,
    # step
    "checkpointing": True,
    "reentrant": False,
    "offload": False,  # TRL's activation_offloading
    "liger": False,
    "liger_parts": None,  # liger_kernel_config
    "cut_cross_entropy": False,  # the forward of axolotl's fork of cut_cross_entropy (5f0c7a7) instead of transformers'
    "loss_type": None,  # None: the trainer's own default
    "label_smoothing": 0.0,
    "neftune": None,
    "optim": "adamw_torch_fused",
    "optim_args": None,
    "optim_targets": None,
    "max_grad_norm": 1.0,
    "empty_cache_steps": None,
    "steps": 2,
    # evaluation after each step
    "eval_batch": None,  # None: no evaluation
    "eval_rows": 4,
    "eval_accumulation": None,
    "loss_only": False,
    # preference and reinforcement trainers
    "reference": True,  # a second model in full DPO and KTO
    "precompute_ref": False,
    "beta": None,
    "num_generations": 4,
    "completion": 128,
    "num_iterations": 1,
    "steps_per_generation": None,
    # several cards: what the first of `processes` holds (lab/sharding.py)
    "processes": 1,
    "parallel": "ddp",  # ddp | fsdp1 | fsdp2 | zero1 | zero2 | zero3
    "bucket_mb": None,  # ddp_bucket_cap_mb
    "reshard": True,  # FSDP's reshard_after_forward
    "reduce_bucket": None,  # DeepSpeed's reduce_bucket_size; None: its own default, and so below
    "allgather_bucket": None,
    "overlap_comm": None,
    "offload_optimizer": False,
    "offload_param": False,
    # search
    "capacity": False,  # also find the least device memory in which the run passes
}


def complete(case: Mapping[str, Any]) -> dict[str, Any]:
    """The case with every default filled in; ValueError names a field that does not exist."""
    unknown = set(case) - set(DEFAULTS) - {"arch", "note", "measured"}
    if unknown:
        raise ValueError(f"unknown fields {sorted(unknown)}; lab/case.py lists those there are")
    return {**DEFAULTS, **case}


def short(case: Mapping[str, Any]) -> dict[str, Any]:
    """The case without what equals the default: what identifies it."""
    full = complete(case)
    return {
        key: full[key]
        for key in sorted(full)
        if key != "measured" and (key not in DEFAULTS or full[key] != DEFAULTS[key])
    }


def identity(case: Mapping[str, Any]) -> str:
    """A text by which two cases are the same run.

    Whether its least capacity is searched for, and notes, do not count.
    """
    return json.dumps({k: v for k, v in short(case).items() if k not in {"capacity", "note"}}, sort_keys=True)


def held_out(case: Mapping[str, Any]) -> bool:
    """Whether nobody may tune on this case: 30 % by a hash of it."""
    return int(hashlib.sha256(identity(case).encode()).hexdigest()[:8], 16) % 100 < HELD_OUT_PERCENT


def architecture_fields(case: Mapping[str, Any]) -> dict[str, Any]:
    """The config.json fields of the case's model; `arch` is a name of architectures.json or the fields themselves."""
    arch = case["arch"]
    if isinstance(arch, str):
        return dict(json.loads(ARCHITECTURES_FILE.read_text())[arch])
    if not isinstance(arch, Mapping):
        raise TypeError(f"arch is {arch!r}; expected a name or an object of config fields")
    return dict(arch)
