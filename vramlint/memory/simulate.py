"""`Run` + `Architecture` + compute capability → `Estimate`: what is decided before the step is played, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from vramlint.catalog import Architecture, communicator_for, context_for, library_facts
from vramlint.dataclass import replace
from vramlint.memory.bands import SMALL_ABOVE, SMALL_BELOW, fragmentation_of, spread_of
from vramlint.memory.blocks import BlockShape, block_of
from vramlint.memory.capacity import MICRO_STEPS, replayed, replayed_expandable, required_of
from vramlint.memory.encoders.model import Encoder, encoder_of
from vramlint.memory.encoders.plan import plan_of as encoder_plan_of
from vramlint.memory.encoders.plan import refusal_of as encoder_refusal_of
from vramlint.memory.estimate import Assumption, Band, Estimate, NoEstimate, Parts, Peak, Tensor
from vramlint.memory.evaluation import evaluates, evaluation_loss
from vramlint.memory.inventory import inventory, saved_ends
from vramlint.memory.liger import liger_parts
from vramlint.memory.masks import masks_of
from vramlint.memory.micro_steps import first_micro_step
from vramlint.memory.operations import Setting
from vramlint.memory.optimizers import optimizer_of
from vramlint.memory.own_loops import OWN_LOOPS, block_under, left_plain, under_own_loop, untied
from vramlint.memory.parameters import Weight
from vramlint.memory.refusals import refusal_of
from vramlint.memory.sharding import sharding_of
from vramlint.memory.stacks import stacks_of
from vramlint.memory.step import play
from vramlint.memory.step_plan import Plan
from vramlint.memory.tape import Block, Moment, Tape
from vramlint.memory.trainers import (
    CLASSIFIER,
    CUT,
    CUT_CROSS_ENTROPY,
    FULL,
    FUSED,
    IN_PLACE,
    LIGER,
    SCORING,
    SMOOTHED,
    classifies,
    course_of,
    smooths,
    weights_of,
    without_dropout,
)
from vramlint.run import Run

MIB = 1 << 20
TAPES_KEPT = 64
"""A search for a plan plays some ten to forty."""
PARTS = ("weights", "adapters", "gradients", "optimizer", "activations", "logits", "workspace")


def estimate(
    run: Run, architecture: Architecture, *, capability: tuple[int, int] = (8, 0), replay: bool = True,
    small_card: bool = True,
) -> Estimate | NoEstimate:
    """The memory of `run` in bytes on a card of that capability, or why there is no number.

    `small_card`: whether it has no more than 24.5 GiB, which decides how unsloth computes its loss.

    Without `replay` it takes a third of the time: `required` is then a share of `allocated`, with a wide band. A plan is searched
    for without, and what it comes to asked with it: the step of a run that was asked about lately is not played anew.
    """
    played = _played(run, architecture, capability, small_card)
    return played if isinstance(played, NoEstimate) else _estimate_of(run, played, capability, replay=replay)


class Played(NamedTuple):
    """A run's plan, the tape of its step, and what the plan takes for granted."""

    plan: Plan
    tape: Tape
    assumptions: tuple[Assumption, ...]


@lru_cache(TAPES_KEPT)
def _played(
    run: Run, architecture: Architecture, capability: tuple[int, int], small_card: bool = True,
) -> Played | NoEstimate:
    encoder = encoder_of(run, architecture)
    if encoder is not None:
        return _of_encoder(run, architecture, encoder, capability)
    architecture = untied(run, architecture)
    block = block_under(run, architecture, block_of(architecture))
    refused = refusal_of(run, architecture, block)
    if refused is not None or block is None:
        return refused or NoEstimate("this architecture is not simulated yet", ("model_name_or_path",))
    assumptions: list[Assumption] = []
    plan = under_own_loop(run, _plan(run, architecture, block, capability, assumptions))
    if not small_card:
        plan = replace(plan, setting=replace(plan.setting, small_card=False))
    setting = plan.setting
    if plan.loss == CUT and plan.head == "float32":  # cut_cross_entropy 5f0c7a7, cce_backward.py asserts it
        return NoEstimate("cut cross entropy wants a head in 16 bits: the run ends in an error", ("loss_type", "dtype"))
    if plan.loss == FUSED and capability < (8, 0) and "bfloat16" in (setting.autocast, setting.autocast or setting.weight):
        return NoEstimate(
            "TRL's fused head fails in bfloat16 below compute capability 8.0, which has no product of it in fp32",
            ("bf16",),
        )
    return Played(plan, play(plan), tuple(assumptions))


def _of_encoder(run: Run, a: Architecture, encoder: Encoder, capability: tuple[int, int]) -> Played | NoEstimate:
    refused = encoder_refusal_of(run, a, encoder)
    if refused is not None:
        return refused
    assumptions: list[Assumption] = []
    dtype = _dtype(run, a, assumptions)
    plan = encoder_plan_of(
        run, a, encoder, capability, _workspace(capability), _attention(run, capability, dtype), dtype, assumptions,
    )
    return Played(plan, play(plan), tuple(assumptions))


def _dtype(run: Run, a: Architecture, assumptions: list[Assumption]) -> str:
    """The dtype that the weights are loaded in."""
    if run.dtype != "auto":
        return run.dtype
    if a.dtype is None:
        assumptions.append(Assumption("dtype", "bfloat16", "the dtype of the published checkpoint is not in the catalogue"))
    return a.dtype or "bfloat16"


def _plan(
    run: Run, a: Architecture, block: BlockShape, capability: tuple[int, int], assumptions: list[Assumption],
) -> Plan:
    dtype = _dtype(run, a, assumptions)
    facts = library_facts(run.stack, a.model_type)
    bits = 4 if run.load_in_4bit else 8 if run.load_in_8bit else 0
    course = course_of(run)
    if course.drops_nothing:
        a = without_dropout(a)
    quantized_trl = run.trainer.startswith("trl-") and bool(bits)
    upcast = run.autocast_adapter_dtype and (run.trainer not in OWN_LOOPS or OWN_LOOPS[run.trainer].peft)
    adapter = "bfloat16" if quantized_trl else "float32" if upcast else dtype
    if bits and block.own_linear:  # nothing is quantised, and what is not is turned into fp32
        dtype, bits = "float32" if run.prepare_model_for_kbit_training else dtype, 0
        run = replace(run, load_in_4bit=False, load_in_8bit=False)
        why = f"bitsandbytes leaves the linear layers of {a.model_type}, which are of a class of their own, as they are"
        assumptions.append(Assumption("load_in_4bit", "no effect", why))
    sharding = sharding_of(run, a.hidden_size)
    mixed = sharding.mixed if sharding is not None and sharding.kind != "ddp" else None
    if sharding is not None and mixed:
        sharding = replace(sharding, kept=dtype if run.trainer in OWN_LOOPS else None)
        dtype = adapter = mixed  # FSDP gathers in it, DeepSpeed turns the model to it
    stacks = left_plain(run, a, stacks_of(run, a, block))
    weights = tuple(inventory(a, block, stacks, run, dtype, adapter))
    weights = weights_of(run, a, course, weights)
    outer = next(weight.dtype for weight in weights if weight.name == "embedding")
    flash = run.attn_implementation in ("flash_attention_2", "flash_attention_3")
    flat = run.trainer == "trl-sft" and (run.padding_free or (run.packing and run.packing_strategy != "wrapped"))
    batch, length = run.per_device_train_batch_size * course.rows, int(run.max_length or 0)
    if flat:
        batch, length = 1, batch * length
    kernels = liger_parts(run, a.model_type)
    kernel = "eager" if block.sinks else _attention(run, capability, dtype)
    # Rows laid end to end are kept apart by a mask, unless the kernel takes their lengths.
    masks = masks_of(
        a, length=length, attention="flash" if flash else kernel, dtype=outer, facts=facts,
        padded=run.padding and (run.trainer not in OWN_LOOPS or OWN_LOOPS[run.trainer].masks), flat=flat,
    )
    setting = Setting(
        batch=batch, length=length,
        autocast="bfloat16" if run.bf16 else "float16" if run.fp16 else None,
        weight=dtype, norm_weight=outer, trained=not run.use_peft, adapter=adapter, rank=run.lora_r,
        dropout=0.0 if course.drops_nothing else run.lora_dropout,
        bits=bits, compute=run.bnb_4bit_compute_dtype, attention=kernel, masks=masks, capability=capability,
        liger="mlp" in kernels, liger_norm="norm" in kernels, liger_rope="rope" in kernels, facts=facts,
        dora="" if not (run.use_peft and run.use_dora) else "again" if run.lora_dropout else "plain",
    )
    optimizer = optimizer_of(run)
    if optimizer.torchao and capability < (8, 0) and (adapter if run.use_peft else dtype) == "bfloat16":
        optimizer = replace(optimizer, update="torchao_eager")
    checkpointing, loss = run.gradient_checkpointing, _loss(run, a, facts)
    eval_rows = run.per_device_eval_batch_size * course.rows
    eval_length = int(run.max_length or 0)
    if evaluates(run):
        assumptions.append(Assumption("compute_metrics", "none", "evaluation is taken to keep its losses only"))
    if a.model_type == "gpt_oss":
        why = "the published checkpoints are in mxfp4, which transformers does not train: it is taken to be unpacked"
        assumptions.append(Assumption("quantization_config", "Mxfp4Config(dequantize=True)", why))
    if a.kind == "image-text-to-text":
        why = "the language model is counted; a tower for images, where the framework loads one with it, comes on top"
        assumptions.append(Assumption("task", "causal-lm", why))
    if block.hybrid:
        why = "gated delta nets are computed by transformers' own code; flash-linear-attention's kernels take less"
        assumptions.append(Assumption("kernels", "none", why))
    if block.experts is not None:
        assumptions.append(Assumption("experts_implementation", "grouped_mm", "transformers' default; others take more"))
    if classifies(run) or saved_ends(run):  # the head shares nothing with the embedding
        a = replace(a, tie_word_embeddings=False)
    return Plan(
        architecture=a, block=block, stacks=stacks, weights=weights, setting=setting,
        optimizer=optimizer, checkpointing=checkpointing,
        loss=loss, course=course,
        evaluation=((1, eval_rows * eval_length) if flat else (eval_rows, eval_length)) + (evaluation_loss(run, loss),)
        if evaluates(run) else None,
        accumulates=run.gradient_accumulation_steps > 1 and not optimizer.in_backward,
        embeds_gradient=not run.use_peft or checkpointing or "embedding" in saved_ends(run),
        runs_ahead=not run.use_reentrant,
        keeps_inputs=bits == 8 and not run.use_reentrant, offloads=run.activation_offloading,
        head=next((weight.dtype for weight in weights if weight.name == "head"), outer),
        workspace=_workspace(capability), sharding=sharding,
    )


def _loss(run: Run, a: Architecture, facts: frozenset[str]) -> str:
    """Which loss is computed: the logits in full, Liger's chunks, TRL's tiles, a classifier's, the Trainer's own, cut ones.

    TRL's trainers take Liger's layers and keep their own head (trl 1.16, sft_trainer.py, fused_linear_cross_entropy).
    """
    if classifies(run):
        return CLASSIFIER
    if smooths(run):
        return SMOOTHED
    tiled = run.trainer in SCORING or (run.trainer == "trl-sft" and "sft-loss-in-full" not in facts)
    if tiled and (run.trainer in SCORING or run.loss_type in (None, "nll", "chunked_nll")):
        return FUSED
    if run.loss_type == CUT_CROSS_ENTROPY:
        return CUT
    kernels = liger_parts(run, a.model_type)
    return LIGER if "fused loss" in kernels else IN_PLACE if "loss" in kernels else FULL


def _workspace(capability: tuple[int, int]) -> int:
    """cuBLAS's per handle: parseChosenWorkspaceSize of torch 2.11, aten/src/ATen/cuda/CUDABlas.cpp; 12.0 measured as 8.0."""
    return 32 * MIB if capability == (9, 0) else 8_519_680


def _attention(run: Run, capability: tuple[int, int], dtype: str) -> str:
    """sdpa's fused kernels take bf16 from compute capability 8.0 on; below it computes the scores in full (sdp_utils.cpp)."""
    computed = "bfloat16" if run.bf16 else "float16" if run.fp16 else dtype
    if run.attn_implementation in (None, "sdpa") and computed == "bfloat16" and capability < (8, 0):
        return "math"
    return run.attn_implementation or "sdpa"


def _estimate_of(run: Run, played: Played, capability: tuple[int, int], *, replay: bool) -> Estimate:
    plan, tape, assumptions = played.plan, played.tape, list(played.assumptions)
    generates = plan.course.generation is not None
    before = _micro_step_before(plan, tape) if plan.accumulates and (replay or generates) else None
    # What the backward pass left free is given back for the temporaries of clipping and of an optimizer, too.
    searched = plan.checkpointing or tape.settle().phase in ("gradient clipping", "optimizer step")
    micro_steps = min(run.gradient_accumulation_steps, MICRO_STEPS[plan.setting.trained])
    found = None
    if replay and plan.expandable:
        found = replayed_expandable(tape, before, micro_steps=micro_steps, spare=plan.spare)
    elif replay:
        found = replayed(
            tape, before, recomputes=searched, micro_steps=micro_steps,
            parameters=sum(weight.elements * weight.count for weight in plan.weights),
        )
    fullest = tape.settle()
    if before is not None and generates:  # completions are written before there are gradients
        fullest = max(before.settle(), fullest, key=lambda moment: moment.total)
    moment = _with_rests(fullest, found.rests if found else 0)
    allocated = moment.total
    below, above = spread_of(run, plan, assumptions)
    low, high = int(allocated * (1 - below)) - SMALL_BELOW, int(allocated * (1 + above)) + SMALL_ABOVE
    live = Band(low, allocated, high)
    # What FSDP gathers has streams, and so segments, of its own, and DeepSpeed's buffers come and go: the replay knows neither,
    # nor that the first step's clipping, ahead of the optimizer's states, leaves a segment for the next one's.
    knows = (plan.sharding is None or plan.sharding.kind == "ddp") and fullest.phase != "gradient clipping"
    tight = Band(low - plan.spare, allocated - plan.spare, high - plan.spare)
    needs = required_of(found if knows else None, tight, fragmentation_of(run, plan, assumptions))
    context = Band(*(
        own + sent for own, sent in zip(context_for(capability), communicator_for(run.num_processes), strict=True)
    ))
    if plan.sharding is not None:
        assumptions.append(Assumption(
            "num_processes", str(run.num_processes), "NCCL's buffers outside the allocator depend on how the cards are joined",
        ))
    device = Band(needs.low + context.low, needs.typical + context.typical, needs.high + context.high)
    paged = sum(
        plan.optimizer.states * max(plan.optimizer.state_bytes, 1) * weight.elements * weight.count
        for weight in plan.weights if weight.trained
    ) if plan.optimizer.paged else 0
    if paged:
        # The driver moves managed memory out where plain memory is asked for: uvm_pmm_gpu.c of NVIDIA's open kernel modules.
        why = "paged states are on the card while there is room, else in the host's memory"
        assumptions.append(Assumption("optim", run.optim, why))
    context = Band(context.low, context.typical + paged, context.high + paged)
    if run.padding and not run.packing:
        assumptions.append(Assumption("max_length", str(run.max_length), "every batch is taken to reach the full length"))
    trained = sum(weight.elements * weight.count for weight in plan.weights if weight.trained)
    every = sum(
        weight.elements * weight.count for weight in plan.weights if not weight.name.startswith("4-bit")
    )
    return Estimate(
        allocated=live, required=needs, context=context, device=device,
        peak=_peak_of(moment, tape), trainable_parameters=trained, total_parameters=every,
        kernels=f"compute capability {capability[0]}.{capability[1]}", assumptions=tuple(assumptions),
        narrowest_adapted=min((min(weight.shape) for weight in _adapted(plan)), default=None),
    )


def _micro_step_before(plan: Plan, tape: Tape) -> Tape:
    """The tape of the first of several micro steps, of which `tape` is the last: played, where more is different in it."""
    tied = plan.setting.trained and plan.architecture.tie_word_embeddings and (plan.pieces or plan.loss in (FUSED, LIGER, CUT))
    sends = plan.sharding is not None and plan.sharding.kind != "ddp"
    if tied or sends or plan.course.generation is not None or plan.encoder is not None:
        return play(replace(plan, accumulates=False, evaluation=None))
    return first_micro_step(tape)


def _adapted(plan: Plan) -> Iterator[Weight]:
    """The weights beside which LoRA's are."""
    beside = {weight.name.removesuffix(".lora_A") for weight in plan.weights if weight.name.endswith(".lora_A")}
    return (weight for weight in plan.weights if weight.name in beside)


def _with_rests(moment: Moment, size: int) -> Moment:
    """`memory_allocated()` counts blocks with what of them was not asked for."""
    rests = Block(size, "workspace", "rests of blocks that the allocator does not split", (), "")
    return Moment(moment.phase, moment.total + size, (*moment.blocks, rests)) if size else moment


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
