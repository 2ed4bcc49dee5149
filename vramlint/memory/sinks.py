"""Attention with sinks: a learned score beside those of the keys, after transformers 5.17, modeling_gpt_oss.py."""

from __future__ import annotations

from math import prod

from vramlint.memory import derivatives
from vramlint.memory.autograd import Graph, Operation, Tensor
from vramlint.memory.derivatives import Gradients, fresh
from vramlint.memory.dtypes import BYTES, promoted
from vramlint.memory.operations import Setting, cast, cast_all, dropout


def attention_with_sinks(
    graph: Graph, setting: Setting, states: tuple[Tensor, Tensor, Tensor], heads: int, dropped: float, name: str,
) -> Tensor:
    """`eager_attention_forward`: the scores in full, one more for each query, their maximum taken off; takes over the states."""
    compute = setting.autocast or states[0].dtype
    query, key, value = cast_all(graph, states, compute, "input of attention")
    batch, length, _ = query.shape
    square, wider = (batch, heads, length, length), (batch, heads, length, length + 1)
    scores = graph.record(graph.tensor(square, compute, "attention scores"), (query, key), saved=(query, key))
    graph.drop(query, key)
    scaled = graph.record(graph.tensor(square, compute, "attention scores, scaled"), (scores,))
    graph.drop(scores)
    wide = promoted(compute, setting.masks.dtype)  # the mask has the dtype of what is embedded
    masked = graph.record(graph.tensor(square, wide, "attention scores, masked"), (scaled,), passes=True)
    graph.drop(scaled)
    size = heads * BYTES[setting.norm_weight]
    combined = graph.record(
        graph.tensor(wider, wide, "attention scores with sinks"), (masked,), derivative=_without_sinks,
        weights=((f"{name}.sinks", size, size, 1),) if setting.trained else (),
    )
    places = graph.tensor((batch, heads, length), "int64", "places of the greatest scores", needs_grad=False)
    lowered = graph.tensor(wider, wide, "attention scores less the greatest")
    graph.record(lowered, (combined,), saved=(places,), derivative=_less_greatest)
    graph.drop(combined, places)
    chances = graph.tensor(wider, wide, "attention probabilities with sinks")
    graph.record(chances, (lowered,), saved=(chances,), derivative=derivatives.softmax)
    kept = Tensor(None, square, wide, chances.needs_grad, graph.hold(chances))
    graph.record(kept, (chances,), saves_nothing=True)
    graph.drop(masked)
    kept = dropout(graph, kept, dropped, "attention probabilities")
    lower = cast(graph, kept, compute, "attention probabilities")
    product = graph.tensor(value.shape, compute, "output of attention")
    graph.record(product, (lower, value), saved=(lower, value))
    graph.drop(lower)
    made = graph.tensor(value.shape, compute, "output of attention, each token's together")
    graph.record(made, (product,), passes=True)
    graph.drop(product, value, chances, lowered)
    graph.returned.append(kept)
    return made


def _without_sinks(graph: Graph, operation: Operation, received: Tensor, gradients: Gradients) -> None:
    """Of `cat`: a part of its gradient, which the product with a number after it makes a tensor of its own."""
    (scores,) = operation.inputs
    made = Tensor(None, scores.shape, received.dtype, needs_grad=False, base=graph.hold(received))
    graph.release(operation, received)
    graph.accumulate(gradients, scores, made)


def _less_greatest(graph: Graph, operation: Operation, received: Tensor, gradients: Gradients) -> None:
    """Of `x - x.max(-1)`: the gradient passes, and once more with the other sign; then zeros that hold it at the greatest."""
    (scores,) = operation.inputs
    negated = fresh(graph, scores, "backward temporaries")
    graph.accumulate(gradients, scores, graph.hold(received))
    graph.release(operation, received)
    graph.drop(negated)
    graph.accumulate(gradients, scores, fresh(graph, scores))


def clamped_gate(graph: Graph, both: Tensor, inner: int) -> Tensor:
    """`_apply_gate` of gpt_oss: every second number is a gate, both are clamped; takes over `both`."""
    shape = (*both.shape[:-1], inner)
    gate, upper = graph.views(both, [shape, shape], apart=True)
    active = graph.tensor(shape, both.dtype, "gate, clamped")
    graph.record(active, (gate,), saved=(gate,), temporary=prod(shape))
    linear = graph.tensor(shape, both.dtype, "other half, clamped")
    graph.record(linear, (upper,), saved=(upper,), temporary=2 * prod(shape), pieces=2)
    scaled = graph.record(graph.tensor(shape, both.dtype, "gate, scaled"), (active,))
    opened = graph.tensor(shape, both.dtype, "sigmoid of the gate")
    graph.record(opened, (scaled,), saved=(opened,))
    graph.drop(scaled)
    lit = graph.record(graph.tensor(shape, both.dtype, "activated gate"), (active, opened), saved=(active, opened))
    graph.drop(opened)
    shifted = graph.record(graph.tensor(shape, both.dtype, "other half + 1"), (linear,), passes=True, saves_nothing=True)
    made = graph.record(graph.tensor(shape, both.dtype, "gated hidden states"), (shifted, lit), saved=(shifted, lit))
    graph.drop(shifted, lit, linear, active, gate, upper, both)
    return made
