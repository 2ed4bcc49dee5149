"""Attention as torchtune's gemma2 writes it out (bd2a0fc7, models/gemma2/_attention.py): scores under a tanh, a mask in fp32."""

from __future__ import annotations

from vramlint.memory import derivatives
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.operations import cast


def written_attention(graph: Graph, states: tuple[Tensor, Tensor, Tensor], heads: int) -> Tensor:
    """The scores in full: capped in the dtype of the states, then in fp32 with the mask; takes over the states."""
    query, key, value = states
    batch, length, _ = query.shape
    square, dtype = (batch, heads, length, length), query.dtype
    left, right = (_copied(graph, tensor) for tensor in (query, key))
    scores = graph.record(graph.tensor(square, dtype, "attention scores"), (left, right), saved=(left, right))
    graph.drop(left, right)
    mask = graph.tensor((length, length), "float32", "attention mask", needs_grad=False)
    divided = graph.record(graph.tensor(square, dtype, "attention scores, divided"), (scores,))
    graph.drop(scores)
    curve = graph.tensor(square, dtype, "tanh of the attention scores")
    graph.record(curve, (divided,), saved=(curve,))
    graph.drop(divided)
    capped = graph.record(graph.tensor(square, dtype, "attention scores, capped"), (curve,))
    graph.drop(curve)
    masked = graph.record(graph.tensor(square, "float32", "attention scores, masked"), (capped,))
    graph.drop(capped)
    upper = graph.tensor(square, "float32", "attention probabilities in fp32")
    graph.record(upper, (masked,), saved=(upper,), derivative=derivatives.softmax)
    lower = cast(graph, upper, dtype, "attention probabilities")
    graph.drop(masked, upper)
    values = _copied(graph, value)
    product = graph.tensor(value.shape, dtype, "output of attention")
    graph.record(product, (lower, values), saved=(lower, values))
    graph.drop(values, lower)
    made = graph.tensor(value.shape, dtype, "output of attention, each token's together")
    graph.record(made, (product,), passes=True)
    graph.drop(product, mask, query, key, value)
    return made


def _copied(graph: Graph, tensor: Tensor) -> Tensor:
    """Each head's together, for the product of matrices."""
    made = graph.tensor(tensor.shape, tensor.dtype, "input of attention, each head's together")
    return graph.record(made, (tensor,), passes=True)
