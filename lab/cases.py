"""A measured case (the fields of `lab/case.py`) as a `Run` and an `Architecture`, so that its estimate can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from lab.case import STACKS, architecture_fields, complete
from vramlint.catalog import Architecture, architecture_from_config
from vramlint.run import Run

TRAINERS = {
    "hf": "transformers", "sft": "trl-sft", "dpo": "trl-dpo", "reward": "trl-reward", "kto": "trl-kto", "grpo": "trl-grpo",
}

OFFLOADED_FROM = 512
"""Below so many tokens unsloth checkpoints without the host (models/_utils.py of unsloth 2026.10.9)."""

LIKE_TRAINER = {"open_instruct": "transformers", "nemo_automodel": "nemo-automodel"}
"""Frameworks whose loop is estimated as the transformers Trainer's."""


def run_of(case: Mapping[str, Any]) -> Run:
    """The run that the case measures, as `lab/phantom` builds it."""
    c = complete(case)
    trainer = LIKE_TRAINER.get(c["framework"], c["framework"]) or TRAINERS[c["trainer"]]
    quantized = c["method"] == "qlora"
    recomputes = (c["options"] or {}).get("gradient_checkpointing", "unsloth") if trainer == "unsloth" else None
    peft = c["method"] != "full"
    targets = c["lora_targets"]
    compute = "float16" if c["amp"] == "fp16" else "bfloat16"
    return Run(
        model_name_or_path=c["arch"] if isinstance(c["arch"], str) else "case",
        dtype=c["weights"],
        attn_implementation=c["attn"],
        trainer=trainer,  # type: ignore[arg-type]
        task=c["head"] if trainer == "transformers" and c["head"] != "causal-lm" else None,
        num_labels=int(c["labels"]),
        max_target_length=c["target"],
        float32_ends=bool(c["float32_ends"]),
        prepare_model_for_kbit_training=quantized and bool(c["kbit_prepare"]),
        load_in_4bit=quantized and c["bits"] == 4,
        load_in_8bit=quantized and c["bits"] == 8,
        bnb_4bit_quant_type=c["quant_type"],
        bnb_4bit_use_double_quant=bool(c["double_quant"]),
        bnb_4bit_compute_dtype=compute,  # type: ignore[arg-type]
        use_peft=peft,
        lora_r=int(c["lora_r"]),
        lora_alpha=2 * int(c["lora_r"]),
        lora_dropout=float(c["lora_dropout"]),
        lora_target_modules=targets if isinstance(targets, str) else tuple(targets) if peft and targets else None,
        lora_modules_to_save=tuple(c["modules_to_save"]) if c["modules_to_save"] else None,
        lora_bias=str(c["lora_bias"]),
        use_rslora=bool(c["rslora"]),
        use_dora=bool(c["dora"]),
        autocast_adapter_dtype=bool(c["autocast_adapters"]),
        unfrozen_parameters=tuple(c["unfrozen"]) if c["unfrozen"] else None,
        per_device_train_batch_size=int(c["batch"]),
        per_device_eval_batch_size=min(int(c["eval_batch"]), int(c["eval_rows"])) if c["eval_batch"] else int(c["batch"]),
        gradient_accumulation_steps=int(c["grad_accum"]),
        max_length=int(c["seq"]),
        padding=bool(c["padded"]),  # every row says truly whether a mask was built: lab/data/README.md
        packing=bool(c["packing"]),
        padding_free=bool(c["padding_free"]) or (recomputes is not None and not c["packing"]),
        bf16=c["amp"] == "bf16",
        fp16=c["amp"] == "fp16",
        gradient_checkpointing=bool(c["checkpointing"]) if recomputes is None else recomputes is not False,
        use_reentrant=bool(c["reentrant"]) or recomputes is not None,
        selective_checkpointing=(c["options"] or {}).get("selective"),
        activation_offloading=bool(c["offload"]) or (recomputes == "unsloth" and int(c["seq"]) >= OFFLOADED_FROM),
        use_liger_kernel=bool(c["liger"]),
        liger_kernel_config=tuple(f"{k}={str(v).lower()}" for k, v in c["liger_parts"].items()) if c["liger_parts"] else None,
        loss_type="cut_cross_entropy" if c["cut_cross_entropy"] else c["loss_type"],
        max_grad_norm=float(c["max_grad_norm"]),
        neftune_noise_alpha=c["neftune"],
        torch_empty_cache_steps=c["empty_cache_steps"],
        label_smoothing_factor=float(c["label_smoothing"]),
        optim=str(c["optim"]),
        torch_compile=bool((c["options"] or {}).get("compile")),
        transformers_model=bool(((c["options"] or {}).get("model") or {}).get("force_hf")),
        optimizer_in_backward=bool((c["options"] or {}).get("optimizer_in_bwd")),
        optim_args=c["optim_args"],
        optim_target_modules=_names(c["optim_targets"]),
        eval_strategy="steps" if c["eval_batch"] else "no",
        eval_accumulation_steps=c["eval_accumulation"],
        prediction_loss_only=bool(c["loss_only"]),
        beta=c["beta"],
        # The lab brings the adapters along, so TRL keeps a copy of them as the reference.
        reference_model=bool(c["reference"]) or peft if trainer in ("trl-dpo", "trl-kto", "trl-grpo") else None,
        precompute_ref_log_probs=bool(c["precompute_ref"]),
        max_completion_length=int(c["completion"]) if trainer == "trl-grpo" else None,
        num_generations=int(c["num_generations"]) if trainer == "trl-grpo" else None,
        num_iterations=int(c["num_iterations"]),
        steps_per_generation=c["steps_per_generation"],
        **sharing_of(c),
        stack=MappingProxyType({} if c["stack"] == "2026-11" else dict(p.split() for p in STACKS[c["stack"]].split(", "))),
    )


def sharing_of(case: Mapping[str, Any]) -> dict[str, Any]:
    """How the case's run is shared out over several cards."""
    kind = str(case["parallel"])
    if int(case["processes"]) == 1 and case["parallel"] == "ddp":
        return {}
    found: dict[str, Any] = {"num_processes": int(case["processes"])}
    if kind.startswith("fsdp"):
        found |= {"fsdp": "full_shard", "fsdp_version": int(kind[-1]), "fsdp_offload": bool(case["offload_param"])}
        found["fsdp_reshard_after_forward"] = bool(case["reshard"])
    if kind.startswith("zero"):
        found |= {"zero_stage": int(kind[-1]), "deepspeed": "case.json", "zero_overlap_comm": case["overlap_comm"]}
        found |= {"offload_optimizer": bool(case["offload_optimizer"]), "offload_param": bool(case["offload_param"])}
        found["zero_reduce_bucket_size"] = int(case["reduce_bucket"] or 500_000_000)
        found["zero_allgather_bucket_size"] = int(case["allgather_bucket"] or 500_000_000)
    return found


def architecture_of(case: Mapping[str, Any]) -> Architecture:
    """The architecture of the case's model."""
    return architecture_from_config(config_of(case))


def config_of(case: Mapping[str, Any]) -> dict[str, Any]:
    """The case's model in the words of a `config.json`, as its framework writes it."""
    fields = dict(architecture_fields(complete(case)))
    if case.get("framework") == "nanogpt":
        fields = nanogpt_fields(fields, case.get("options") or {})
    fields.setdefault("kind", complete(case)["head"])
    return fields


def nanogpt_fields(fields: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """nanoGPT's model under the names that its dialect gives its sizes."""
    share, biased = float(options.get("dropout", 0.0)), bool(options.get("bias", False))
    return {
        "model_type": "nanogpt", "hidden_size": fields["n_embd"], "num_hidden_layers": fields["n_layer"],
        "num_attention_heads": fields["n_head"], "vocab_size": fields["vocab_size"], "tie_word_embeddings": True,
        "max_position_embeddings": fields["n_positions"], "hidden_act": "gelu", "attention_bias": biased, "mlp_bias": biased,
        "hidden_dropout": share, "attention_dropout": share, "dtype": "float32",
    }


def on_small_card(case: Mapping[str, Any]) -> bool:
    """Whether the card said that it has no more than 24.5 GiB (lab/frameworks/unsloth.py)."""
    return float((case.get("options") or {}).get("card", 24)) <= 24.5


def capability_of(case: Mapping[str, Any]) -> tuple[int, int]:
    """The compute capability that the case was measured with."""
    measured = case.get("measured") or {}
    major, minor = str(measured.get("capability") or complete(case)["capability"]).split(".")
    return int(major), int(minor)


def _names(targets: Any) -> tuple[str, ...] | str | None:
    return targets if targets is None or isinstance(targets, str) else tuple(targets)
