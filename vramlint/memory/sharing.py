"""Which ways of training on several cards are simulated, and which facts decide what one of them holds."""

from __future__ import annotations

from vramlint.memory.estimate import NoEstimate
from vramlint.run import Run

PLAIN_OPTIMIZERS = ("adam", "adamw_torch", "adamw_torch_fused")
TRAINERS = ("transformers", "trl-sft", "nemo-automodel")
"""Trainers that are simulated on several cards; TRL's KTO in DDP was measured 2 to 5 % higher than it would be told."""
FSDP_WORDS = frozenset({"full_shard", "shard_grad_op", "auto_wrap"})
"""Options of FSDP that are simulated; hybrid sharding and offloading are not."""


def refusal_of_sharing(run: Run, *, has_experts: bool) -> NoEstimate | None:
    """Why there is no number for a run on several cards, or None. `has_experts`: the model is a mixture of experts."""
    split = {
        "tensor_parallel_size": run.tensor_parallel_size, "pipeline_parallel_size": run.pipeline_parallel_size,
        "context_parallel_size": run.context_parallel_size,
    }
    over = next((key for key, size in split.items() if size > 1), None)
    if over is not None:
        return NoEstimate(f"{over} above 1 is not simulated yet", (over,))
    shared = bool(run.deepspeed or run.fsdp or run.zero_stage)
    if run.num_processes > 1 and run.trainer not in TRAINERS:
        return NoEstimate(f"the trainer {run.trainer} on several cards is not simulated yet", ("num_processes", "trainer"))
    if run.trainer == "nemo-automodel" and run.num_processes > 1 and not has_experts:
        return _of_either(run, "FSDP", "num_processes")
    if not shared:
        return None
    if has_experts:
        return NoEstimate("mixtures of experts that are shared out are not simulated yet", ("model_name_or_path",))
    if "zero_stage" in run.unknown:
        return NoEstimate(f"zero_stage is not known: {run.unknown['zero_stage']}", ("deepspeed", "zero_stage"))
    if "num_processes" in run.unknown:
        return NoEstimate(
            f"num_processes is not known: {run.unknown['num_processes']}", ("fsdp" if run.fsdp else "deepspeed", "num_processes"),
        )
    return _of_fsdp(run) if run.fsdp else _of_deepspeed(run)


def _of_fsdp(run: Run) -> NoEstimate | None:
    if "fsdp" in run.unknown:
        return NoEstimate(f"fsdp is not known: {run.unknown['fsdp']}", ("fsdp",))
    old = "transformers" in run.stack and int(run.stack["transformers"].partition(".")[0] or 5) < 5
    if run.fsdp_version == 1 or old:
        return NoEstimate("FSDP of version 1 is not simulated yet, version 2 is", ("fsdp_version", "fsdp"))
    words = set(str(run.fsdp).split())
    if words - FSDP_WORDS or run.fsdp_offload or not run.fsdp_auto_wrap:
        return NoEstimate("FSDP is simulated where it wraps each layer, shards fully and offloads nothing", ("fsdp",))
    return _of_either(run, "FSDP", "fsdp")


def _of_deepspeed(run: Run) -> NoEstimate | None:
    if run.zero_stage not in (1, 2):
        return NoEstimate(f"ZeRO stage {run.zero_stage} is not simulated yet, 1 and 2 are", ("zero_stage", "deepspeed"))
    if run.zero_stage == 1 and run.zero_overlap_comm and run.gradient_accumulation_steps > 1:
        return NoEstimate("ZeRO stage 1 with overlap_comm over several micro batches is not simulated yet", ("deepspeed",))
    if run.zero_stage == 1 and run.num_processes == 1 and run.gradient_accumulation_steps > 1:
        why = "ZeRO stage 1 on one card over several micro batches is not simulated yet"
        return NoEstimate(why, ("num_processes", "deepspeed"))
    if run.offload_optimizer or run.offload_param:
        return NoEstimate("DeepSpeed's offloading is not simulated yet", ("offload_optimizer", "deepspeed"))
    if not run.zero_contiguous_gradients or not (run.bf16 or run.fp16):
        return NoEstimate("DeepSpeed is simulated in 16 bit and with contiguous gradients", ("deepspeed",))
    return _of_either(run, "DeepSpeed", "deepspeed")


def _of_either(run: Run, name: str, key: str) -> NoEstimate | None:
    """What neither is simulated with."""
    if run.load_in_4bit or run.load_in_8bit:
        return NoEstimate(f"a quantised base under {name} is not simulated yet", (key,))
    if run.optim not in PLAIN_OPTIMIZERS:
        return NoEstimate(f"the optimizer {run.optim} under {name} is not simulated yet", ("optim",))
    if run.trainer not in TRAINERS:
        return NoEstimate(f"the trainer {run.trainer} under {name} is not simulated yet", ("trainer",))
    if run.eval_strategy != "no":
        return NoEstimate(f"evaluation under {name} is not simulated yet", ("eval_strategy",))
    return None
