"""Attention: the kernel that sdpa's dispatcher picks, or the scores in full, after transformers 5.17 and torch 2.11."""

from __future__ import annotations

from vramlint.memory import derivatives
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.operations import Setting, cast, cast_all, dropout


def attention(
    graph: Graph, setting: Setting, query: Tensor, key: Tensor, value: Tensor, heads: int, groups: int, mask: Tensor | None,
    *, softcap: bool = False, dropped: float = 0.0, width: int = 0, broadcasts: bool = False,
) -> Tensor:
    """Attention proper; takes over its three inputs. Shapes: batch × length × width; `width` is the output's where it differs."""
    width = width or query.shape[-1]
    repeats = setting.attention == "eager" or mask is not None or (
        setting.attention == "sdpa" and "keys-repeated-in-sdpa" in setting.facts
    )
    # The keys of one group are the same memory for every head (transformers 5.17, repeat_kv), until something copies them: a
    # cast, or a matrix product.
    shared = groups == 1 and setting.attention != "eager"
    compute = setting.autocast or query.dtype
    if broadcasts:  # keys and values of another number of heads than the queries: none of the fused kernels takes them
        return _math(graph, query, key, value, heads, mask, compute)
    if groups == heads or not repeats or (shared and key.dtype == compute):
        return _attend(graph, setting, (query, key, value), (heads, groups, width), mask, repeats, softcap, dropped)
    key, value = (repeated(graph, tensor, width, compute if shared else "") for tensor in (key, value))
    given = [graph.hold(tensor) for tensor in (key, value)]  # which the function has until it returns
    made = _attend(graph, setting, (query, key, value), (heads, groups, width), mask, repeats, softcap, dropped)
    graph.drop(*given)
    return made


def _attend(
    graph: Graph, setting: Setting, states: tuple[Tensor, Tensor, Tensor], counts: tuple[int, int, int], mask: Tensor | None,
    repeats: bool, softcap: bool, dropped: float,
) -> Tensor:
    query, key, value = states
    heads, groups, width = counts
    compute = setting.autocast or query.dtype
    batch, length, _ = query.shape
    if setting.attention == "eager":
        return _eager(graph, query, key, value, heads, compute, softcap, dropped)
    # Grouped heads are left to the kernel where there is no mask; of the fused ones only flash takes them (sdp_utils.cpp).
    has_flash = compute != "float32" and setting.capability >= (8, 0)
    if setting.attention == "math" or (setting.attention == "sdpa" and groups != heads and not repeats and not has_flash):
        return _math(graph, query, key, value, heads, mask, compute)
    inputs = cast_all(graph, (query, key, value), compute, "input of the attention kernel")
    bias = _bias(graph, mask, compute, batch, length)
    made = graph.choose((batch, length, width), compute, "output of attention", product=False)
    sums = graph.choose((batch, heads, length), "float32", "log-sum-exp of attention", product=False, needs_grad=False)
    query, key, value = inputs
    flash = has_flash and bias is None
    graph.record(
        made, tuple(inputs), saved=(made, value, query, key, *([bias] if bias is not None else []), sums),
        derivative=derivatives.flash if flash else derivatives.efficient,
    )
    if bias is not None:
        graph.drop(bias)
    graph.drop(value, key, query, sums)
    return made


def _bias(graph: Graph, mask: Tensor | None, dtype: str, batch: int, length: int) -> Tensor | None:
    """sdpa turns the boolean mask into an additive one of the query's dtype, per layer."""
    if mask is None or mask.dtype != "bool":
        return None
    return graph.tensor((batch, 1, length, length), dtype, "attention mask as a bias", needs_grad=False)


def repeated(graph: Graph, tensor: Tensor, width: int, dtype: str = "") -> Tensor:
    """Keys or values once for every head; takes over `tensor`."""
    made = graph.tensor((*tensor.shape[:-1], width), dtype or tensor.dtype, "keys or values repeated for every head")
    graph.record(made, (tensor,))
    graph.drop(tensor)
    return made


def _eager(
    graph: Graph, query: Tensor, key: Tensor, value: Tensor, heads: int, compute: str, softcap: bool, dropped: float,
) -> Tensor:
    """`eager_attention_forward`: the scores are there in full, in fp32 for the softmax."""
    batch, length, _ = query.shape
    square = (batch, heads, length, length)
    query, key, value = cast_all(graph, (query, key, value), compute, "input of attention")
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
    graph.record(upper, (masked,), saved=(upper,), derivative=derivatives.softmax)
    lower = cast(graph, upper, query.dtype, "attention probabilities")
    graph.drop(masked, upper)
    lower = dropout(graph, lower, dropped, "attention probabilities")
    made = graph.tensor(value.shape, compute, "output of attention")
    graph.record(made, (lower, value), saved=(lower, value))
    graph.returned.append(lower)  # `attn_weights`
    graph.drop(value)
    return made


def _math(graph: Graph, query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None, compute: str) -> Tensor:
    """sdpa without a fused kernel: in fp32 throughout, the scores there in full.

    `_scaled_dot_product_attention_math` and `_safe_softmax` of torch 2.11, aten/src/ATen/native/transformers/attention.cpp.
    """
    batch, length, width = query.shape
    square = (batch, heads, length, length)
    copies = batch > 1 and heads > 1  # what lies head by head within each token is copied for the product of matrices
    bias = _bias(graph, mask, compute, batch, length)
    wide = []
    for tensor in (query, key, value):
        lower = cast(graph, tensor, compute, "input of attention")
        wide.append(cast(graph, lower, "float32", "input of attention in fp32"))
        graph.drop(tensor, lower)
    query, key, value = wide
    scaled = graph.record(graph.tensor(query.shape, "float32", "scaled queries"), (query,))
    causal = [] if mask is not None else [_causal(graph, length)]
    grouped = key.shape[-1] != width
    each_key, each_value = (
        repeated(graph, graph.hold(tensor), width) if grouped else graph.hold(tensor) for tensor in (key, value)
    )
    apart = grouped or (mask is not None)  # repeated before, or here: each head's keys and values lie together
    times = graph.record(graph.tensor(each_key.shape, "float32", "scaled keys"), (each_key,))
    left = _copied(graph, scaled) if copies else graph.hold(scaled)
    right = _copied(graph, times) if copies and not apart else graph.hold(times)
    graph.drop(times)
    scores = graph.tensor(square, "float32", "attention scores")
    graph.record(scores, (right, left), saved=(left, right))
    graph.drop(left, right)
    chances = graph.tensor(square, "float32", "attention probabilities")
    empty = graph.tensor(square, "bool", "attention scores that are -inf", needs_grad=False)
    graph.record(chances, (scores,), saved=(chances,), derivative=derivatives.softmax)
    graph.drop(empty, scores)
    returned = graph.tensor(square, compute, "attention probabilities, returned", needs_grad=False)
    read = _copied(graph, each_value) if copies and not apart else graph.hold(each_value)
    product = graph.tensor(each_value.shape, "float32", "output of attention in fp32")
    graph.record(product, (read, chances), saved=(read, chances))
    graph.drop(read, each_value)
    result = graph.view(product, product.shape) if copies else graph.hold(product)
    made = cast(graph, result, compute, "output of attention")
    graph.drop(result, product, chances, each_key, scaled, *causal, value, key, query, returned)
    if bias is not None:
        graph.drop(bias)
    copied = graph.tensor(made.shape, made.dtype, "output of attention, each token's together")
    graph.record(copied, (made,), passes=True)
    graph.drop(made)
    return copied


def _copied(graph: Graph, tensor: Tensor) -> Tensor:
    made = graph.tensor(tensor.shape, tensor.dtype, "input of attention, each head's together")
    return graph.record(made, (tensor,), passes=True)


def _causal(graph: Graph, length: int) -> Tensor:
    """The mask that `is_causal` stands for, without its lower dtypes."""
    every = graph.tensor((length, length), "bool", "causal mask", needs_grad=False)
    lower = graph.tensor((length, length), "bool", "causal mask", needs_grad=False)
    graph.drop(every)
    made = graph.tensor((length, length), "float32", "causal mask as a bias", needs_grad=False)
    graph.drop(lower)
    return made
