"""Gated delta nets, the linear attention of qwen3_5: what transformers 5.17's own code takes where no kernels are installed.

After `Qwen3_5GatedDeltaNet` and `torch_chunk_gated_delta_rule` (modeling_qwen3_5.py): a convolution over a few tokens, keys and
values in fp32 in chunks of 64 tokens, two triangular systems, and a scan from chunk to chunk.
"""

from __future__ import annotations

from math import prod

from vramlint.memory import derivatives
from vramlint.memory.autograd import Graph, Operation, Tensor
from vramlint.memory.delta_shape import CHUNK, DeltaShape
from vramlint.memory.derivatives import Gradients, fresh
from vramlint.memory.dtypes import BYTES, promoted
from vramlint.memory.linear import linear
from vramlint.memory.operations import Setting, activation, cast, multiply
from vramlint.memory.parameters import Projection


def gated_delta(
    graph: Graph, setting: Setting, shape: DeltaShape, hidden: Tensor, mask: Tensor | None, name: str,
    projections: tuple[Projection, ...],
) -> Tensor:
    """The layer's mixer: projections, convolution, delta rule, gated norm, output projection; takes over `hidden`."""
    given = [hidden]
    if mask is not None:  # apply_mask_to_padding_states
        hidden = graph.record(graph.tensor(hidden.shape, hidden.dtype, "hidden states of no padding"), (hidden,))
        given.append(hidden)
    inputs, gate, *scales, output = projections
    mixed = linear(graph, setting, hidden, inputs, f"{name}.{inputs.name}.in")
    opened = linear(graph, setting, hidden, gate, f"{name}.{gate.name}.in")
    narrow = [linear(graph, setting, hidden, each, f"{name}.{each.name}.in") for each in scales]
    active = _convolved(graph, setting, shape, mixed, name)
    states = list(graph.split(active, (shape.keys, shape.keys, shape.values)))
    decay = graph.tensor((*hidden.shape[:-1], 2 * shape.value_heads), "float32", "decay and learning rate of each token")
    size = 2 * shape.value_heads * BYTES[setting.norm_weight]
    weights = ((f"{name}.decay", size, size, 1),) if setting.trained else ()
    graph.record(decay, tuple(narrow), saved=tuple(narrow), weights=weights)
    if shape.value_heads > shape.key_heads:
        wide, what = (*hidden.shape[:-1], shape.repeated), "queries or keys repeated for every head"
        narrower, states[:2] = states[:2], [_made(graph, wide, state, what) for state in states[:2]]
        graph.drop(*narrower)
    core = _delta_rule(graph, setting, shape, states, decay)
    made = _gated_norm(graph, setting, core, opened, f"{name}.delta_norm", shape.value_width)
    out = linear(graph, setting, made, output, f"{name}.{output.name}.out")
    graph.drop(made, opened, *narrow, *states, active, decay, *given)
    return out


def _convolved(graph: Graph, setting: Setting, shape: DeltaShape, mixed: Tensor, name: str) -> Tensor:
    """A convolution of each channel, and its activation; takes over `mixed`."""
    batch, length, width = mixed.shape
    compute = setting.autocast or promoted(mixed.dtype, setting.norm_weight)
    copied = graph.tensor(mixed.shape, compute, "input of the convolution, each channel's together", needs_grad=False)
    made = graph.tensor((batch, length + shape.kernel - 1, width), compute, "output of the convolution")
    size = width * shape.kernel * BYTES[setting.norm_weight]
    graph.record(
        made, (mixed,), saved=(mixed,), weights=((f"{name}.conv1d", size, size, 1),) if setting.trained else (),
        temporary=prod(mixed.shape) * BYTES[compute],
    )
    graph.drop(copied, mixed)
    active = graph.tensor(mixed.shape, compute, "activated output of the convolution")
    graph.record(active, (made,), saved=(made,), temporary=prod(mixed.shape) * BYTES[compute])
    graph.drop(made)
    return active


def _made(
    graph: Graph, shape: tuple[int, ...], source: Tensor, what: str, *, dtype: str = "", saved: tuple[Tensor, ...] = (),
    passes: bool = False, temporary: int = 0,
) -> Tensor:
    """A tensor computed from `source`, which stays the caller's."""
    made = graph.tensor(shape, dtype or source.dtype, what)
    return graph.record(made, (source,), saved=saved, passes=passes, temporary=temporary)


def _delta_rule(graph: Graph, setting: Setting, shape: DeltaShape, states: list[Tensor], decay: Tensor) -> Tensor:
    """`torch_chunk_gated_delta_rule`: values of all tokens after all chunks before them, in the states' dtype."""
    batch, length, _ = states[0].shape
    tokens = -(-length // CHUNK) * CHUNK * batch * shape.value_heads
    keys, values, pairs = (tokens, shape.key_width), (tokens, shape.value_width), (tokens, CHUNK)
    full = 4 * prod(keys)
    dtype = states[0].dtype
    query, key, value = (
        _made(graph, of, state, "queries, keys or values in fp32", dtype="float32")
        for of, state in zip((keys, keys, values), states, strict=True)
    )
    query, key = (_unit(graph, tensor, full) for tensor in (query, key))
    scaled = _made(graph, keys, query, "queries, scaled")
    graph.drop(query)
    padded = [
        _made(graph, tensor.shape, tensor, "queries, keys or values of whole chunks", passes=True)
        for tensor in (scaled, key, value)
    ]
    graph.drop(scaled, key, value)
    query, key, value = padded
    fed_value = _scaled(graph, value, decay, "values times the learning rate")
    fed_key = _scaled(graph, key, decay, "keys times the learning rate")
    first = _made(graph, pairs, decay, "decay between two tokens")
    second = _made(graph, pairs, first, "decay between two tokens")
    graph.drop(first)
    pair = graph.tensor(pairs, "float32", "decay between two tokens")
    graph.record(pair, (second,), saved=(pair,))
    graph.drop(second)
    system = _product(graph, setting, fed_key, key, pair, pairs)
    inner = _product(graph, setting, query, key, pair, pairs)
    decayed = _scaled(graph, fed_key, decay, "keys times decay")
    solved_value = _solved(graph, system, fed_value)
    solved_key = _solved(graph, system, decayed)
    core = graph.tensor(values, "float32", "values of all chunks")
    query_in, key_in = (_scaled(graph, tensor, decay, "queries or keys times decay") for tensor in (query, key))
    saved = _of_chunks(graph, setting, shape, tokens, -(-length // CHUNK))
    if not setting.autocast:  # views of what is there
        saved += [graph.hold(tensor) for tensor in (query_in, key_in, inner)]
    graph.record(core, (solved_value, solved_key, query_in, key_in, inner), saved=tuple(saved), derivative=_scan)
    graph.drop(*saved)
    whole = _made(graph, values, core, "values of all chunks, each token's together")
    graph.drop(core)
    out = _made(graph, (batch, length, shape.values), whole, "output of the delta rule", dtype=dtype)
    graph.drop(
        whole, query_in, key_in, fed_value, inner, decayed, solved_value, solved_key, system, pair, fed_key, query, key, value,
    )
    return out


def _unit(graph: Graph, tensor: Tensor, full: int) -> Tensor:
    """`x * rsqrt((x * x).sum())`; takes over `tensor`."""
    graph.drop(graph.tensor(tensor.shape, tensor.dtype, "squares for the norm", needs_grad=False))
    made = _made(graph, tensor.shape, tensor, "normed queries or keys", saved=(tensor,), temporary=2 * full)
    graph.drop(tensor)
    return made


def _scaled(graph: Graph, tensor: Tensor, decay: Tensor, what: str) -> Tensor:
    """A product with one number for each token, whose gradient is a product in full before it is summed."""
    made = graph.tensor(tensor.shape, tensor.dtype, what)
    graph.record(made, (tensor, decay), saved=(tensor,), derivative=_times_number)
    return made


def _times_number(graph: Graph, operation: Operation, received: Tensor, gradients: Gradients) -> None:
    made = {}
    for tensor in operation.inputs:
        made[id(tensor)] = fresh(graph, tensor)
        if tensor.shape != operation.output.shape:
            graph.drop(fresh(graph, operation.output, "backward temporaries"))
    graph.release(operation, received)
    for tensor in operation.inputs:
        graph.accumulate(gradients, tensor, made[id(tensor)])


def _product(graph: Graph, setting: Setting, first: Tensor, second: Tensor, pair: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The products of all pairs of a chunk, which autocast computes in its dtype, times their decay."""
    compute = setting.autocast or first.dtype
    left, right = (cast(graph, tensor, compute, "input of a product of a chunk") for tensor in (first, second))
    product = graph.tensor(shape, compute, "products of the pairs of a chunk")
    graph.record(product, (left, right), saved=(left, right))
    graph.drop(left, right)
    made = multiply(graph, product, pair, "products of the pairs of a chunk, with decay")
    graph.drop(product)
    return made


def _solved(graph: Graph, system: Tensor, right: Tensor) -> Tensor:
    """`torch.linalg.solve_triangular`: keeps the system and its solution."""
    made = graph.tensor(right.shape, right.dtype, "solutions of a chunk's triangular system")
    return graph.record(made, (system, right), saved=(system, made), temporary=prod(system.shape) * 4)


def _of_chunks(graph: Graph, setting: Setting, shape: DeltaShape, tokens: int, chunks: int) -> list[Tensor]:
    """What the scan keeps of each chunk: states in fp32, and the inputs of its five products as autocast casts them."""
    of_one, lower = tokens // chunks, setting.autocast
    keys, values = (of_one, shape.key_width), (of_one, shape.value_width)
    state = (of_one // CHUNK, shape.key_width, shape.value_width)
    kept: list[tuple[str, tuple[int, ...]]] = [("float32", state)]
    if lower:
        kept += [(lower, each) for each in (keys, state, keys, state, (of_one, CHUNK), values, keys, values)]
    else:
        kept.append(("float32", values))
    return [graph.tensor(each, dtype, "states and inputs of the scan's chunks", count=chunks) for dtype, each in kept]


def _scan(graph: Graph, operation: Operation, received: Tensor, gradients: Gradients) -> None:
    """Each chunk's gradient comes back into zeros of the whole; those of the values are copied chunk by chunk (CopySlices)."""
    copied = fresh(graph, operation.output, "backward temporaries")
    graph.drop(received)
    made = [fresh(graph, tensor) for tensor in operation.inputs]
    graph.drop(fresh(graph, operation.inputs[0], "backward temporaries"))
    graph.release(operation, copied)
    for tensor, gradient in zip(operation.inputs, made, strict=True):
        graph.accumulate(gradients, tensor, gradient)


def _gated_norm(graph: Graph, setting: Setting, core: Tensor, opened: Tensor, name: str, width: int) -> Tensor:
    """`Qwen3_5RMSNormGated`: a norm, its weight, and an activated gate in fp32; takes over `core`."""
    upper = cast(graph, core, "float32", "output of the delta rule in fp32")
    graph.drop(graph.tensor(upper.shape, "float32", "squares for the norm", needs_grad=False))
    scaled = graph.tensor(upper.shape, "float32", "normed output in fp32")
    graph.record(scaled, (upper,), saved=(upper,), derivative=derivatives.root_mean_square)
    lower = cast(graph, scaled, core.dtype, "normed output of the delta rule")
    size = width * BYTES[setting.norm_weight]
    weights = ((name, size, size, 1),) if setting.trained else ()
    weighted = graph.tensor(lower.shape, promoted(lower.dtype, setting.norm_weight), "scaled output of the delta rule")
    graph.record(
        weighted, (lower,), saved=(lower,) if setting.trained else (), weights=weights,
        derivative=derivatives.times_weight if setting.trained else None,
    )
    graph.drop(scaled, lower)
    wide = cast(graph, opened, "float32", "gate in fp32")
    active = activation(graph, setting, wide, "silu")
    graph.drop(wide)
    product = multiply(graph, weighted, active, "gated output in fp32")
    graph.drop(weighted, active)
    made = cast(graph, product, core.dtype, "gated output of the delta rule")
    graph.drop(product, upper, core)
    return made
