"""Plays latent attention (MLA), after transformers 5.17, modeling_deepseek_v3.py: its attention's forward and `expand_kv`."""

from __future__ import annotations

from math import prod

from vramlint.memory.attention import attention
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.dtypes import BYTES
from vramlint.memory.latent import Latent
from vramlint.memory.linear import linear
from vramlint.memory.operations import Setting, norm
from vramlint.memory.parameters import Projection


def latent_attention(
    graph: Graph, setting: Setting, latent: Latent, heads: int, hidden: Tensor, mask: Tensor | None, name: str,
    projections: tuple[Projection, ...], *, in_complex: bool, dropped: float,
) -> Tensor:
    """Projections, positions, attention, output projection; takes over `hidden`.

    `in_complex`: positions by complex numbers (deepseek_v2), else by halves.
    """
    *queries, narrow, wide, output = projections
    query = linear(graph, setting, hidden, queries[0], f"{name}.{queries[0].name}.in")
    if latent.query_rank:
        normed = norm(graph, setting, query, "rms", f"{name}.q_a_layernorm", latent.query_rank)
        graph.drop(query)
        query = linear(graph, setting, normed, queries[1], f"{name}.{queries[1].name}.in")
        graph.drop(normed)
    passed, turned = graph.split(query, (heads * latent.nope, heads * latent.rope))
    compressed = linear(graph, setting, hidden, narrow, f"{name}.{narrow.name}.in")
    states, shared = graph.split(compressed, (latent.rank, latent.rope))
    normed = norm(graph, setting, states, "rms", f"{name}.kv_a_layernorm", latent.rank)
    positions = [_turned(graph, tensor, in_complex=in_complex) for tensor in (turned, shared)]
    whole = _joined(graph, passed, positions[0], query.shape)
    expanded = linear(graph, setting, normed, wide, f"{name}.{wide.name}.in")
    without, value = graph.split(expanded, (heads * latent.nope, heads * latent.value))
    key = _key(graph, without, positions[1], query.shape)
    graph.drop(without, expanded)
    variables = [graph.hold(tensor) for tensor in (whole, key, value)]
    attended = attention(graph, setting, whole, key, value, heads, heads, mask, dropped=dropped, width=heads * latent.value)
    out = linear(graph, setting, attended, output, f"{name}.{output.name}.out")
    graph.drop(attended, *variables, *positions, normed, states, shared, compressed, passed, turned, query, hidden)
    return out


def _turned(graph: Graph, tensor: Tensor, *, in_complex: bool) -> Tensor:
    """Positions on queries or keys, in halves that are put together, or as complex numbers of two fp32 each."""
    if in_complex:
        wide = graph.tensor(tensor.shape, "float32", "rotated halves", needs_grad=False)
        product = graph.tensor(tensor.shape, "float32", "rotated halves", needs_grad=False)
        made = graph.tensor(tensor.shape, tensor.dtype, "queries or keys with positions")
        graph.record(made, (tensor,), temporary=prod(tensor.shape) * 4 * 2, pieces=2)
        graph.drop(wide, product)
        return made
    half = (*tensor.shape[:-1], tensor.shape[-1] // 2)
    first, second, third, fourth = (graph.tensor(half, tensor.dtype, "rotated halves", needs_grad=False) for _ in range(4))
    graph.drop(first, second)
    made = graph.tensor(tensor.shape, tensor.dtype, "queries or keys with positions")
    graph.record(made, (tensor,), temporary=prod(tensor.shape) * BYTES[tensor.dtype] * 2, pieces=4)
    graph.drop(third, fourth)
    return made


def _joined(graph: Graph, first: Tensor, second: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`cat`, whose backward gives views."""
    made = graph.tensor(shape, first.dtype, "queries")
    return graph.record(made, (first, second), passes=True)


def _key(graph: Graph, without: Tensor, shared: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Keys of all heads, filled in place: each of the two copies gives a gradient of the whole (CopySlices of torch 2.11)."""
    made = graph.tensor(shape, without.dtype, "keys")
    size = prod(shape) * BYTES[without.dtype]
    return graph.record(made, (without, shared), temporary=size)
