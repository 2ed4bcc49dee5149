"""All parameters of a run: the base as it is loaded, the adapters on it, and which of them are trained."""

from __future__ import annotations

from vramlint.catalog import Architecture
from vramlint.dataclass import replace
from vramlint.memory.blocks import BlockShape
from vramlint.memory.experts import Experts
from vramlint.memory.parameters import Projection, Weight, is_lora_target, lora_targets, norm_sizes
from vramlint.memory.stacks import Stack
from vramlint.run import Run

END_MODULES = {
    "embed_tokens": "embedding", "wte": "embedding", "embed_in": "embedding", "lm_head": "head", "embed_out": "head",
}
"""What the embedding's and the head's module are called (transformers 5.17, modeling files)."""


def inventory(
    architecture: Architecture, block: BlockShape, stacks: tuple[Stack, ...], run: Run, dtype: str, adapter: str,
) -> list[Weight]:
    """Every parameter on the card, alike ones counted together."""
    a, layers = architecture, architecture.num_hidden_layers
    trained = not run.use_peft
    upcast = run.float32_ends or (run.prepare_model_for_kbit_training and (run.load_in_4bit or run.load_in_8bit))
    outer = "float32" if upcast else dtype
    bits = 4 if run.load_in_4bit else 8 if run.load_in_8bit else 0
    # TRL casts what is trained on a quantised base to bf16 (1.16, sft_trainer.py).
    found = _ends(a, run, outer, adapter if bits and run.trainer.startswith("trl-") else outer)
    if "head" in adapted_ends(a, run):
        found += [
            Weight("head.lora_A", (run.lora_r, a.hidden_size), adapter, True, role="adapters"),
            Weight("head.lora_B", (a.vocab_size, run.lora_r), adapter, True, role="adapters"),
        ]
    if block.learned_positions:
        positions = (a.max_position_embeddings or 1024) + (2 if a.model_type == "opt" else 0)
        found.append(Weight("positions", (positions, a.hidden_size), outer, trained))
    if block.lm_head_bias:
        found.append(Weight("head bias", (a.vocab_size,), outer, trained))
    if block.sinks:
        found.append(Weight("sinks", (a.num_attention_heads,), outer, trained, layers))
    for stack in stacks:
        found += [Weight("norm", (size,), outer, trained, stack.count) for size in norm_sizes(a, stack.block)]
    # transformers 5.17: OlmoLayerNorm has no parameters, CohereLayerNorm a weight and no bias.
    final = {"olmo": 0, "cohere": 1, "cohere2": 1}.get(a.model_type, 2) if block.norm.startswith("layer") else 1
    if final:
        found.append(Weight("final norm", (a.hidden_size,), outer, trained, final))
    for stack in stacks:
        found += _projections(stack, run, (dtype, outer, adapter), trained, bits)
        if stack.experts is not None:
            found += _experts(stack.experts, run, outer, adapter, stack.count)
    return found


def _projections(stack: Stack, run: Run, dtypes: tuple[str, str, str], trained: bool, bits: int) -> list[Weight]:
    """The linear layers of a stack; `dtypes`: of the weights, of what is not quantised, of LoRA's matrices."""
    (dtype, outer, adapter), layers, found = dtypes, stack.count, []
    for projection in stack.projections:
        shape, own = (projection.outputs, projection.inputs), 0 if projection.plain else bits
        found.append(Weight(projection.name, shape, dtype, trained and not bits, layers, own))
        if own == 4:
            found += _constants(projection, run, layers)
        if bits == 8:
            found.append(Weight("8-bit scales", (projection.outputs,), "float32", False, layers))
        if projection.bias:
            found.append(Weight(f"{projection.name} bias", (projection.outputs,), outer, trained, layers))
        if projection.adapted:
            rank, outputs = run.lora_r * (projection.parts or 1), projection.reached or projection.outputs
            found += [
                Weight(f"{projection.name}.lora_A", (rank, projection.inputs), adapter, True, layers, role="adapters"),
                Weight(f"{projection.name}.lora_B", (outputs, run.lora_r), adapter, True, layers, role="adapters"),
            ]
            if run.use_dora:
                name = f"{projection.name}.lora_magnitude"
                found.append(Weight(name, (projection.outputs,), adapter, True, layers, role="adapters"))
    return found


def _ends(a: Architecture, run: Run, dtype: str, copied: str) -> list[Weight]:
    """The embedding and the head, of which peft trains a copy where `modules_to_save` has them; a tied pair comes apart then."""
    shape, trained = (a.vocab_size, a.hidden_size), not run.use_peft
    saved = saved_ends(run)
    found = [Weight("embedding", shape, dtype, trained)]
    if not a.tie_word_embeddings:
        found.append(Weight("head", shape, dtype, trained))
    if not saved:
        return found
    there = [weight.name for weight in found]
    found = [replace(weight, name=f"original {weight.name}") if weight.name in saved else weight for weight in found]
    found += [Weight(name, shape, copied, True, role="adapters") for name in ("embedding", "head") if name in saved]
    if there == ["embedding"] and "head" not in saved:  # the head keeps the original, which is not the embedding any more
        found = [replace(weight, name="head") if weight.name == "original embedding" else weight for weight in found]
    return found


def saved_ends(run: Run) -> frozenset[str]:
    """Which of embedding and head are in `modules_to_save`."""
    if not run.use_peft:
        return frozenset()
    return frozenset(END_MODULES[name] for name in run.lora_modules_to_save or () if name in END_MODULES)


def adapted_ends(a: Architecture, run: Run) -> frozenset[str]:
    """Which of embedding and head LoRA's targets name; `all-linear` leaves the head out (peft 0.21, tuners_utils.py)."""
    targets = tuple(name for name in lora_targets(a, run) if name != "all-linear") if run.use_peft else ()
    if (run.task or "causal-lm") != "causal-lm":
        return frozenset()
    return frozenset(end for module, end in END_MODULES.items() if is_lora_target(module, targets))


def _experts(experts: Experts, run: Run, dtype: str, adapter: str, layers: int) -> list[Weight]:
    """The router and the fused parameters of all experts, which bitsandbytes leaves as they are, and LoRA on them."""
    trained, rank = not run.use_peft, run.lora_r
    found = [
        Weight("router", (experts.count, experts.width), dtype, trained, layers),
        Weight("experts gate_up_proj", experts.gate_up, dtype, trained, layers),
        Weight("experts down_proj", experts.down, dtype, trained, layers),
    ]
    if experts.shape.corrected:
        found.append(Weight("router correction", (experts.count,), "float32", False, layers))
    if experts.shape.biased:
        found += [
            Weight("router bias", (experts.count,), dtype, trained, layers),
            Weight("experts gate_up_proj bias", experts.gate_up[:2], dtype, trained, layers),
            Weight("experts down_proj bias", experts.down[:2], dtype, trained, layers),
        ]
    for part, width, outputs, inner in (
        ("router", experts.width, experts.count, rank),
        ("gate_up", experts.width, 2 * experts.inner, 2 * rank * experts.count),
        ("down", experts.inner, experts.width, rank * experts.count),
    ):
        if part in experts.adapted:
            found += [
                Weight(f"experts {part}.lora_A", (inner, width), adapter, True, layers, role="adapters"),
                Weight(f"experts {part}.lora_B", (outputs, inner), adapter, True, layers, role="adapters"),
            ]
    return found


def _constants(projection: Projection, run: Run, layers: int) -> list[Weight]:
    """bitsandbytes' scales: fp32 per 64 weights, or 8 bits per 64 and fp32 per 64·256 when quantised twice."""
    blocks = -(-projection.inputs * projection.outputs // 64)
    if run.bnb_4bit_use_double_quant:
        return [
            Weight("4-bit scales", (blocks,), "int8", False, layers),
            Weight("4-bit scales of scales", (-(-blocks // 256),), "float32", False, layers),
            Weight("4-bit code", (16 + 256,), "float32", False, layers),
        ]
    return [
        Weight("4-bit scales", (blocks,), "float32", False, layers),
        Weight("4-bit code", (16,), "float32", False, layers),
    ]
