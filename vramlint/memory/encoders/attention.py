"""Attention of encoders and of decoders that read one: kernels, masks over other lengths, T5's biased scores."""

from __future__ import annotations

from math import prod

from vramlint.dataclass import dataclass
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.dtypes import BYTES
from vramlint.memory.operations import Setting, cast, cast_all, dropout


@dataclass(frozen=True, slots=True)
class Scores:
    """How scores are masked and biased. `causal` without a mask: the kernel does it, but where there is a bias."""

    mask: Tensor | None = None
    bias: Tensor | None = None
    causal: bool = False
    dropped: float = 0.0
    strided: bool = False
    """Whether the bias comes out of an embedding, heads last: no fused kernel takes that (check_last_dim_stride_equals_1)."""
    cast_by_hand: bool = False
    """Whether eager attention casts its probabilities itself before it drops of them and returns them (modernbert)."""


def attend(graph: Graph, setting: Setting, query: Tensor, key: Tensor, value: Tensor, heads: int, scores: Scores) -> Tensor:
    """Attention proper; takes over its three inputs. Shapes: batch × length × width; keys may be of another length.

    sdpa takes its plain implementation where a bias lies so that no kernel reads it, and the memory-efficient kernel for masks.
    """
    compute = setting.autocast or query.dtype
    if setting.attention == "eager":
        return _eager(graph, query, key, value, heads, scores, compute, "float32" if setting.autocast else None)
    bias = _bias(graph, query, key, heads, scores)
    query, key, value = cast_all(graph, (query, key, value), compute, "input of attention")
    if bias is not None and bias.dtype not in (compute, "bool"):
        lower = cast(graph, bias, compute, "bias of the scores in the compute dtype")
        graph.drop(bias)
        bias = lower
    if setting.attention == "math" or scores.strided:
        return _math(graph, query, key, value, heads, bias, scores, compute)
    return _fused(graph, query, key, value, heads, bias, compute)


def _bias(graph: Graph, query: Tensor, key: Tensor, heads: int, scores: Scores) -> Tensor | None:
    """The mask that sdpa is given: a position bias with masks laid over it (`create_position_bias_mask`), else the mask."""
    mask, bias = scores.mask, scores.bias
    if bias is None:
        return None if mask is None else graph.hold(mask)
    if mask is None and not scores.causal:
        return graph.hold(bias)
    rows = mask.shape[0] if mask is not None else 1
    shape = (rows, heads, query.shape[1], key.shape[1])
    made = graph.tensor(shape, bias.dtype, "position bias under the mask", needs_grad=bias.needs_grad)
    return graph.record(made, (bias,))


def _fused(graph: Graph, query: Tensor, key: Tensor, value: Tensor, heads: int, bias: Tensor | None, compute: str) -> Tensor:
    """A fused kernel: its output and the log-sum-exp of the scores are kept. A boolean mask becomes an additive one."""
    batch, length, width = query.shape
    made = graph.tensor((batch, length, width), compute, "output of attention")
    sums = graph.tensor((batch, heads, length), "float32", "log-sum-exp of attention", needs_grad=False)
    saved = [query, key, value, made, sums]
    if bias is not None and bias.dtype == "bool":
        lower = graph.tensor((batch, *bias.shape[1:]), compute, "attention mask as a bias", needs_grad=False)
        graph.drop(bias)
        bias = lower
    if bias is not None:
        saved.append(bias)
    graph.record(made, (query, key, value), saved=tuple(saved))
    graph.drop(query, key, value, sums)
    if bias is not None:
        graph.drop(bias)
    return made


def _math(
    graph: Graph, query: Tensor, key: Tensor, value: Tensor, heads: int, bias: Tensor | None, scores: Scores, compute: str,
) -> Tensor:
    """sdpa written out, in fp32 throughout (`_scaled_dot_product_attention_math` of torch 2.11, attention.cpp)."""
    batch, length, width = query.shape
    square = (batch, heads, length, key.shape[1])
    upper = []
    for tensor in (query, key, value):
        upper.append(cast(graph, tensor, "float32", "input of attention in fp32"))
        graph.drop(tensor)
    query, key, value = upper
    scaled = []
    for tensor in (query, key):
        times = graph.tensor(tensor.shape, "float32", "scaled input of attention")
        scaled.append(graph.record(times, (tensor,)))
    sums = graph.tensor(square, "float32", "attention scores")
    graph.record(sums, tuple(scaled), saved=tuple(scaled))
    if bias is not None:  # added in place; its gradient is the scores', summed over what it was spread over
        biased = Tensor(None, square, "float32", True, graph.hold(sums))
        graph.record(biased, (sums, bias) if bias.needs_grad else (sums,), passes=True)
        graph.drop(sums)
        sums = biased
    chances = graph.tensor(square, "float32", "attention probabilities")
    empty = graph.tensor(square, "bool", "attention scores that are -inf", needs_grad=False)
    graph.record(chances, (sums,), saved=(chances,), temporary=prod(square) * 4)
    graph.drop(empty, sums)
    chances = dropout(graph, chances, scores.dropped, "attention probabilities")
    wide = graph.tensor((batch, length, width), "float32", "output of attention in fp32")
    graph.record(wide, (chances, value), saved=(chances, value))
    made = cast(graph, wide, compute, "output of attention")
    returned = graph.tensor(square, compute, "attention probabilities, returned", needs_grad=False)
    graph.drop(wide, chances, returned, *scaled, query, key, value)  # the function's own variables
    if bias is not None:
        graph.drop(bias)
    return made


def _eager(
    graph: Graph, query: Tensor, key: Tensor, value: Tensor, heads: int, scores: Scores, compute: str, softmax: str | None,
) -> Tensor:
    """bert's `eager_attention_forward`: softmax in fp32 under autocast, else in the scores' dtype; dropout on what it gives."""
    batch, length, width = query.shape
    square = (batch, heads, length, key.shape[1])

    def laid_out(tensor: Tensor) -> Tensor:
        """`matmul` copies what is transposed."""
        lower = cast(graph, tensor, compute, "input of attention")
        graph.drop(tensor)
        copied = graph.record(graph.tensor(lower.shape, compute, "input of attention, head by head"), (lower,))
        graph.drop(lower)
        return copied

    query, key = laid_out(query), laid_out(key)
    first = graph.tensor(square, compute, "attention scores")
    graph.record(first, (query, key), saved=(query, key))
    graph.drop(key, query)
    scaled = graph.tensor(square, compute, "attention scores, scaled")
    graph.record(scaled, (first,))
    graph.drop(first)
    for added in (scores.bias, scores.mask):
        if added is None:
            continue
        dtype = "float32" if added.dtype == "float32" else compute
        biased = graph.tensor(square, dtype, "attention scores with their bias")
        inputs = (scaled, added) if added.needs_grad else (scaled,)
        graph.record(biased, inputs, passes=dtype == scaled.dtype)
        graph.drop(scaled)
        scaled = biased
    soft = softmax or scaled.dtype
    upper = cast(graph, scaled, soft, "attention scores in fp32")
    chances = graph.tensor(square, soft, "attention probabilities")
    graph.record(chances, (upper,), saved=(chances,), temporary=prod(square) * BYTES[soft])
    graph.drop(upper)
    chances = dropout(graph, chances, scores.dropped, "attention probabilities")
    lower = cast(graph, chances, compute, "attention probabilities in the compute dtype")
    graph.drop(scaled)  # a variable until then
    if scores.cast_by_hand and lower is not chances:
        graph.drop(chances)
        chances = graph.hold(lower)
    value = laid_out(value)
    made = graph.tensor((batch, length, width), compute, "output of attention")
    graph.record(made, (lower, value), saved=(lower, value))
    graph.drop(lower, value)
    graph.returned.append(chances)  # `attn_weights`
    copied = graph.tensor(made.shape, compute, "output of attention, in order")
    graph.record(copied, (made,), passes=True)
    graph.drop(made)
    return copied
