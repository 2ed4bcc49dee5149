"""The product of the two halves of a gated MLP, in a layer and in the experts that every token goes to."""

from __future__ import annotations

from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.linear import linear
from vramlint.memory.operations import Setting, activation, multiply
from vramlint.memory.parameters import Projection


def gated_halves(
    graph: Graph, setting: Setting, hidden: Tensor, gate: Projection, up: Projection, kind: str, name: str,
) -> Tensor:
    """`act_fn(gate_proj(x)) * up_proj(x)`: the activation comes before the second projection; `hidden` stays the caller's."""
    first = linear(graph, setting, hidden, gate, f"{name}.gate")
    if not setting.liger:
        active = activation(graph, setting, first, kind)
        graph.drop(first)
        first = active
    second = linear(graph, setting, hidden, up, f"{name}.up")
    return gated_product(graph, setting, first, second, kind if setting.liger else None)


def gated_product(graph: Graph, setting: Setting, gate: Tensor, up: Tensor, kind: str | None) -> Tensor:
    """The product of both halves, which it takes over; `kind` is the activation of the first where that is still to come."""
    if setting.liger:
        if gate.base is not None:  # its kernels want both halves apart (liger_kernel/utils.py, ensure_contiguous)
            gate, up = (_apart(graph, half) for half in (gate, up))
        inner = graph.tensor(gate.shape, gate.dtype, "gated hidden states")
        graph.record(inner, (gate, up), saved=(gate, up), overwrites=True, computes=True)  # liger_kernel/ops/swiglu.py
        graph.drop(gate, up)
        return inner
    active = gate
    if kind is not None:
        active = activation(graph, setting, gate, kind)
        graph.drop(gate)
    inner = multiply(graph, active, up, "gated hidden states")
    graph.drop(active, up)
    return inner


def _apart(graph: Graph, half: Tensor) -> Tensor:
    made = graph.record(graph.tensor(half.shape, half.dtype, "half of a projection"), (half,), passes=True)
    graph.drop(half)
    return made
