"""unsloth's autograd functions over projections with LoRA: what each allocates, saves and lets go of, in its own order.

After kernels/fast_lora.py (LoRA_MLP, LoRA_QKV, LoRA_W), kernels/utils.py (matmul_lora, fast_dequantize) and kernels/swiglu.py of
unsloth 2026.10.9, and recorded runs of it.
"""

from __future__ import annotations

from vramlint.memory.autograd import Graph, Operation, Tensor
from vramlint.memory.derivatives import Gradients, fresh
from vramlint.memory.dtypes import BYTES
from vramlint.memory.operations import Setting
from vramlint.memory.parameters import Projection

WeightGradients = tuple[tuple[str, int, int, int], ...]


def multiplied(graph: Graph, setting: Setting, source: Tensor, projection: Projection, what: str) -> Tensor:
    """`matmul_lora`: the product with the base, and LoRA's added into it. A 4-bit base is unpacked into memory that stays."""
    made = graph.tensor((*source.shape[:-1], projection.outputs), source.dtype, what)
    _added(graph, setting, source, projection.inputs, projection.outputs)
    return made


def _added(graph: Graph, setting: Setting, source: Tensor, inputs: int, outputs: int) -> None:
    """LoRA's two products, its matrices cast one after the other."""
    rank, dtype = setting.rank, source.dtype
    first = _cast(graph, setting, (inputs, rank), dtype)
    inner = graph.tensor((*source.shape[:-1], rank), dtype, "LoRA's inner product", needs_grad=False)
    graph.drop(*first)
    graph.drop(*_cast(graph, setting, (rank, outputs), dtype), inner)


def _cast(graph: Graph, setting: Setting, shape: tuple[int, int], dtype: str) -> list[Tensor]:
    if setting.adapter == dtype:
        return []
    return [graph.tensor(shape, dtype, "LoRA's matrix in the compute dtype", needs_grad=False)]


def weight_gradients(setting: Setting, projection: Projection, name: str, dtype: str) -> WeightGradients:
    """Those of a projection's two matrices: computed in the dtype of the input, kept in that of the matrices."""
    found = []
    for which, width in (("lora_A", projection.inputs), ("lora_B", projection.outputs)):
        elements = width * setting.rank
        found.append((f"{name}.{which}", elements * BYTES[dtype], elements * BYTES[setting.adapter], 1))
    return tuple(found)


class Projected:
    """The backward of one or several projections of the same input: `LoRA_W`, and `LoRA_QKV`, which writes over its input."""

    __slots__ = ("_overwrites", "_projections", "_setting")

    def __init__(self, setting: Setting, projections: tuple[Projection, ...], *, overwrites: bool) -> None:
        self._setting = setting
        self._projections = projections
        self._overwrites = overwrites

    def __call__(self, graph: Graph, operation: Operation, received: Tensor, gradients: Gradients) -> None:
        """Play it."""
        setting, source = self._setting, operation.saved[0]
        coming = [received]
        for part in operation.parts:
            gradient = gradients.pop(id(part), None)
            if gradient is not None:
                coming.append(gradient)
        casts = [
            cast for projection in self._projections for shape in _shapes(setting, projection)
            for cast in _cast(graph, setting, shape, source.dtype)
        ]
        rows = source.shape[:-1]
        inner = [
            graph.tensor((*rows, setting.rank), source.dtype, "gradient of LoRA's inner product", needs_grad=False)
            for _ in self._projections
        ]
        made = graph.hold(source) if self._overwrites else None
        for projection in self._projections:
            weight = unpacked(graph, setting, projection, source.dtype)
            if made is None:
                made = fresh(graph, source)
            graph.drop(*weight)
        graph.drop(*inner, *casts, *coming[1:])
        graph.release(operation, received)
        if made is not None and operation.inputs:
            graph.accumulate(gradients, source, made)
        elif made is not None:
            graph.drop(made)


def _shapes(setting: Setting, projection: Projection) -> tuple[tuple[int, int], tuple[int, int]]:
    return (projection.inputs, setting.rank), (setting.rank, projection.outputs)


def unpacked(graph: Graph, setting: Setting, projection: Projection, dtype: str) -> list[Tensor]:
    """A 4-bit weight as a backward has it: unpacked into memory of its own."""
    if not setting.bits or projection.plain:
        return []
    shape = (projection.outputs, projection.inputs)
    return [graph.tensor(shape, dtype, "unpacked 4-bit weight", part="workspace", needs_grad=False)]


def projected(
    graph: Graph, setting: Setting, hidden: Tensor, projections: tuple[Projection, ...], names: tuple[str, ...], *,
    overwrites: bool,
) -> list[Tensor]:
    """The projections of one input by one function; `hidden` stays the caller's."""
    made = [multiplied(graph, setting, hidden, each, f"output of {each.name}") for each in projections]
    weights = tuple(
        weight for each, name in zip(projections, names, strict=True)
        for weight in weight_gradients(setting, each, name, hidden.dtype)
    )
    for other in made[1:]:
        other.needs_grad = graph.recording
    graph.record(
        made[0], (hidden,), saved=(hidden,), weights=weights, parts=tuple(made[1:]),
        derivative=Projected(setting, projections, overwrites=overwrites),
    )
    return made


class GatedBackward:
    """The backward of `LoRA_MLP`: gradients take the place of what was saved and of the input."""

    __slots__ = ("_down", "_gate", "_setting", "_up")

    def __init__(self, setting: Setting, gate: Projection, up: Projection, down: Projection) -> None:
        self._setting = setting
        self._gate, self._up, self._down = gate, up, down

    def __call__(self, graph: Graph, operation: Operation, received: Tensor, gradients: Gradients) -> None:
        """Play it."""
        setting = self._setting
        source, gated = operation.saved[0], operation.saved[1]
        dtype, rows = source.dtype, source.shape[:-1]
        projections = (self._gate, self._up, self._down)
        casts = [
            cast for projection in projections for shape in _shapes(setting, projection)
            for cast in _cast(graph, setting, shape, dtype)
        ]
        inner = fresh(graph, gated, "gradient of the gated hidden states")
        products = [
            graph.tensor((*rows, setting.rank), dtype, "gradient of LoRA's inner product", needs_grad=False) for _ in range(2)
        ]
        for projection in (self._up, self._gate):
            graph.drop(*unpacked(graph, setting, projection, dtype))
        made = graph.hold(source)
        graph.drop(*products, inner, *casts)
        graph.release(operation, received)
        if operation.inputs:
            graph.accumulate(gradients, source, made)
        else:
            graph.drop(made)


def gated_mlp(
    graph: Graph, setting: Setting, hidden: Tensor, projections: tuple[Projection, ...], name: str,
) -> Tensor:
    """`LoRA_MLP`: gate, up, their gated product, down, by one function; `hidden` stays the caller's."""
    gate, up, down = projections
    first = multiplied(graph, setting, hidden, gate, "gate of the MLP")
    second = multiplied(graph, setting, hidden, up, "upper half of the MLP")
    inner = graph.tensor(first.shape, first.dtype, "gated hidden states", needs_grad=False)
    made = multiplied(graph, setting, inner, down, "output of the MLP")
    weights = tuple(
        weight for each, part in ((gate, "gate"), (up, "up"), (down, f"{down.name}.down"))
        for weight in weight_gradients(setting, each, f"{name}.{part}", hidden.dtype)
    )
    graph.record(
        made, (hidden,), saved=(hidden, first, second), weights=weights, derivative=GatedBackward(setting, gate, up, down),
    )
    graph.drop(inner, second, first)
    return made
