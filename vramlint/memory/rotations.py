"""Rotary position embeddings as they are written out: what each way of writing them allocates and saves."""

from __future__ import annotations

from math import prod

from vramlint.memory import derivatives
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.operations import cast

HALVES, PAIRS, UPCAST, CHUNKS, COMPLEX = "halves", "pairs", "halves-fp32", "chunks", "complex"
"""`q * cos + rotate_half(q) * sin` in the dtype of q, as transformers has it; pairs of neighbours in fp32, as torchtune; the
halves with sines and cosines in fp32, as torchtune's phi3; two chunks that are turned and put together, as gpt_oss; pairs
as complex numbers, as torchtitan."""


def rotate(graph: Graph, hidden: Tensor, kind: str) -> Tensor:
    """Queries or keys with their positions; nothing of them is saved."""
    if kind == PAIRS:
        return _pairs(graph, hidden)
    if kind == CHUNKS:
        return _chunks(graph, hidden)
    if kind == UPCAST and hidden.dtype != "float32":
        return _upcast(graph, hidden)
    return _halves(graph, hidden)


def _halves(graph: Graph, hidden: Tensor) -> Tensor:
    """`q * cos + rotate_half(q) * sin`; nothing of q is saved."""
    straight = graph.tensor(hidden.shape, hidden.dtype, "rotated halves", needs_grad=False)
    half = graph.tensor((prod(hidden.shape) // 2,), hidden.dtype, "rotated halves", needs_grad=False)
    halves = graph.tensor(hidden.shape, hidden.dtype, "rotated halves", needs_grad=False)
    graph.drop(half)
    product = graph.tensor(hidden.shape, hidden.dtype, "rotated halves", needs_grad=False)
    graph.drop(halves)
    made = graph.tensor(hidden.shape, hidden.dtype, "queries or keys with positions")
    graph.record(made, (hidden,), saves_nothing=True, derivative=derivatives.rotation)
    graph.drop(straight, product)
    return made


def _upcast(graph: Graph, hidden: Tensor) -> Tensor:
    turned = graph.tensor(hidden.shape, hidden.dtype, "rotated halves", needs_grad=False)
    products = [graph.tensor(hidden.shape, "float32", "rotated halves", needs_grad=False) for _ in range(2)]
    graph.drop(turned)
    wide = graph.tensor(hidden.shape, "float32", "queries or keys with positions")
    graph.drop(*products)
    made = graph.tensor(hidden.shape, hidden.dtype, "queries or keys with positions")
    graph.drop(wide)
    return graph.record(made, (hidden,), temporary=prod(hidden.shape) * 4 * 3, pieces=2)


def _chunks(graph: Graph, hidden: Tensor) -> Tensor:
    """`_apply_rotary_emb` of gpt_oss (transformers 5.17)."""
    half, turned = (*hidden.shape[:-1], hidden.shape[-1] // 2), []
    for _ in range(2):
        products = [graph.tensor(half, hidden.dtype, "rotated halves", needs_grad=False) for _ in range(2)]
        turned.append(graph.tensor(half, hidden.dtype, "rotated halves", needs_grad=False))
        graph.drop(*products)
    made = graph.tensor(hidden.shape, hidden.dtype, "queries or keys with positions")
    graph.record(made, (hidden,), saves_nothing=True, derivative=derivatives.chunked_rotation)
    graph.drop(*turned)
    return made


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


def in_complex(graph: Graph, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    """Both in fp32, multiplied as complex numbers, and cast back (torchtitan 238fa995, models/llama3/model/model.py).

    Each step has variables that live until the function returns. Takes over both.
    """
    upper = [cast(graph, tensor, "float32", "queries or keys in fp32") for tensor in (query, key)]
    turned = []
    for tensor in upper:
        product = graph.tensor(tensor.shape, "float32", "queries or keys with positions in fp32")
        turned.append(graph.record(product, (tensor,)))
    made = [
        cast(graph, tensor, given.dtype, "queries or keys with positions")
        for tensor, given in zip(turned, (query, key), strict=True)
    ]
    graph.drop(*upper, *turned, query, key)
    return made[0], made[1]
