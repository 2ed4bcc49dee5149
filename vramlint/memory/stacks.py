"""The decoder's layers as stacks of like ones: of most models one, of some mixtures of experts a few dense layers first."""

from __future__ import annotations

from vramlint.catalog import Architecture
from vramlint.dataclass import dataclass, replace
from vramlint.memory.blocks import BlockShape
from vramlint.memory.delta_shape import DELTA_NAMES, LINEAR, kinds_of, stretches
from vramlint.memory.experts import Experts
from vramlint.memory.parameters import Projection, projections_of, routed_experts
from vramlint.run import Run


@dataclass(frozen=True, slots=True)
class Stack:
    """`count` layers in a row that are alike; `recomputed`: whether they are checkpointed where any are."""

    count: int
    block: BlockShape
    projections: tuple[Projection, ...]
    experts: Experts | None = None
    recomputed: bool = True

    def without_adapters(self) -> Stack:
        """The same layers with LoRA switched off."""
        return replace(
            self, projections=tuple(replace(each, adapted=False) for each in self.projections),
            experts=replace(self.experts, adapted=frozenset()) if self.experts else None,
        )


def stacks_of(run: Run, a: Architecture, block: BlockShape) -> tuple[Stack, ...]:
    """The layers from the first to the last."""
    if block.hybrid:
        return _hybrid(run, a, block)
    first = min(dense_layers(a, block), a.num_hidden_layers)
    found = []
    if first:
        shape = block.experts
        dense = replace(block, mlp="gated", experts=None, names=(*block.attention_names, *MLP_NAMES))
        moved = shape.adapts if shape else ()
        projections = tuple(
            replace(each, adapted=each.adapted and each.name not in moved) for each in projections_of(a, dense, run)
        )
        found.append(Stack(first, dense, projections))
    if a.num_hidden_layers > first:
        found.append(Stack(a.num_hidden_layers - first, block, projections_of(a, block, run), routed_experts(a, block, run)))
    return tuple(found)


def _hybrid(run: Run, a: Architecture, block: BlockShape) -> tuple[Stack, ...]:
    """Layers of attention, and of a gated delta net in its place."""
    linear = replace(block, delta=True, qk_norm="", gated=False, names=(*DELTA_NAMES, *block.names[len(block.attention_names):]))
    return tuple(
        Stack(count, shape, projections_of(a, shape, run), routed_experts(a, shape, run))
        for kind, count in stretches(kinds_of(a)) for shape in (linear if kind == LINEAR else block,)
    )


MLP_NAMES = ("gate_proj", "up_proj", "down_proj")


def dense_layers(a: Architecture, block: BlockShape) -> int:
    """How many layers at the front have an MLP in the place of experts."""
    if block.experts is None:
        return 0
    kinds = a.extra.get("mlp_layer_types")
    if isinstance(kinds, tuple):
        return kinds.index("sparse") if "sparse" in kinds else a.num_hidden_layers
    return int(str(a.extra.get("first_k_dense_replace") or a.extra.get("moe_layer_start_index") or DENSE.get(a.model_type, 0)))


DENSE = {"glm4_moe_lite": 1}
"""Layers without experts at the front, where a config does not say (transformers 5.17, configuration files)."""
