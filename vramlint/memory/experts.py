"""Mixtures of experts as data: what a layer's router and experts are, and where LoRA reaches them."""

from __future__ import annotations

from vramlint.catalog import Architecture
from vramlint.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class ExpertShape:
    """The feed-forward part of a layer with experts.

    `router`: how the weights of the chosen experts are found: softmax (of all logits, in fp32), chosen (a softmax of those
    chosen, in fp32), top (the same in the logits' dtype), sigmoid or wide (on a cast of the hidden states to fp32, a softmax), or
    mixer (phimoe's sparsemixer).
    `scores`: the dtype of those weights: own (of the logits), input (of the hidden states), float32, or autocast (float32
    under autocast, else own). `shared`: experts that every token goes to: gated (by a linear layer to one number), plain
    (computed after the others), or before (computed first).
    `adapts`: the names under which peft 0.21 puts LoRA on the fused parameters (utils/transformers_weight_conversion.py,
    `_MOE_TARGET_MODULE_MAPPING`): router, gate and up projection, down projection; empty where it does not.
    `gate`: clamped where gate and up projection lie number by number and are clamped (gpt_oss), else an activation of the gate.
    `biased`: router and experts have biases. `corrected`: a parameter that nobody trains corrects the router's choice.
    `counted`: whether the config says under `num_experts` how many there are, which TRL's fused head asks it for.
    """

    router: str = "softmax"
    scores: str = "own"
    shared: str = ""
    adapts: tuple[str, ...] = ()
    gate: str = ""
    biased: bool = False
    corrected: bool = False
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Experts:
    """The experts of one layer under a run: `count` of them, `chosen` for each token, `inner` wide.

    `adapted` names those of their parameters that LoRA is on: router, gate_up, down. `split`: which of gate and up projection
    LoRA's target modules name.
    """

    shape: ExpertShape
    count: int
    chosen: int
    width: int
    inner: int
    kind: str
    adapted: frozenset[str] = frozenset()
    split: tuple[str, ...] = ()

    @property
    def gate_up(self) -> tuple[int, int, int]:
        """The shape of all gate and up projections."""
        return self.count, 2 * self.inner, self.width

    @property
    def down(self) -> tuple[int, int, int]:
        """The shape of all down projections."""
        return self.count, self.width, self.inner


def experts_of(a: Architecture, shape: ExpertShape, targets: tuple[str, ...]) -> Experts:
    """The experts of a model, and where LoRA's target modules reach them."""
    adapted: set[str] = set()
    split: tuple[str, ...] = ()
    if shape.adapts and targets:
        names = set(shape.adapts) if targets == ("all-linear",) else {target.rpartition(".")[2] for target in targets}
        router, *gate_up, down = shape.adapts
        adapted = {
            part for part, wanted in (("router", {router}), ("gate_up", set(gate_up)), ("down", {down})) if wanted <= names
        }
        split = tuple(name for name in gate_up if name in names)
    return Experts(
        shape, a.num_experts, a.num_experts_per_tok, a.hidden_size, a.moe_intermediate_size, a.hidden_act, frozenset(adapted),
        split,
    )
