"""Rotary position embeddings as they are written out: what each way of writing them allocates and saves."""

from __future__ import annotations

from math import prod

from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.dtypes import BYTES

HALVES, PAIRS, UPCAST = "halves", "pairs", "halves-fp32"
"""`q * cos + rotate_half(q) * sin` in the dtype of q, as transformers has it; pairs of neighbours in fp32, as torchtune; the
halves with sines and cosines in fp32, as torchtune's phi3."""


def rotate(graph: Graph, hidden: Tensor, kind: str) -> Tensor:
    """Queries or keys with their positions; nothing of them is saved."""
    if kind == PAIRS:
        return _pairs(graph, hidden)
    return _halves(graph, hidden, "float32" if kind == UPCAST else hidden.dtype)


def _halves(graph: Graph, hidden: Tensor, dtype: str) -> Tensor:
    """Rotary embedding: `q * cos + rotate_half(q) * sin`, nothing of q is saved."""
    turned = graph.tensor(hidden.shape, hidden.dtype, "rotated halves", needs_grad=False)
    product = graph.tensor(hidden.shape, dtype, "rotated halves", needs_grad=False)
    first = graph.tensor(hidden.shape, dtype, "rotated halves", needs_grad=False)
    graph.drop(turned)
    made = graph.tensor(hidden.shape, dtype, "queries or keys with positions")
    graph.drop(product, first)
    temporary = prod(hidden.shape) * BYTES[dtype] * 2
    if dtype != hidden.dtype:
        lower = graph.tensor(hidden.shape, hidden.dtype, "queries or keys with positions")
        graph.drop(made)
        made, temporary = lower, temporary * 3 // 2
    return graph.record(made, (hidden,), temporary=temporary, pieces=2)


def _pairs(graph: Graph, hidden: Tensor) -> Tensor:
    """Products of neighbours in fp32, stacked (torchtune bd2a0fc7, modules/position_embeddings.py)."""
    half = (*hidden.shape[:-1], hidden.shape[-1] // 2)
    upper = hidden if hidden.dtype == "float32" else graph.tensor(hidden.shape, "float32", "pairs in fp32", needs_grad=False)
    sums: list[Tensor] = []
    for _ in range(2):
        products = [graph.tensor(half, "float32", "products of pairs", needs_grad=False) for _ in range(2)]
        sums.append(graph.tensor(half, "float32", "turned pairs", needs_grad=False))
        graph.drop(*products)
    stacked = graph.tensor(hidden.shape, "float32", "queries or keys with positions in fp32")
    graph.drop(*sums)
    size = prod(hidden.shape) * 4
    if hidden.dtype == "float32":
        return graph.record(stacked, (hidden,), temporary=3 * size, pieces=6)
    made = graph.tensor(hidden.shape, hidden.dtype, "queries or keys with positions")
    graph.record(made, (hidden,), temporary=4 * size, pieces=8)
    graph.drop(upper, stacked)
    return made
