"""`Run` + `Architecture` + compute capability → `Estimate`: what is decided before the step is played, and what is made of it."""

from __future__ import annotations

from vramlint.catalog import LIGER_MODEL_TYPES, Architecture, context_for, library_facts
from vramlint.dataclass import replace
from vramlint.memory.blocks import BlockShape, block_of
from vramlint.memory.capacity import replayed, required_of
from vramlint.memory.estimate import Assumption, Band, Estimate, NoEstimate, Parts, Peak, Tensor
from vramlint.memory.evaluation import evaluates, evaluation_loss
from vramlint.memory.inventory import inventory
from vramlint.memory.masks import masks_of
from vramlint.memory.operations import Setting
from vramlint.memory.optimizers import OPTIMIZERS
from vramlint.memory.parameters import lora_targets, projections_of
from vramlint.memory.step import play
from vramlint.memory.step_plan import Plan
from vramlint.memory.tape import Block, Moment, Tape
from vramlint.memory.trainers import (
    CLASSIFIER,
    CLASSIFYING,
    FULL,
    FUSED,
    LIGER,
    SCORING,
    TRAINERS,
    course_of,
    weights_of,
    without_dropout,
)
from vramlint.run import Run

MIB = 1 << 20
DECISIVE = (
    "model_name_or_path", "per_device_train_batch_size", "max_length", "load_in_4bit", "load_in_8bit", "use_peft", "lora_r",
    "lora_target_modules", "gradient_checkpointing", "optim", "dtype", "bf16", "fp16", "attn_implementation",
    "use_liger_kernel", "packing",
)
PARTS = ("weights", "adapters", "gradients", "optimizer", "activations", "logits", "workspace")
LARGEST_BATCH = 1 << 20
SMALL_THINGS = 16 * MIB
"""Buffers, scalars and unsplit rests that are not simulated; they show on models under a billion parameters."""


def estimate(
    run: Run, architecture: Architecture, *, capability: tuple[int, int] = (8, 0), replay: bool = True,
) -> Estimate | NoEstimate:
    """The memory of `run` in bytes on a card of that capability, or why there is no number.

    Without `replay` it takes a third of the time: `required` is then a share of `allocated`, with a wide band.
    """
    block = block_of(architecture)
    refused = _refusal(run, architecture, block)
    if refused is not None or block is None:
        return refused or NoEstimate("this architecture is not simulated yet", ("model_name_or_path",))
    assumptions: list[Assumption] = []
    plan = _plan(run, architecture, block, capability, assumptions)
    tape = play(plan)
    return _estimate_of(run, plan, tape, capability, assumptions, replay=replay)


ATTENTIONS = frozenset({
    "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flash_attention_4", "flex_attention", "flash_attn", "flash",
    "auto", "fa2", "fa3", "disabled", "torch", "te", "xformers", "ffpa", "math", "mem_efficient",
})
"""Words for attention kernels, of transformers 5.17 (modeling_utils.py) and of the others; with `/` one of the hub."""


def _refusal(run: Run, a: Architecture, block: BlockShape | None) -> NoEstimate | None:
    unknown = [key for key in DECISIVE if key in run.unknown]
    if unknown:
        return NoEstimate(f"{unknown[0]} is not known: {run.unknown[unknown[0]]}", tuple(unknown))
    if block is None:
        return NoEstimate(f"the architecture {a.model_type} is not simulated yet", ("model_name_or_path",))
    if run.trainer not in TRAINERS:
        return NoEstimate(f"the trainer {run.trainer} is not simulated yet", ("trainer",))
    if run.use_vllm:
        return NoEstimate("what vLLM takes beside the training is not simulated yet", ("use_vllm",))
    if run.trainer in SCORING and "sft-loss-in-full" in library_facts(run.stack, a.model_type):
        return NoEstimate(f"the trainer {run.trainer} is not simulated for TRL before 1.7 yet", ("trainer",))
    kernel = run.attn_implementation
    if kernel is not None and kernel not in ATTENTIONS and "/" not in kernel and "|" not in kernel:
        return NoEstimate(f"there is no attention implementation {kernel!r}", ("attn_implementation",))
    if run.max_length is None:
        return NoEstimate("max_length is not known", ("max_length",))
    if run.optim not in OPTIMIZERS:
        return NoEstimate(f"the optimizer {run.optim} is not simulated yet", ("optim",))
    if not 0 < run.per_device_train_batch_size <= LARGEST_BATCH:
        return NoEstimate(f"a batch of {run.per_device_train_batch_size} is none", ("per_device_train_batch_size",))
    if run.use_peft and (run.peft_type != "LORA" or run.use_dora or run.lora_modules_to_save):
        return NoEstimate("this kind of adapter is not simulated yet", ("use_dora", "lora_modules_to_save"))
    if run.num_processes > 1 or run.zero_stage or run.deepspeed or run.fsdp or run.tensor_parallel_size > 1:
        return NoEstimate("runs on several GPUs are not simulated yet", ("deepspeed", "num_processes"))
    if a.max_position_embeddings and block.learned_positions and run.max_length > a.max_position_embeddings:
        return NoEstimate(
            f"max_length {run.max_length} is beyond the model's {a.max_position_embeddings} positions", ("max_length",),
        )
    if (run.load_in_4bit or run.load_in_8bit) and not run.use_peft:
        return NoEstimate("a quantised base cannot be trained without adapters", ("use_peft", "load_in_4bit"))
    if run.use_peft and not any(p.adapted for p in projections_of(a, block, run)):
        return NoEstimate(
            f"LoRA's target modules {', '.join(lora_targets(a, run)) or '(none)'} match nothing in {a.model_type}",
            ("lora_target_modules",),
        )
    return None


def _plan(
    run: Run, a: Architecture, block: BlockShape, capability: tuple[int, int], assumptions: list[Assumption],
) -> Plan:
    dtype = run.dtype
    facts = library_facts(run.stack, a.model_type)
    if dtype == "auto":
        dtype = a.dtype or "bfloat16"  # type: ignore[assignment]
        if a.dtype is None:
            assumptions.append(Assumption("dtype", "bfloat16", "the dtype of the published checkpoint is not in the catalogue"))
    bits = 4 if run.load_in_4bit else 8 if run.load_in_8bit else 0
    course = course_of(run)
    if course.drops_nothing:
        a = without_dropout(a)
    quantized_trl = run.trainer.startswith("trl-") and bool(bits)
    adapter = "bfloat16" if quantized_trl else "float32" if run.autocast_adapter_dtype else dtype
    projections = projections_of(a, block, run)
    weights = tuple(inventory(a, block, projections, run, dtype, adapter))
    weights = weights_of(run, a, course, weights)
    outer = next(weight.dtype for weight in weights if weight.name == "embedding")
    flash = run.attn_implementation in ("flash_attention_2", "flash_attention_3")
    flat = run.trainer == "trl-sft" and (run.padding_free or (run.packing and run.packing_strategy != "wrapped"))
    batch, length = run.per_device_train_batch_size * course.rows, int(run.max_length or 0)
    if flat:
        batch, length = 1, batch * length
    kernel = _attention(run, capability, dtype)
    # Rows laid end to end are kept apart by a mask, unless the kernel takes their lengths.
    masks = masks_of(
        a, length=length, attention="flash" if flash else kernel, dtype=outer, padded=run.padding, flat=flat, facts=facts,
    )
    setting = Setting(
        batch=batch, length=length,
        autocast="bfloat16" if run.bf16 else "float16" if run.fp16 else None,
        weight=dtype, norm_weight=outer, trained=not run.use_peft, adapter=adapter, rank=run.lora_r,
        dropout=0.0 if course.drops_nothing else run.lora_dropout,
        bits=bits, compute=run.bnb_4bit_compute_dtype, attention=kernel, masks=masks, capability=capability,
        liger=run.use_liger_kernel and a.model_type in LIGER_MODEL_TYPES, facts=facts,
    )
    checkpointing, loss = run.gradient_checkpointing, _loss(run, a, facts)
    eval_rows = run.per_device_eval_batch_size * course.rows
    eval_length = int(run.max_length or 0)
    if evaluates(run):
        assumptions.append(Assumption("compute_metrics", "none", "evaluation is taken to keep its losses only"))
    if run.trainer in CLASSIFYING:  # its head shares nothing with the embedding
        a = replace(a, tie_word_embeddings=False)
    return Plan(
        architecture=a, block=block, projections=projections, weights=weights, setting=setting,
        optimizer=OPTIMIZERS[run.optim], checkpointing=checkpointing,
        loss=loss, course=course,
        evaluation=((1, eval_rows * eval_length) if flat else (eval_rows, eval_length)) + (evaluation_loss(run, loss),)
        if evaluates(run) else None,
        accumulates=run.gradient_accumulation_steps > 1, embeds_gradient=not run.use_peft or checkpointing,
        # Elsewhere a layer ends in a weight that the checkpoint keeps.
        runs_ahead=bits == 4 and not run.use_reentrant, offloads=run.activation_offloading, head=outer,
        workspace=_workspace(capability),
    )


def _loss(run: Run, a: Architecture, facts: frozenset[str]) -> str:
    """Which loss is computed: the logits in full, Liger's chunks, TRL's tiles, or a classifier's.

    TRL's trainers take Liger's layers and keep their own head (trl 1.16, sft_trainer.py, fused_linear_cross_entropy).
    """
    if run.trainer in CLASSIFYING:
        return CLASSIFIER
    tiled = run.trainer in SCORING or (run.trainer == "trl-sft" and "sft-loss-in-full" not in facts)
    if tiled and (run.trainer in SCORING or run.loss_type in (None, "nll", "chunked_nll")):
        return FUSED
    if run.use_liger_kernel and a.model_type in LIGER_MODEL_TYPES:  # other models it leaves as they are
        return LIGER
    return FULL


def _workspace(capability: tuple[int, int]) -> int:
    """cuBLAS's per handle: parseChosenWorkspaceSize of torch 2.11, aten/src/ATen/cuda/CUDABlas.cpp; 12.0 measured as 8.0."""
    return 32 * MIB if capability == (9, 0) else 8_519_680


def _attention(run: Run, capability: tuple[int, int], dtype: str) -> str:
    """sdpa's fused kernels take bf16 from compute capability 8.0 on; below it computes the scores in full (sdp_utils.cpp)."""
    computed = "bfloat16" if run.bf16 else "float16" if run.fp16 else dtype
    if run.attn_implementation in (None, "sdpa") and computed == "bfloat16" and capability < (8, 0):
        return "math"
    return run.attn_implementation or "sdpa"


def _estimate_of(
    run: Run, plan: Plan, tape: Tape, capability: tuple[int, int], assumptions: list[Assumption], *,
    replay: bool,
) -> Estimate:
    generates = plan.course.generation is not None
    before = play(replace(plan, accumulates=False, evaluation=None)) if plan.accumulates and (replay or generates) else None
    found = replayed(tape, before, recomputes=plan.checkpointing) if replay else None
    fullest = tape.settle()
    if before is not None and generates:  # completions are written before there are gradients
        fullest = max(before.settle(), fullest, key=lambda moment: moment.total)
    moment = _with_rests(fullest, found.rests if found else 0)
    allocated = moment.total
    below, above = _spread(run, plan, assumptions)
    low, high = int(allocated * (1 - below)) - SMALL_THINGS, int(allocated * (1 + above)) + SMALL_THINGS
    live = Band(low, allocated, high)
    needs = required_of(found, live, _fragmentation(run, plan, assumptions))
    context = Band(*context_for(capability))
    paged = sum(
        plan.optimizer.states * max(plan.optimizer.state_bytes, 1) * weight.elements * weight.count
        for weight in plan.weights if weight.trained
    ) if plan.optimizer.paged else 0
    if paged:
        assumptions.append(Assumption("optim", run.optim, "paged states are taken to be on the card when there is room"))
    context = Band(context.low, context.typical + paged, context.high + paged)
    if run.padding and not run.packing:
        assumptions.append(Assumption("max_length", str(run.max_length), "every batch is taken to reach the full length"))
    device = Band(needs.low + context.low, needs.typical + context.typical, needs.high + context.high)
    trained = sum(weight.elements * weight.count for weight in plan.weights if weight.trained)
    every = sum(
        weight.elements * weight.count for weight in plan.weights if not weight.name.startswith("4-bit")
    )
    return Estimate(
        allocated=live, required=needs, context=context, device=device,
        peak=_peak_of(moment, tape), trainable_parameters=trained, total_parameters=every,
        kernels=f"compute capability {capability[0]}.{capability[1]}", assumptions=tuple(assumptions),
    )


def _fragmentation(run: Run, plan: Plan, assumptions: list[Assumption]) -> float:
    """How much higher the high end of `required` lies where free memory is known to be cut up more than is simulated."""
    found = 0.0
    for applies, share, key, why in (
        (plan.checkpointing and plan.setting.liger and plan.setting.bits, 0.1, "use_liger_kernel",
         "4-bit layers with Liger under checkpointing leave more holes than are simulated"),
        (plan.checkpointing and plan.block.conv1d and plan.setting.trained, 0.18, "gradient_checkpointing",
         "gradients of Conv1D layers leave more holes than are simulated"),
        (run.trainer in CLASSIFYING and plan.setting.attention == "math", 0.1, "trainer",
         "rewards over attention in full leave more holes than are simulated"),
    ):
        if applies:
            found = max(found, share)
            assumptions.append(Assumption(key, str(getattr(run, key, "")), f"{why}: the band is wider"))
    return found


def _with_rests(moment: Moment, size: int) -> Moment:
    """`memory_allocated()` counts blocks with what of them was not asked for."""
    rests = Block(size, "workspace", "rests of blocks that the allocator does not split", (), "")
    return Moment(moment.phase, moment.total + size, (*moment.blocks, rests)) if size else moment


def _spread(run: Run, plan: Plan, assumptions: list[Assumption]) -> tuple[float, float]:
    """How far the truth may lie below and above, as shares; each reason that widens it is named.

    From the errors of the rows in lab/data/measured that are not held out, with half as much again beside them.
    """
    below, above = 0.008, 0.012
    for applies, lower, upper, key, why in (
        (run.trainer != "transformers", 0.014, 0.018, "trainer", "TRL's trainers are simulated from fewer measured runs"),
        (plan.setting.liger, 0.004, 0.01, "use_liger_kernel", "what Liger's kernels take beside their tensors is not simulated"),
        (plan.setting.attention == "eager", 0.002, 0.006, "attn_implementation", "eager attention differs between architectures"),
        (plan.optimizer.blockwise or plan.optimizer.paged, 0.002, 0.008, "optim", "its states are kept in pieces of its own"),
        (plan.optimizer.factored, 0.14, 0.1, "optim", "its temporaries are simulated roughly"),
        (plan.offloads, 0.08, 0.03, "activation_offloading", "what is still being copied depends on the machine"),
        (bool(run.stack), 0.004, 0.02, "stack", "older versions are simulated from fewer measured runs"),
    ):
        if applies:
            below, above = below + lower, above + upper
            assumptions.append(Assumption(key, str(getattr(run, key, "")), f"{why}: the band is wider"))
    return below, above


def _peak_of(moment: Moment, tape: Tape) -> Peak:
    by_part = dict.fromkeys(PARTS, 0)
    kinds: dict[tuple[str, tuple[int, ...], str, str], list[int]] = {}
    for block in moment.blocks:
        by_part[block.part] += block.size * block.count
        kind = kinds.setdefault((block.what, block.shape, block.dtype, block.part), [0, 0])
        kind[0] += block.count
        kind[1] += block.size * block.count
    largest = sorted(kinds.items(), key=lambda item: -item[1][1])[:5]
    others = sorted((total, phase) for phase, total in tape.peak_by_phase.items() if phase != moment.phase)
    return Peak(
        phase=f"{moment.phase}, step 2",
        parts=Parts(**by_part),
        tensors=tuple(
            Tensor(what, shape, dtype, count, size, part) for (what, shape, dtype, part), (count, size) in largest
        ),
        next_phase=others[-1][1] if others else None,
        next_allocated=others[-1][0] if others else None,
        phases=tuple(tape.peak_by_phase.items()),
    )
