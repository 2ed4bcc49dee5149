"""A run of an encoder as a plan, and why there may be none."""

from __future__ import annotations

from vramlint.catalog import Architecture
from vramlint.memory.blocks import BlockShape
from vramlint.memory.encoders.model import Encoder
from vramlint.memory.encoders.shapes import TASKS
from vramlint.memory.encoders.weights import inventory
from vramlint.memory.estimate import Assumption, NoEstimate
from vramlint.memory.evaluation import evaluates
from vramlint.memory.masks import NO_MASKS, Masks
from vramlint.memory.operations import Setting
from vramlint.memory.optimizers import optimizer_of
from vramlint.memory.refusals import beyond_positions, common_refusal_of, no_match
from vramlint.memory.step_plan import Plan
from vramlint.memory.trainers import FULL
from vramlint.run import Run

NO_BLOCK = BlockShape(names=())


def refusal_of(run: Run, a: Architecture, encoder: Encoder) -> NoEstimate | None:
    """Why there is no number for this run of an encoder, or None."""
    refused = common_refusal_of(run, a)
    if refused is not None:
        return refused
    if run.trainer != "transformers":
        return NoEstimate(f"{a.model_type} is not simulated under the trainer {run.trainer}", ("trainer", "model_name_or_path"))
    wanted = ("seq2seq-lm",) if encoder.decoder is not None else TASKS
    if encoder.task not in wanted:
        known = ", ".join(wanted)
        return NoEstimate(f"{a.model_type} is not simulated under this head ({encoder.task}), only as {known}", ("task",))
    if run.num_processes > 1 or run.deepspeed or run.fsdp or run.zero_stage:
        return NoEstimate(f"{a.model_type} on several cards is not simulated yet", ("num_processes", "deepspeed"))
    if run.load_in_4bit or run.load_in_8bit:
        return NoEstimate(f"a quantised {a.model_type} is not simulated yet", ("load_in_4bit", "load_in_8bit"))
    if run.packing or run.padding_free or (run.attn_implementation not in (None, "eager", "sdpa")):
        return NoEstimate(
            f"{a.model_type} is simulated with eager and sdpa attention over batches that are not packed",
            ("attn_implementation", "packing"),
        )
    if optimizer_of(run).in_backward or run.optim.startswith(("galore", "apollo")):
        return NoEstimate(f"{a.model_type} is not simulated with {run.optim} yet", ("optim",))
    if run.use_peft and (run.use_dora or run.lora_modules_to_save or run.lora_bias != "none"):
        return NoEstimate(
            f"{a.model_type} is simulated with plain LoRA only, not with DoRA, modules_to_save or biases",
            ("use_dora", "lora_modules_to_save", "lora_bias"),
        )
    if run.label_smoothing_factor:
        return NoEstimate(f"{a.model_type} is not simulated with smoothed labels yet", ("label_smoothing_factor",))
    if run.gradient_checkpointing and run.use_reentrant:
        return NoEstimate(f"{a.model_type} is not simulated with reentrant checkpointing yet", ("use_reentrant",))
    longest = a.learned_positions
    if longest and (run.max_length or 0) > longest:
        return beyond_positions(run, longest)
    if longest and encoder.decoder is not None and encoder.target > longest:
        return NoEstimate(
            f"max_target_length {encoder.target} is beyond the model's {longest} positions", ("max_target_length",),
        )
    if not 0 < encoder.labels <= 1 << 20:
        return NoEstimate(f"{encoder.labels} labels are none", ("num_labels",))
    if run.use_peft and encoder.task == "token-cls" and run.lora_target_modules == "all-linear":
        return NoEstimate(
            "peft puts LoRA on a token classifier's head by all-linear, then refuses to train it whole: the run ends in an error",
            ("lora_target_modules",),
        )
    if run.use_peft and not encoder.adapted:
        return no_match(run, a)
    return None


def plan_of(
    run: Run, a: Architecture, encoder: Encoder, capability: tuple[int, int], workspace: int, attention: str, dtype: str,
    assumptions: list[Assumption],
) -> Plan:
    """All that the step needs to know. `attention`: the kernel; `dtype`: that of the weights as loaded."""
    if run.task is None:
        assumptions.append(Assumption("task", encoder.task, "which head is trained is not stated: taken for the model's own"))
    if encoder.decoder is not None and run.max_target_length is None:
        assumptions.append(Assumption("max_target_length", str(encoder.target), "targets are taken to be as long as max_length"))
    if evaluates(run):
        assumptions.append(Assumption("compute_metrics", "none", "evaluation is taken to keep its losses only"))
    adapter = "float32" if run.autocast_adapter_dtype else dtype
    weights = tuple(inventory(a, encoder, run, dtype, adapter))
    setting = Setting(
        batch=run.per_device_train_batch_size, length=int(run.max_length or 0),
        autocast="bfloat16" if run.bf16 else "float16" if run.fp16 else None,
        weight=dtype, norm_weight=dtype, trained=not run.use_peft, adapter=adapter, rank=run.lora_r, dropout=run.lora_dropout,
        bits=0, compute=run.bnb_4bit_compute_dtype, attention=attention,
        masks=Masks(1, "bool", per_row=True, used=True) if run.padding else NO_MASKS,
        liger=False, capability=capability,
    )
    return Plan(
        architecture=a, block=NO_BLOCK, stacks=(), weights=weights, setting=setting, optimizer=optimizer_of(run),
        checkpointing=run.gradient_checkpointing, loss=FULL,
        accumulates=run.gradient_accumulation_steps > 1,
        embeds_gradient=not run.use_peft or run.gradient_checkpointing, head=dtype, workspace=workspace, encoder=encoder,
        evaluation=(run.per_device_eval_batch_size, int(run.max_length or 0), FULL) if evaluates(run) else None,
    )
