"""What is not simulated, or cannot run: the reason there is no number."""

from __future__ import annotations

from vramlint.catalog import Architecture, library_facts
from vramlint.memory.blocks import BlockShape
from vramlint.memory.estimate import NoEstimate
from vramlint.memory.evaluation import evaluates
from vramlint.memory.inventory import END_MODULES, adapted_ends
from vramlint.memory.optimizer_refusals import optimizer_refused
from vramlint.memory.own_loops import OWN_LOOPS, refused_by
from vramlint.memory.parameters import lora_targets, projections_of, routed_experts
from vramlint.memory.sharing import refusal_of_sharing
from vramlint.memory.trainers import SCORING, TRAINERS, classifies
from vramlint.run import Run

DECISIVE = (
    "model_name_or_path", "per_device_train_batch_size", "max_length", "load_in_4bit", "load_in_8bit", "use_peft", "lora_r",
    "lora_target_modules", "gradient_checkpointing", "optim", "dtype", "bf16", "fp16", "attn_implementation",
    "use_liger_kernel", "packing",
)
CLASSIFIER_MODULES = ("score", "classifier")
"""Heads that peft trains in any case where the task is to classify (0.21, peft_model.py, PeftModelForSequenceClassification)."""
LARGEST_BATCH = 1 << 20
ATTENTIONS = frozenset({
    "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flash_attention_4", "flex_attention", "flash_attn", "flash",
    "auto", "fa2", "fa3", "disabled", "torch", "te", "xformers", "ffpa", "math", "mem_efficient",
})
"""Words for attention kernels, of transformers 5.17 (modeling_utils.py) and of the others; with `/` one of the hub."""


def unsimulated_trainer(run: Run) -> NoEstimate | None:
    """Why there is no number for anything that this trainer trains, or None."""
    if run.trainer in TRAINERS or run.trainer in OWN_LOOPS:
        return None
    loop = "this training loop" if run.trainer == "other" else f"the trainer {run.trainer}"
    return NoEstimate(f"{loop} is not simulated yet", ("trainer",))


def refusal_of(run: Run, a: Architecture, block: BlockShape | None) -> NoEstimate | None:
    """Why there is no number for this run of a decoder, or None."""
    refused = common_refusal_of(run, a)
    if refused is not None:
        return refused
    if block is None:
        return NoEstimate(f"the architecture {a.model_type} is not simulated yet", ("model_name_or_path",))
    if run.task not in (None, "causal-lm", "seq-cls"):
        return NoEstimate(f"{a.model_type} is not simulated under this head yet ({run.task})", ("task",))
    if block.sinks and run.attn_implementation not in (None, "eager"):  # transformers 5.17, modeling_gpt_oss.py, _supports_sdpa
        return NoEstimate(
            f"{a.model_type} has no sdpa attention, and its other kernels are not simulated yet: only eager is",
            ("attn_implementation",),
        )
    if a.learned_positions and (run.max_length or 0) > a.learned_positions:
        return beyond_positions(run, a.learned_positions)
    ends = _adapted_ends_refusal(run, a)
    if ends is not None:
        return ends
    if block.hybrid and (run.fsdp or run.deepspeed or run.zero_stage):
        return NoEstimate("layers of more than one kind that are shared out are not simulated yet", ("model_name_or_path",))
    shared = refusal_of_sharing(run, has_experts=block.experts is not None)
    if shared is not None:
        return shared
    if block.experts is not None:
        return _experts_refusal(run, a, block)
    if run.use_peft and not any(p.adapted for p in projections_of(a, block, run)) and not adapted_ends(a, run):
        return no_match(run, a)
    return None


def beyond_positions(run: Run, positions: int) -> NoEstimate:
    """A row is longer than the position embedding, which the model would index beyond its end."""
    return NoEstimate(f"max_length {run.max_length} is beyond the model's {positions} positions", ("max_length",))


def common_refusal_of(run: Run, a: Architecture) -> NoEstimate | None:
    """Why there is no number for this run whatever the model's layers are, or None."""
    unknown = [key for key in DECISIVE if key in run.unknown]
    if unknown:
        return NoEstimate(f"{unknown[0]} is not known: {run.unknown[unknown[0]]}", tuple(unknown))
    if (why := unsimulated_trainer(run) or refused_by(run, a)) is not None:
        return why
    if run.torch_compile and run.trainer not in OWN_LOOPS:  # inductor fuses what is saved, and cuts up memory its own way
        return NoEstimate(f"torch.compile is not simulated under {run.trainer} yet", ("torch_compile",))
    if run.use_vllm:
        return NoEstimate("what vLLM takes beside the training is not simulated yet", ("use_vllm",))
    if run.trainer in SCORING and "sft-loss-in-full" in library_facts(run.stack, a.model_type):
        return NoEstimate(f"the trainer {run.trainer} is not simulated for TRL before 1.7 yet", ("trainer",))
    kernel = run.attn_implementation
    if kernel is not None and kernel not in ATTENTIONS and "/" not in kernel and "|" not in kernel:
        return NoEstimate(f"there is no attention implementation {kernel!r}", ("attn_implementation",))
    if run.max_length is None:
        return NoEstimate("max_length is not known", ("max_length",))
    if run.selective_checkpointing is not None and run.gradient_checkpointing and run.trainer != "torchtitan":
        return NoEstimate("selective activation checkpointing is not simulated yet", ("selective_checkpointing",))
    optimizer = optimizer_refused(run, a)
    if optimizer is not None:
        return optimizer
    if not 0 < run.per_device_train_batch_size <= LARGEST_BATCH:
        return NoEstimate(f"a batch of {run.per_device_train_batch_size} is none", ("per_device_train_batch_size",))
    if run.unfrozen_parameters and not run.use_peft:
        return NoEstimate("training only some of the parameters is not simulated yet", ("unfrozen_parameters",))
    adapter = _adapter_refused(run)
    if adapter is not None:
        return adapter
    if (run.load_in_4bit or run.load_in_8bit) and not run.use_peft:
        return NoEstimate("a quantised base cannot be trained without adapters", ("use_peft", "load_in_4bit"))
    return None


def _adapter_refused(run: Run) -> NoEstimate | None:
    """Adapters that are not simulated."""
    if not run.use_peft:
        return None
    if run.peft_type != "LORA":
        return NoEstimate(f"adapters of the type {run.peft_type} are not simulated yet, only LoRA's", ("peft_type",))
    own = CLASSIFIER_MODULES if classifies(run) else ()
    others = [name for name in run.lora_modules_to_save or () if name not in END_MODULES and name not in own]
    if others:
        return NoEstimate(f"lora_modules_to_save with {others[0]} is not simulated yet", ("lora_modules_to_save",))
    return None


def _adapted_ends_refusal(run: Run, a: Architecture) -> NoEstimate | None:
    """LoRA on the embedding, and on a head whose weight the loss takes by itself."""
    ends, key = adapted_ends(a, run), ("lora_target_modules",)
    if "embedding" in ends:
        return NoEstimate("LoRA on the embedding is not simulated yet", key)
    if "head" not in ends:
        return None
    if run.trainer.startswith("trl-") and "sft-loss-in-full" not in library_facts(run.stack, a.model_type):
        return NoEstimate("TRL refuses LoRA on the output layer: the run ends in an error", key)
    other = "Liger's fused loss" if run.use_liger_kernel else "DoRA" if run.use_dora else "evaluation" if evaluates(run) else None
    if other is not None:
        return NoEstimate(f"LoRA on the output layer is not simulated under {other} yet", key)
    return None


def _experts_refusal(run: Run, a: Architecture, block: BlockShape) -> NoEstimate | None:
    """What cannot run, or is not simulated, where layers have experts."""
    if run.float32_ends:
        return NoEstimate("a router in fp32 beside experts in 16 bits is not simulated yet", ("attn_implementation",))
    if "experts-apart" in library_facts(run.stack, a.model_type):
        return NoEstimate("experts are not simulated for transformers before 5.0 yet", ("model_name_or_path",))
    fused = run.trainer in SCORING or (run.trainer == "trl-sft" and run.loss_type in (None, "nll", "chunked_nll"))
    if fused and block.experts is not None and not block.experts.counted:
        return NoEstimate(
            f"TRL's fused head asks the config of {a.model_type} for num_experts, which it has not: the run ends in an error",
            ("trainer", "loss_type"),
        )
    experts = routed_experts(a, block, run)
    if not run.use_peft or experts is None:
        return None
    if experts.adapted and run.lora_dropout:
        return NoEstimate(
            "peft has no dropout for LoRA on the fused parameters of experts: the run ends in an error (lora_dropout)",
            ("lora_dropout",),
        )
    if len(experts.split) == 1:
        return NoEstimate(
            f"gate and up projections are one parameter: LoRA on {experts.split[0]} alone ends in an error",
            ("lora_target_modules",),
        )
    if block.experts is not None and block.experts.router == "mixer" and lora_targets(a, run) == ("all-linear",):
        return NoEstimate("peft cannot put LoRA on the router of phimoe: the run ends in an error", ("lora_target_modules",))
    if not experts.adapted and not any(p.adapted for p in projections_of(a, block, run)):
        return no_match(run, a)
    return None


def no_match(run: Run, a: Architecture) -> NoEstimate:
    """LoRA's target modules are none of this model's."""
    return NoEstimate(
        f"LoRA's target modules {', '.join(lora_targets(a, run)) or '(none)'} match nothing in {a.model_type}",
        ("lora_target_modules",),
    )
