"""LoRA whose inner activations are computed again in the backward pass, after NeMo Automodel 36044ad3.

components/_peft/lora.py, LoRATritonFunction (the same with its Triton kernels and without); lora_mlp.py, LoRASwiGLUMLPFunction.
"""

from __future__ import annotations

from vramlint.memory.autograd import Graph, Operation, Tensor
from vramlint.memory.dtypes import BYTES
from vramlint.memory.operations import Setting, dropout
from vramlint.memory.parameters import Projection


def recomputed_lora(
    graph: Graph, setting: Setting, base: Tensor, hidden: Tensor, projection: Projection, name: str,
) -> Tensor:
    """The base's output added into LoRA's in place (`LoRATritonFunction`); takes over `base`."""
    narrow = (*hidden.shape[:-1], setting.rank)
    down = graph.tensor(narrow, hidden.dtype, "LoRA's inner activation", needs_grad=False)
    scaled = graph.tensor(narrow, hidden.dtype, "LoRA's inner activation, scaled", needs_grad=False)
    graph.drop(down)
    made = graph.tensor(base.shape, base.dtype, f"output of {projection.name}")
    graph.drop(scaled)
    weights = _weights(setting, projection, name)
    share = setting.dropout
    inputs = (hidden,) if share else (hidden, base)
    graph.record(made, inputs, saved=(hidden,), weights=weights, derivative=_backward)
    if share:
        dropped = dropout(graph, made, share, f"output of {projection.name}")
        made = Tensor(None, dropped.shape, dropped.dtype, dropped.needs_grad, dropped)  # `add_`: the same memory
        graph.record(made, (dropped, base), passes=True, saves_nothing=True)
    graph.drop(base)
    return made


def _weights(setting: Setting, projection: Projection, name: str) -> tuple[tuple[str, int, int, int], ...]:
    size = BYTES[setting.adapter] * setting.rank
    return (
        (f"{name}.lora_A", projection.inputs * size, projection.inputs * size, 1),
        (f"{name}.lora_B", projection.outputs * size, projection.outputs * size, 1),
    )


def fuses_mlp(setting: Setting, projections: tuple[Projection, ...], kind: str) -> bool:
    """Whether a gated MLP with adapters on all three of its projections is one function (lora_mlp.py, `_fusible`)."""
    fits = kind in ("silu", "swish") and len(projections) == 3 and not setting.bits and not setting.dropout
    return "lora-mlp-fused" in setting.facts and fits and all(each.adapted and not each.bias for each in projections)


def fused_lora_mlp(graph: Graph, setting: Setting, hidden: Tensor, projections: tuple[Projection, ...], name: str) -> Tensor:
    """Keeps its input and the outputs of gate and up projection; `hidden` stays the caller's."""
    gate, up, down = projections
    wide = (*hidden.shape[:-1], gate.outputs)
    halves = [graph.tensor(wide, hidden.dtype, f"output of {each.name}", needs_grad=False) for each in (gate, up)]
    inner = graph.tensor(wide, hidden.dtype, "gated hidden states", needs_grad=False)
    made = graph.tensor((*hidden.shape[:-1], down.outputs), hidden.dtype, f"output of {down.name}")
    weights = tuple(weight for each in projections for weight in _weights(setting, each, f"{name}.{each.name}"))
    graph.record(made, (hidden,), saved=(hidden, *halves), weights=weights, derivative=_backward_of_mlp)
    graph.drop(inner, *halves)
    return made


def _backward_of_mlp(graph: Graph, operation: Operation, received: Tensor, gradients: dict[int, Tensor]) -> None:
    """The kernel writes the gradients of both halves over what was saved; sums of products lie beside their first term."""
    hidden, half, _ = operation.saved
    first = graph.tensor(half.shape, half.dtype, "backward temporaries", needs_grad=False)
    inner = graph.tensor(half.shape, half.dtype, "gradients of activations", needs_grad=False)
    graph.drop(first)
    made = None
    if operation.inputs:
        first = graph.tensor(hidden.shape, hidden.dtype, "backward temporaries", needs_grad=False)
        made = graph.tensor(hidden.shape, hidden.dtype, "gradients of activations", needs_grad=False)
        graph.drop(first)
    graph.drop(inner)
    graph.release(operation, received)
    if made is not None:
        graph.accumulate(gradients, hidden, made)


def _backward(graph: Graph, operation: Operation, received: Tensor, gradients: dict[int, Tensor]) -> None:
    """The gradient of the base's output is that of the sum itself; that of the input is of its own."""
    (hidden,) = operation.saved
    wants = hidden in operation.inputs
    made = graph.tensor(hidden.shape, hidden.dtype, "gradients of activations", needs_grad=False) if wants else None
    for tensor in operation.inputs:
        if tensor is not hidden:
            graph.accumulate(gradients, tensor, graph.hold(received))
    graph.release(operation, received)
    if made is not None:
        graph.accumulate(gradients, hidden, made)
