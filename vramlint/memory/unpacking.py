"""4-bit linear layers of torchao: what unpacking a weight takes for a moment."""

from __future__ import annotations

from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.dtypes import BYTES
from vramlint.memory.parameters import Projection

INDEX = 8
"""Bytes of an index: both halves of each byte become int64 to look up their values."""


def unpacked_by_torchao(graph: Graph, hidden: Tensor, projection: Projection) -> Tensor:
    """`linear_nf4`: the weight is unpacked forward and backward, and only its 4 bits are kept between.

    After torchao 0.18, nf4_tensor.py, NF4Tensor.get_original_weight: indices and values of both halves, their products with
    the scales, and the weight that they are stacked to are there at once.
    """
    elements = projection.inputs * projection.outputs
    size = BYTES[hidden.dtype]
    halves = (("indices of 4-bit values", INDEX), ("4-bit values", size), ("scaled 4-bit values", size))
    parts = [
        graph.tape.allocate(elements // 2 * each, "workspace", what, count=2) for what, each in halves
    ]
    weight = graph.tensor((projection.outputs, projection.inputs), hidden.dtype, "unpacked 4-bit weight", part="workspace",
                          needs_grad=False)
    graph.tape.free_all(parts)
    made = graph.tensor((*hidden.shape[:-1], projection.outputs), hidden.dtype, f"output of {projection.name}")
    graph.record(made, (hidden,), temporary=elements * (INDEX + 3 * size))
    graph.drop(weight)
    if not projection.bias:
        return made
    shifted = graph.tensor(made.shape, made.dtype, f"output of {projection.name} with its bias")
    graph.record(shifted, (made,), passes=True, saves_nothing=True)
    graph.drop(made)
    return shifted
