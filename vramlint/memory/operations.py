"""What each operation of a decoder layer allocates, saves for its backward and frees, after transformers 5.17 and peft 0.21."""

from __future__ import annotations

from math import prod

from vramlint.dataclass import dataclass
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


def dropout(graph: Graph, tensor: Tensor, share: float, what: str) -> Tensor:
    """`native_dropout`: keeps a mask of one byte an element; takes over `tensor`, and is it where nothing is dropped."""
    if not share:
        return tensor
    made = graph.tensor(tensor.shape, tensor.dtype, f"{what} after dropout")
    mask = graph.tensor(tensor.shape, "bool", f"dropout mask of {what}", needs_grad=False)
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
    if kind != "layer" and setting.liger_norm:
        made = graph.tensor(hidden.shape, hidden.dtype, "normed hidden states")
        # The kernel writes dX over dY, but for gemma's (liger_kernel/transformers/rms_norm.py, in_place).
        return graph.record(made, (hidden,), saved=(hidden,), weights=weights, passes=kind == "rms")
    upper = cast(graph, hidden, "float32", "hidden states in fp32 for the norm")
    if kind == "layer":
        # layer_norm is on autocast's fp32 list; without autocast the kernel keeps the input's dtype.
        if setting.autocast is None:
            graph.drop(upper)
            upper = graph.hold(hidden)
        made = graph.tensor(hidden.shape, upper.dtype, "normed hidden states")
        graph.record(made, (upper,), saved=(upper,), weights=weights * 2)
        graph.drop(upper)
        return made
    square = graph.tensor(upper.shape, "float32", "squares for the norm", needs_grad=False)
    graph.drop(square)
    scaled = graph.tensor(upper.shape, "float32", "normed hidden states in fp32")
    graph.record(scaled, (upper,), saved=(upper,), temporary=prod(upper.shape) * 4 * 2, pieces=2)
    graph.drop(upper)
    if kind == "rms-fp32":
        weighted = graph.tensor(hidden.shape, "float32", "scaled hidden states in fp32")
        graph.record(weighted, (scaled,), saved=(scaled,) if setting.trained else (), weights=weights)
        graph.drop(scaled)
        made = cast(graph, weighted, hidden.dtype, "scaled hidden states")
        graph.drop(weighted)
        return made
    lower = cast(graph, scaled, hidden.dtype, "normed hidden states")
    made = graph.tensor(hidden.shape, promoted(lower.dtype, setting.norm_weight), "scaled hidden states")
    graph.record(made, (lower,), saved=(lower,) if setting.trained else (), weights=weights)
    graph.drop(lower, scaled)
    return made


def _weight(setting: Setting, name: str, elements: int, dtype: str) -> tuple[tuple[str, int, int, int], ...]:
    if not setting.trained:
        return ()
    return ((name, elements * BYTES[dtype], elements * BYTES[dtype], 1),)


def attention(
    graph: Graph, setting: Setting, query: Tensor, key: Tensor, value: Tensor, heads: int, groups: int, mask: Tensor | None,
    *, softcap: bool = False, dropped: float = 0.0, width: int = 0,
) -> Tensor:
    """Attention proper; takes over its three inputs. Shapes: batch × length × width; `width` is the output's where it differs."""
    compute = setting.autocast or query.dtype
    batch, length, _ = query.shape
    width = width or query.shape[-1]
    repeats = setting.attention == "eager" or mask is not None or (
        setting.attention == "sdpa" and "keys-repeated-in-sdpa" in setting.facts
    )
    # The keys of one group are the same memory for every head (transformers 5.17, repeat_kv), until something copies them: a
    # cast, or a matrix product.
    shared = groups == 1 and setting.attention != "eager"
    if groups != heads and repeats and not (shared and key.dtype == compute):
        key, value = (_repeated(graph, tensor, width, compute if shared else None) for tensor in (key, value))
    if setting.attention == "eager":
        return _eager(graph, query, key, value, heads, compute, softcap, dropped)
    # Grouped heads are left to the kernel where there is no mask; of the fused ones only flash takes them (sdp_utils.cpp).
    has_flash = compute != "float32" and setting.capability >= (8, 0)
    if setting.attention == "math" or (setting.attention == "sdpa" and groups != heads and not repeats and not has_flash):
        return _math(graph, query, key, value, heads, compute)
    inputs = []
    for tensor in (query, key, value):
        lower = cast(graph, tensor, compute, "input of the attention kernel")
        graph.drop(tensor)
        inputs.append(lower)
    made = graph.tensor((batch, length, width), compute, "output of attention")
    sums = graph.tensor((batch, heads, length), "float32", "log-sum-exp of attention", needs_grad=False)
    saved = [*inputs, made, sums]
    bias = None
    if mask is not None and mask.dtype == "bool":
        # sdpa turns the boolean mask into an additive one of the query's dtype, per layer.
        bias = graph.tensor((batch, 1, length, length), compute, "attention mask as a bias", needs_grad=False)
        saved.append(bias)
    graph.record(made, tuple(inputs), saved=tuple(saved))
    graph.drop(*inputs, sums)
    if bias is not None:
        graph.drop(bias)
    return made


def _repeated(graph: Graph, tensor: Tensor, width: int, dtype: str | None = None) -> Tensor:
    made = graph.tensor((*tensor.shape[:-1], width), dtype or tensor.dtype, "keys or values repeated for every head")
    graph.record(made, (tensor,))
    graph.drop(tensor)
    return made


def _eager(
    graph: Graph, query: Tensor, key: Tensor, value: Tensor, heads: int, compute: str, softcap: bool, dropped: float,
) -> Tensor:
    """`eager_attention_forward`: the scores are there in full, in fp32 for the softmax."""
    batch, length, width = query.shape
    square = (batch, heads, length, length)
    lowered = []
    for tensor in (query, key, value):
        lower = cast(graph, tensor, compute, "input of attention")
        graph.drop(tensor)
        lowered.append(lower)
    query, key, value = lowered
    scores = graph.tensor(square, compute, "attention scores")
    graph.record(scores, (query, key), saved=(query, key))
    graph.drop(query, key)
    scaled = graph.tensor(square, compute, "attention scores, scaled")
    graph.record(scaled, (scores,))
    graph.drop(scores)
    if softcap:
        curve = graph.tensor(square, compute, "tanh of the attention scores")
        graph.record(curve, (scaled,), saved=(curve,))
        graph.drop(scaled)
        scaled = graph.tensor(square, compute, "attention scores, capped")
        graph.record(scaled, (curve,))
        graph.drop(curve)
    masked = graph.tensor(square, compute, "attention scores, masked")
    graph.record(masked, (scaled,), passes=True)
    graph.drop(scaled)
    if masked.dtype != "float16":  # softmax reads half as it is, and bfloat16 through a copy (SoftMax.cu of torch 2.11)
        wide = cast(graph, masked, "float32", "attention scores in fp32")
    else:  # its gradient is one in fp32 all the same
        wide = Tensor(None, square, "float32", masked.needs_grad)
        graph.record(wide, (masked,), saves_nothing=True)
    graph.drop(masked)
    masked = wide
    upper = graph.tensor(square, "float32", "attention probabilities in fp32")
    graph.record(upper, (masked,), saved=(upper,), temporary=prod(square) * 4)
    lower = cast(graph, upper, query.dtype, "attention probabilities")
    graph.drop(masked, upper)
    lower = dropout(graph, lower, dropped, "attention probabilities")
    made = graph.tensor((batch, length, width), compute, "output of attention")
    graph.record(made, (lower, value), saved=(lower, value))
    graph.returned.append(lower)  # `attn_weights`
    graph.drop(value)
    return made


def _math(graph: Graph, query: Tensor, key: Tensor, value: Tensor, heads: int, compute: str) -> Tensor:
    """sdpa without a fused kernel: in fp32 throughout, the scores there in full.

    `_scaled_dot_product_attention_math` and `_safe_softmax` of torch 2.11, aten/src/ATen/native/transformers/attention.cpp.
    """
    batch, length, width = query.shape
    square = (batch, heads, length, length)
    upper = []
    for tensor in (query, key, value):
        lower = cast(graph, tensor, compute, "input of attention")
        wide = cast(graph, lower, "float32", "input of attention in fp32")
        graph.drop(tensor, lower)
        upper.append(_repeated(graph, wide, width) if tensor.shape[-1] != width else wide)
    query, key, value = upper
    scaled = []
    for tensor in (query, key):
        times = graph.tensor(tensor.shape, "float32", "scaled input of attention")
        scaled.append(graph.record(times, (tensor,)))
        graph.drop(tensor)
    scores = graph.tensor(square, "float32", "attention scores")
    graph.record(scores, tuple(scaled), saved=tuple(scaled))
    chances = graph.tensor(square, "float32", "attention probabilities")
    empty = graph.tensor(square, "bool", "attention scores that are -inf", needs_grad=False)
    graph.record(chances, (scores,), saved=(chances,), temporary=prod(square) * 4)
    graph.drop(empty, scores)
    wide = graph.tensor((batch, length, width), "float32", "output of attention in fp32")
    graph.record(wide, (chances, value), saved=(chances, value))
    graph.drop(value)
    made = cast(graph, wide, compute, "output of attention")
    returned = graph.tensor(square, compute, "attention probabilities, returned", needs_grad=False)
    graph.drop(wide, chances, returned, *scaled)  # the function's own variables
    return made


def activation(graph: Graph, setting: Setting, hidden: Tensor, kind: str) -> Tensor:
    """The activation of the MLP. `gelu_new` and `relu2` are written out and keep each step; the others are one kernel."""
    if kind == "relu2":
        return _squared_relu(graph, setting, hidden)
    if kind != "gelu_new":
        made = graph.tensor(hidden.shape, hidden.dtype, "activated hidden states")
        return graph.record(made, (hidden,), saved=(hidden,))
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
