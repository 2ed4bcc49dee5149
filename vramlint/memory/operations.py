"""What each operation of a decoder layer allocates, saves for its backward and frees, after transformers 5.17 and peft 0.21."""

from __future__ import annotations

from math import prod

from vramlint.dataclass import dataclass
from vramlint.memory import derivatives
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.dtypes import BYTES, promoted
from vramlint.memory.masks import Masks


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for all operations of a run.

    `autocast`: the dtype of mixed precision or None. `weight`: the dtype that weights are kept in. `trained`: whether the
    base weights are. `adapter`: the dtype of LoRA's matrices. `compute`: bitsandbytes' compute dtype, where `bits` is 4 or 8.
    `capability`: the card's compute capability.
    """

    batch: int
    length: int
    autocast: str | None
    weight: str
    norm_weight: str
    trained: bool
    adapter: str
    rank: int
    dropout: float
    bits: int
    compute: str
    attention: str
    masks: Masks
    liger: bool
    """Whether Liger computes the product of a gated MLP; `liger_norm`, `liger_rope`: the norms, the positions."""
    liger_norm: bool = False
    liger_rope: bool = False
    capability: tuple[int, int] = (8, 0)
    small_card: bool = True
    """Whether the card has no more than 24.5 GiB, which unsloth's loss asks."""
    dora: str = ""
    """`plain`, or `again` where DoRA multiplies by the base's weight once more: with a dropout layer, whatever its share."""
    unpacks: str = "bitsandbytes"
    """Whose 4-bit linear layers: bitsandbytes or torchao."""
    facts: frozenset[str] = frozenset()
    """What holds for the versions of the libraries: names of `catalog/data/library_facts.json`."""

    @property
    def tokens(self) -> int:
        """Of one micro batch."""
        return self.batch * self.length


def cast(graph: Graph, tensor: Tensor, dtype: str, what: str) -> Tensor:
    """`tensor.to(dtype)`: itself where the dtype is the same."""
    if tensor.dtype == dtype:
        return graph.hold(tensor)
    made = graph.tensor(tensor.shape, dtype, what, needs_grad=tensor.needs_grad)
    return graph.record(made, (tensor,), saves_nothing=True)


def cast_all(graph: Graph, tensors: tuple[Tensor, ...], dtype: str, what: str) -> list[Tensor]:
    """Each in that dtype, one after the other; takes them over."""
    made = []
    for tensor in tensors:
        made.append(cast(graph, tensor, dtype, what))
        graph.drop(tensor)
    return made


def dropout(graph: Graph, tensor: Tensor, share: float, what: str) -> Tensor:
    """`native_dropout`: keeps a mask of one byte an element; takes over `tensor`, and is it where nothing is dropped."""
    if not share:
        return tensor
    mask = graph.tensor(tensor.shape, "bool", f"dropout mask of {what}", needs_grad=False)
    made = graph.tensor(tensor.shape, tensor.dtype, f"{what} after dropout")
    graph.record(made, (tensor,), saved=(mask,))
    graph.drop(mask, tensor)
    return made


def add(graph: Graph, first: Tensor, second: Tensor, what: str) -> Tensor:
    """`first + second`: saves nothing, the gradient passes through."""
    made = graph.tensor(first.shape, promoted(first.dtype, second.dtype), what)
    return graph.record(made, (first, second), passes=True, saves_nothing=True)


def norm(graph: Graph, setting: Setting, hidden: Tensor, kind: str, name: str, width: int) -> Tensor:
    """A norm over the last dimension of `width`; the kinds are those of `BlockShape.norm`."""
    weights = _weight(setting, name, width, setting.norm_weight)
    if kind == "rms-torch":  # torch's kernel, or written out where the weight's dtype is another (torch 2.11, layer_norm.cpp)
        kind = "rms-fused" if hidden.dtype == setting.norm_weight else "rms-fp32"
    if kind == "rms-fused":
        made = graph.tensor(hidden.shape, hidden.dtype, "normed hidden states")
        return graph.record(made, (hidden,), saved=(hidden,), weights=weights, computes=True)
    if not kind.startswith("layer") and setting.liger_norm:
        made = graph.tensor(hidden.shape, hidden.dtype, "normed hidden states")
        # The kernel writes dX over dY, but for gemma's (liger_kernel/transformers/rms_norm.py, in_place).
        return graph.record(made, (hidden,), saved=(hidden,), weights=weights, passes=kind == "rms", computes=True)
    if kind == "layer-low":  # NemotronLayerNorm1P casts to autocast's dtype and leaves the region
        lower = cast(graph, hidden, setting.autocast or hidden.dtype, "input of the norm")
        made = graph.tensor(hidden.shape, lower.dtype, "normed hidden states")
        graph.record(made, (lower,), saved=(lower,), weights=weights * 2, computes=True)
        graph.drop(lower)
        return made
    if kind == "layer-fp32":
        return _cohere_norm(graph, setting, hidden, weights)
    # layer_norm is on autocast's fp32 list; without autocast the kernel keeps the input's dtype.
    in_its_own = kind == "layer" and setting.autocast is None
    upper = cast(graph, hidden, hidden.dtype if in_its_own else "float32", "hidden states in fp32 for the norm")
    if kind == "layer":
        made = graph.tensor(hidden.shape, upper.dtype, "normed hidden states")
        graph.record(made, (upper,), saved=(upper,), weights=weights * 2, computes=True)
        graph.drop(upper)
        return made
    square = graph.tensor(upper.shape, "float32", "squares for the norm", needs_grad=False)
    graph.drop(square)
    scaled = graph.tensor(upper.shape, "float32", "normed hidden states in fp32")
    graph.record(scaled, (upper,), saved=(upper,), derivative=derivatives.root_mean_square)
    graph.drop(upper)
    if kind == "rms-fp32":
        weighted = graph.tensor(hidden.shape, "float32", "scaled hidden states in fp32")
        graph.record(weighted, (scaled,), saved=(scaled,) if setting.trained else (), weights=weights,
                     derivative=derivatives.times_weight if setting.trained else None)
        graph.drop(scaled)
        made = cast(graph, weighted, hidden.dtype, "scaled hidden states")
        graph.drop(weighted)
        return made
    lower = cast(graph, scaled, hidden.dtype, "normed hidden states")
    made = graph.tensor(hidden.shape, promoted(lower.dtype, setting.norm_weight), "scaled hidden states")
    graph.record(made, (lower,), saved=(lower,) if setting.trained else (), weights=weights,
                 derivative=derivatives.times_weight if setting.trained else None)
    graph.drop(lower, scaled)
    return made


def _cohere_norm(graph: Graph, setting: Setting, hidden: Tensor, weights: tuple[tuple[str, int, int, int], ...]) -> Tensor:
    """CohereLayerNorm: a layer norm written out in fp32, which takes the mean off twice (transformers 5.17)."""
    upper = cast(graph, hidden, "float32", "hidden states in fp32 for the norm")
    size = prod(upper.shape) * 4
    centred = graph.tensor(upper.shape, "float32", "hidden states less their mean")
    graph.record(centred, (upper,), passes=True)
    square = graph.tensor(upper.shape, "float32", "squares for the norm")
    graph.record(square, (centred,), saved=(centred,), temporary=size * 2, pieces=2)
    variance = graph.tensor((*upper.shape[:-1], 1), "float32", "variances")
    graph.record(variance, (square,))
    graph.drop(square, centred)
    again = graph.tensor(upper.shape, "float32", "hidden states less their mean")
    graph.record(again, (upper,), passes=True)
    scaled = graph.tensor(upper.shape, "float32", "normed hidden states in fp32")
    graph.record(scaled, (again, variance), saved=(again, variance), temporary=size)
    graph.drop(again, upper, variance)
    weighted = graph.tensor(upper.shape, "float32", "scaled hidden states in fp32")
    graph.record(weighted, (scaled,), saved=(scaled,) if setting.trained else (), weights=weights)
    graph.drop(scaled)
    made = cast(graph, weighted, hidden.dtype, "scaled hidden states")
    graph.drop(weighted)
    return made


def _weight(setting: Setting, name: str, elements: int, dtype: str) -> tuple[tuple[str, int, int, int], ...]:
    if not setting.trained:
        return ()
    return ((name, elements * BYTES[dtype], elements * BYTES[dtype], 1),)


def activation(graph: Graph, setting: Setting, hidden: Tensor, kind: str) -> Tensor:
    """The activation of the MLP. `gelu_new` and `relu2` are written out and keep each step; the others are one kernel."""
    if kind == "relu2":
        return _squared_relu(graph, setting, hidden)
    if kind != "gelu_new":
        made = graph.tensor(hidden.shape, hidden.dtype, "activated hidden states")
        return graph.record(made, (hidden,), saved=(made if kind == "relu" else hidden,))  # relu's backward asks for its output
    wide = "float32" if setting.autocast else hidden.dtype
    half = graph.tensor(hidden.shape, hidden.dtype, "half the input of gelu_new")
    graph.record(half, (hidden,))
    upper = cast(graph, hidden, wide, "input of gelu_new in fp32")
    step = graph.tensor(hidden.shape, wide, "cube of gelu_new")
    graph.record(step, (upper,), saved=(upper,), temporary=prod(hidden.shape) * BYTES[wide] * 2, pieces=2)
    graph.drop(upper)
    for what, inputs, passes in (("scaled cube", (), False), ("sum", (hidden,), True), ("input of the tanh", (), False)):
        made = graph.tensor(hidden.shape, wide, f"{what} of gelu_new")
        graph.record(made, (*inputs, step), passes=passes)
        graph.drop(step)
        step = made
    curve = graph.tensor(hidden.shape, wide, "tanh of gelu_new")
    graph.record(curve, (step,), saved=(curve,))
    graph.drop(step)
    shifted = graph.tensor(hidden.shape, wide, "1 + tanh of gelu_new")
    graph.record(shifted, (curve,), passes=True)
    graph.drop(curve)
    made = multiply(graph, half, shifted, "activated hidden states")
    graph.drop(half, shifted)
    return made


def _squared_relu(graph: Graph, setting: Setting, hidden: Tensor) -> Tensor:
    """`torch.square(relu(x))` (transformers 5.17, activations.py): autocast squares in fp32, as it does every `pow`."""
    positive = graph.tensor(hidden.shape, hidden.dtype, "hidden states after relu")
    graph.record(positive, (hidden,), saved=(positive,))
    upper = cast(graph, positive, "float32" if setting.autocast else hidden.dtype, "input of the square in fp32")
    graph.drop(positive)
    made = graph.tensor(hidden.shape, upper.dtype, "activated hidden states")
    # pow_backward of torch 2.11: `grad * (2 * x.pow(1))`, whose two factors live until the product is made.
    graph.record(made, (upper,), saved=(upper,), temporary=prod(hidden.shape) * BYTES[upper.dtype] * 2, pieces=2)
    graph.drop(upper)
    return made


def multiply(graph: Graph, first: Tensor, second: Tensor, what: str) -> Tensor:
    """`first * second`: saves both."""
    made = graph.tensor(first.shape, promoted(first.dtype, second.dtype), what)
    return graph.record(made, (first, second), saved=(first, second))
