"""Frameworks that do not train with transformers' Trainer: what their own models and loops do otherwise, as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from vramlint.catalog import Architecture
from vramlint.dataclass import dataclass, replace
from vramlint.memory.blocks import BLOCKS, LLAMA, BlockShape
from vramlint.memory.dtypes import BYTES
from vramlint.memory.estimate import NoEstimate
from vramlint.memory.parameters import Weight
from vramlint.memory.pieces import PIECES, Pieces
from vramlint.memory.stacks import Stack
from vramlint.memory.step_plan import Plan
from vramlint.memory.trainers import FULL
from vramlint.memory.unsloth.run import refusals, under_unsloth
from vramlint.run import Run


@dataclass(frozen=True, slots=True)
class OwnLoop:
    """One framework.

    `blocks`: a decoder layer of each model type it has, as it writes them. `facts`: what holds for its operations.
    `unpacks`: whose 4-bit layers it has, under peft ("bitsandbytes") or not. `quantizes_adapted`: model types whose other layers
    it leaves as they are. `unties`: whether its head shares nothing with the embedding (`unties_of`: that of
    which model types). `tables_fit`: whether its cosines and
    sines are those of the tokens of a row, not of all positions that the model has. `turns_once`: whether one table of them
    serves all layers; else LoRA's builders make one for each, but those of llama 3.1 and later. `losses`: how the loss is cut
    up, by `loss_type`, and by "adapters" where adapters are trained; None where it is computed from the logits in full.
    `masks`: whether the model is told where rows are padded. `holds_outputs`: see `Plan`. `has_tables`: whether it keeps cosines
    and sines of all positions. `runs_ahead`: whether its checkpoints are without reentry. `stops_early`, `clips_wide`: see
    `Plan`.
    `peft`: whether its adapters are peft's, in fp32 unless a run says otherwise.
    `source`: the version that all of this was read and measured from.
    """

    source: str
    blocks: Mapping[str, BlockShape]
    losses: Mapping[str | None, Pieces | None]
    facts: frozenset[str] = frozenset()
    unpacks: str = "bitsandbytes"
    unties: bool = False
    unties_of: frozenset[str] = frozenset()
    tables_fit: bool = False
    turns_once: bool = True
    quantizes_adapted: frozenset[str] = frozenset()
    masks: bool = False
    holds_outputs: bool = False
    has_tables: bool = True
    runs_ahead: bool = False
    stops_early: bool = True
    clips_wide: bool = False
    peft: bool = False


OPERATIONS = "op"
"""The word for checkpoints that keep what some operations give."""
POSITIONS = 4096
SCALED = 131072
"""Positions of a model that says none, and of llama since 3.1."""
NOT_IN_LAYERS = ("gpt2", "gpt_neox", "opt", "falcon", "gpt_bigcode")
"""Model types whose layers are not at `model.layers`: NeMo Automodel guesses them, and puts its checkpoints elsewhere."""
_REPEATED = frozenset({"keys-repeated-in-sdpa"})
_PAIRS = replace(LLAMA, rotation="pairs")
_LINEAR = Pieces(8, picks=True, upcasts=True)
_NEMO = replace(LLAMA, norm="rms-fused", parts_checkpointed=True)
_LITGPT = replace(
    LLAMA, norm="rms-fp32", rotation="halves-fp32", qkv="fused", partial_rope=True,
    names=("qkv", "o_proj", "gate_proj", "up_proj", "down_proj"),
)
_TITAN = replace(LLAMA, norm="rms-torch", rotation="complex")
OWN_LOOPS: dict[str, OwnLoop] = {
    "torchtune": OwnLoop(
        source="torchtune bd2a0fc7 (2026-04-23)",
        blocks={
            "llama": _PAIRS, "mistral": _PAIRS, "gemma": replace(_PAIRS, norm="rms-fp32"),
            "gemma2": replace(_PAIRS, norm="rms-fp32", sandwich=True, written=True), "qwen2": LLAMA,
            "qwen3": replace(LLAMA, qk_norm="head"), "phi3": replace(LLAMA, rotation="halves-fp32"),
        },
        # torchtune/modules/loss: the head and the loss of an eighth of the tokens at a time, or logits by eighths of a row.
        losses={
            None: _LINEAR, "linear_cross_entropy": _LINEAR, "nll": Pieces(keeps_logits=True, returned=True),
            "chunked_cross_entropy": Pieces(8, keeps_logits=True, upcasts=True),
        },
        facts=_REPEATED, unpacks="torchao", turns_once=False, quantizes_adapted=frozenset({"qwen2", "qwen3"}),
    ),
    "litgpt": OwnLoop(
        source="LitGPT 0.5.13 under Lightning 2.6.6",
        blocks={
            "llama": _LITGPT, "mistral": _LITGPT, "qwen2": _LITGPT, "gemma": _LITGPT,
        },
        # litgpt/utils.py, chunked_cross_entropy; finetune/lora.py has the model compute its head in pieces too.
        losses={
            None: Pieces(tokens=128, returned=True, stays=True, whole=True),
            "adapters": Pieces(tokens=128, keeps_logits=True, returned=True, stays=True, drops=True),
        },
        facts=_REPEATED, unpacks="fabric", unties=True, tables_fit=True,
    ),
    "nemo-automodel": OwnLoop(
        source="NeMo Automodel 36044ad3 (2026-08-22)",
        # Classes of its own for three (components/models), the first two with norms under torch.compile, and for hybrids, not
        # described yet; else transformers'.
        blocks={
            **{kind: block for kind, block in BLOCKS.items() if not (block.experts or block.hybrid or kind == "ministral3")},
            "mixtral": BLOCKS["mixtral"], "olmoe": BLOCKS["olmoe"], "llama": _NEMO, "qwen2": _NEMO,
            "qwen3": replace(BLOCKS["qwen3"], parts_checkpointed=True),
        },
        losses={
            None: None, "masked_cross_entropy": None, "nll": Pieces(keeps_logits=True),
            "chunked_cross_entropy": Pieces(tokens=32, recomputed=True), "linear_cross_entropy": Pieces(fused=True),
        },
        facts=frozenset({"lora-recomputed", "lora-mlp-fused"}), masks=True, holds_outputs=True, has_tables=False, runs_ahead=True,
        clips_wide=True,
    ),
    "torchtitan": OwnLoop(
        source="torchtitan 238fa995 (2026-02-23)",
        blocks={"llama": _TITAN, "qwen3": replace(_TITAN, qk_norm="head", rotation="halves")},
        losses={None: Pieces(upcasts=True)}, unties_of=frozenset({"llama"}), tables_fit=True, runs_ahead=True,
        stops_early=False,
    ),
    "nanogpt": OwnLoop(
        source="nanoGPT 3adf61e1 (2025-11-12)",
        blocks={
            "nanogpt": BlockShape(norm="layer", mlp="plain", qkv="fused", rope=False, learned_positions=1,
                                  names=("c_attn", "c_proj", "c_fc", "c_proj")),
        },
        losses={None: Pieces(mixed=True, stays=True)},
    ),
    "unsloth": OwnLoop(
        source="unsloth 2026.10.9",
        blocks={
            "llama": LLAMA, "mistral": LLAMA, "qwen2": LLAMA, "qwen3": replace(LLAMA, qk_norm="head"),
            "gemma": replace(LLAMA, norm="rms-fp32", scaled_embedding=True),
        },
        losses={None: Pieces(), "nll": Pieces()},  # its own: memory/unsloth/loss.py
        peft=True,
    ),
}


def block_under(run: Run, a: Architecture, block: BlockShape | None) -> BlockShape | None:
    """The layer as the run's framework writes it, None where it has no such model or we have not described it."""
    own = OWN_LOOPS.get(run.trainer)
    return block if own is None or run.transformers_model or _loads_quantised(run) else own.blocks.get(a.model_type)


def _loads_quantised(run: Run) -> bool:
    """Whether NeMo Automodel has transformers load and quantise the model, in its own class (_transformers/model_init.py)."""
    return run.trainer == "nemo-automodel" and run.load_in_4bit


def refused_by(run: Run, a: Architecture) -> NoEstimate | None:
    """Why there is no number for this run of an own loop, or None."""
    own = OWN_LOOPS.get(run.trainer)
    if own is None:
        return None
    name = run.trainer
    compiles = run.torch_compile and (name != "nanogpt" or not run.bf16)
    for applies, what, key in (
        (a.model_type not in own.blocks, f"{a.model_type} as {name} writes it is not simulated yet", "model_name_or_path"),
        (compiles, f"{name} with torch.compile is not simulated", "torch_compile"),
        (run.packing and name in ("torchtune", "nemo-automodel"),
         f"{name}'s attention over packed rows is not simulated yet", "packing"),
        (_loads_quantised(run) and a.tie_word_embeddings,
         f"{name} quantises the head, which shares the embedding's weight: the run ends in an error", "load_in_4bit"),
        (run.gradient_checkpointing and name == "nemo-automodel" and a.model_type in NOT_IN_LAYERS,
         f"the checkpoints that {name} finds in {a.model_type} are not simulated yet", "gradient_checkpointing"),
        (name == "torchtitan" and run.attn_implementation not in (None, "sdpa"),
         f"torchtitan with {run.attn_implementation} is not simulated yet", "attn_implementation"),
        (name == "torchtitan" and not run.bf16 and run.dtype != "bfloat16",
         "torchtitan without mixed precision is not simulated yet", "bf16"),
        (run.loss_type not in own.losses, f"{name} with the loss {run.loss_type} is not simulated yet", "loss_type"),
        (run.optimizer_in_backward and run.gradient_accumulation_steps > 1,
         f"{name} does not start with optimizer_in_bwd and gradient accumulation", "gradient_accumulation_steps"),
        (run.use_dora, f"{name} with DoRA is not simulated yet", "use_dora"),
        (run.load_in_8bit, f"{name} with an 8-bit base is not simulated yet", "load_in_8bit"),
        *(refusals(run, a) if name == "unsloth" else ()),
    ):
        if applies:
            return NoEstimate(what, (key,))
    return None


def untied(run: Run, a: Architecture) -> Architecture:
    """The model as the run's framework has it: with a head of its own, with dropout on what is embedded."""
    own = OWN_LOOPS.get(run.trainer)
    if own is not None and (own.unties or a.model_type in own.unties_of):
        return replace(a, tie_word_embeddings=False)
    if run.trainer == "nanogpt" and run.torch_compile:  # inductor draws its masks again
        return replace(a, hidden_dropout=0.0, attention_dropout=0.0)
    if run.trainer == "nanogpt":
        return replace(a, extra=MappingProxyType({**a.extra, "embd_pdrop": a.hidden_dropout}))
    return a


def left_plain(run: Run, a: Architecture, stacks: tuple[Stack, ...]) -> tuple[Stack, ...]:
    """The layers, those projections marked that the run's framework does not quantise, those layers not checkpointed."""
    if run.gradient_checkpointing and (run.selective_checkpointing or "").isdigit():
        return tuple(_alternating(stacks, int(run.selective_checkpointing or 0)))
    own = OWN_LOOPS.get(run.trainer)
    if own is None or a.model_type not in own.quantizes_adapted:
        return stacks
    return tuple(
        replace(stack, projections=tuple(replace(each, plain=not each.adapted) for each in stack.projections)) for stack in stacks
    )


def _alternating(stacks: tuple[Stack, ...], every: int) -> Iterator[Stack]:
    """The layers, of which one in `every` is checkpointed (torchtitan 238fa995, distributed/activation_checkpoint.py)."""
    for stack in stacks:
        groups, rest = divmod(stack.count, every) if every > 1 else (0, 0)
        if every <= 1:
            yield stack
        for _ in range(groups):
            yield replace(stack, count=every - 1, recomputed=False)
            yield replace(stack, count=1)
        if rest:
            yield replace(stack, count=rest, recomputed=False)


def under_own_loop(run: Run, plan: Plan) -> Plan:
    """The plan of a step under the Trainer as the run's framework has it."""
    own = OWN_LOOPS.get(run.trainer)
    if own is None:
        return plan
    if run.trainer == "unsloth":
        return under_unsloth(run, plan)
    a = plan.architecture
    facts = own.facts if plan.sharding is None else own.facts - {"lora-mlp-fused"}  # loaded empty, its test fails
    pieces = own.losses.get("adapters", own.losses[run.loss_type]) if run.use_peft else own.losses[run.loss_type]
    if run.torch_compile and pieces is not None:
        pieces = replace(pieces, compiled=True)
    setting = replace(plan.setting, adapter=plan.setting.weight, facts=plan.setting.facts | facts, unpacks=own.unpacks)
    setting = replace(setting, compute=setting.weight)
    optimizer = replace(plan.optimizer, outer_states=False)
    if run.optimizer_in_backward:
        optimizer = replace(optimizer, in_backward=True, layerwise=True)
    made = replace(
        plan, setting=setting, loss=FULL if pieces is None else PIECES, pieces=pieces, embeds_gradient=setting.trained,
        optimizer=optimizer,
        runs_ahead=own.runs_ahead, evaluation=None, buffers=_tables(own, run, a, plan.block), holds_outputs=own.holds_outputs,
        clips_wide=own.clips_wide and run.max_grad_norm > 0, stops_early=own.stops_early,
        keeps_products=run.gradient_checkpointing and run.selective_checkpointing == OPERATIONS,
    )
    if _loads_quantised(run):
        return _with_packed_head(made, twice=run.bnb_4bit_use_double_quant)
    return _under_fabric(made, pieces) if pieces is not None and own.unpacks == "fabric" and setting.bits else made


def _under_fabric(plan: Plan, pieces: Pieces) -> Plan:
    """Fabric packs every linear layer, the head too; a StableEmbedding takes the embedding's place after the optimizer is made.

    Nothing clears the gradient of that, and the optimizer holds what was there before (LitGPT 0.5.13, finetune/lora.py; lightning
    2.6, plugins/precision/bitsandbytes.py).
    """
    head = next(weight for weight in plan.weights if weight.name == "head")
    scales = Weight("4-bit scales", (-(-head.elements // 64),), "float32", trained=False)
    weights = tuple(replace(each, quantized=4) if each is head else each for each in plan.weights)
    size = head.elements * BYTES[head.dtype]
    left = (("gradient of the embedding, which nothing clears", size, 1), ("embedding that the optimizer still holds", size, 1))
    packed = replace(pieces, packed=True)
    return replace(plan, weights=(*weights, scales), buffers=(*plan.buffers, *left), pieces=packed, embeds_gradient=True)


def _with_packed_head(plan: Plan, *, twice: bool) -> Plan:
    """NeMo Automodel leaves no layer out (36044ad3, components/quantization/qlora.py): the head is in 4 bits, too."""
    head = next(weight for weight in plan.weights if weight.name == "head")
    scales = Weight("4-bit scales", (-(-head.elements // 64),), "int8" if twice else "float32", trained=False)
    weights = tuple(replace(each, quantized=4) if each is head else each for each in plan.weights)
    return replace(plan, weights=(*weights, scales))


def _tables(own: OwnLoop, run: Run, a: Architecture, block: BlockShape) -> tuple[tuple[str, int, int], ...]:
    """Cosines and sines in fp32 for each position of the model: of half a head where pairs are turned, else of it twice."""
    if not block.rope or not own.has_tables:
        return ()
    positions = int(run.max_length or 0) if own.tables_fit else a.max_position_embeddings or POSITIONS
    each = 4 * positions * a.head_dim * (1 if block.rotation == "pairs" else 2)
    is_scaled = a.model_type == "llama" and (a.max_position_embeddings or SCALED) >= SCALED
    once = own.turns_once or not run.use_peft or is_scaled
    return (("cosines and sines of the positions", each, 1 if once else a.num_hidden_layers),)
