"""Plays the experts of a layer: what routing and their products allocate and save, after transformers 5.17 (integrations/moe.py).

A token goes to a fixed number of experts, and the pairs of token and expert are what the kernels work on, so that their
number does not depend on the data. `grouped_mm`, the default, sorts the pairs by expert and multiplies them in place.
"""

from __future__ import annotations

from math import prod

from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.dtypes import BYTES, promoted
from vramlint.memory.experts import Experts
from vramlint.memory.gated import gated_halves
from vramlint.memory.linear import linear, plain_linear
from vramlint.memory.operations import Setting, activation, add, cast, multiply
from vramlint.memory.parameters import Projection
from vramlint.memory.sinks import clamped_gate

INDEX = "int64"


def routed(graph: Graph, setting: Setting, experts: Experts, hidden: Tensor, name: str) -> Tensor:
    """What the chosen experts make of each token; `hidden` stays the caller's."""
    tokens, chosen = prod(hidden.shape[:-1]), experts.chosen
    pairs = tokens * chosen
    logits, scores, ids = _route(graph, setting, experts, hidden, tokens, name)
    down_weight = _adapted(graph, setting, experts, "down", f"{name}.down")
    up_weight = _adapted(graph, setting, experts, "gate_up", f"{name}.gate_up")
    order, place = (_indices(graph, pairs) for _ in range(2))
    sorted_ids = _indices(graph, pairs)
    selected = graph.tensor((pairs, experts.width), hidden.dtype, "hidden states of each token and expert")
    graph.record(selected, (hidden,), saved=(place,))
    mask = graph.tensor((pairs, 1), "bool", "tokens of no expert", needs_grad=False)
    masked = graph.view(selected, selected.shape)  # in place, but its gradient is another
    biases: list[Tensor] = []
    up = _grouped(graph, setting, experts, masked, "gate_up", up_weight, f"{name}.gate_up", biases, sorted_ids)
    up = _masked(graph, up)
    if experts.shape.gate == "clamped":
        inner = clamped_gate(graph, up, experts.inner)
    else:
        gate, upper = graph.split(up, (experts.inner, experts.inner))
        active = activation(graph, setting, gate, experts.kind)
        inner = multiply(graph, active, upper, "gated hidden states")
        graph.drop(gate, upper, up, active)
    down = _grouped(graph, setting, experts, inner, "down", down_weight, f"{name}.down", biases, sorted_ids)
    graph.drop(inner)
    down = _masked(graph, down)
    weighted = _weighted(graph, down, scores)
    back = _indices(graph, pairs)
    ordered = graph.tensor(weighted.shape, weighted.dtype, "outputs of experts in the order of tokens")
    graph.record(ordered, (weighted,), saved=(back,))
    graph.drop(weighted)
    # autocast sums in fp32
    total = graph.tensor(
        (*hidden.shape[:-1], experts.width), "float32" if setting.autocast else ordered.dtype, "sum of the experts' outputs",
    )
    graph.record(total, (ordered,), saves_nothing=True)  # expanded to all pairs, which `view` copies
    made = cast(graph, total, hidden.dtype, "output of the experts")
    graph.drop(
        total, ordered, back, down, *biases, masked, selected, mask, order, place, sorted_ids, scores, ids, logits,
        *(weight for weight in (up_weight, down_weight) if weight is not None),
    )
    return made


def with_shared(
    graph: Graph, setting: Setting, experts: Experts, hidden: Tensor, name: str, projections: tuple[Projection, ...],
) -> Tensor:
    """The chosen experts and those that every token goes to, added; takes over `hidden`."""
    gate, up, down, *rest = projections
    if experts.shape.shared == "plain":
        chosen = routed(graph, setting, experts, hidden, name)
    inner = gated_halves(graph, setting, hidden, gate, up, experts.kind, f"{name}.shared")
    shared = linear(graph, setting, inner, down, f"{name}.shared.down")
    graph.drop(inner)
    if experts.shape.shared == "before":
        chosen = routed(graph, setting, experts, hidden, name)
    if experts.shape.shared == "gated":
        chosen = routed(graph, setting, experts, hidden, name)
        opened = linear(graph, setting, hidden, rest[0], f"{name}.shared_gate")
        share = activation(graph, setting, opened, "sigmoid")
        graph.drop(opened)
        product = graph.tensor(shared.shape, shared.dtype, "output of the shared expert, weighted")
        graph.record(
            product, (share, shared), saved=(share, shared), temporary=prod(shared.shape) * BYTES[shared.dtype],
        )
        graph.drop(share, shared)
        shared = product
    made = add(graph, chosen, shared, "output of all experts")
    graph.drop(chosen, shared, hidden)
    return made


def _route(
    graph: Graph, setting: Setting, experts: Experts, hidden: Tensor, tokens: int, name: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """The router: its logits, the weights of the chosen experts, and which they are."""
    learns = setting.trained or "router" in experts.adapted
    wide = cast(graph, hidden, "float32" if experts.shape.router in ("sigmoid", "wide") else hidden.dtype, "input of the router")
    logits = plain_linear(
        graph, setting, wide, experts.width, experts.count, setting.norm_weight, setting.trained, f"{name}.router",
        keeps_input=learns, bias=experts.shape.biased,
    )
    graph.drop(wide)
    dtype = {"own": logits.dtype, "input": hidden.dtype, "float32": "float32", "autocast": "float32"}[experts.shape.scores]
    if experts.shape.scores == "autocast" and not setting.autocast:
        dtype = logits.dtype
    few = (tokens, experts.chosen)
    ids = _indices(graph, prod(few))
    if experts.shape.router == "chosen":
        upper = cast(graph, logits, "float32", "router logits in fp32")
        best = graph.tensor(few, "float32", "logits of the chosen experts")
        graph.record(best, (upper,), saved=(ids,), temporary=tokens * experts.count * 4)
        graph.drop(logits)
        logits = upper
        chances = graph.tensor(few, "float32", "weights of the chosen experts in fp32")
        graph.record(chances, (best,), saved=(chances,))
        graph.drop(best)
    elif experts.shape.router == "top":
        best = graph.tensor(few, logits.dtype, "logits of the chosen experts")
        graph.record(best, (logits,), saved=(ids,), temporary=prod(logits.shape) * BYTES[logits.dtype])
        chances = graph.tensor(few, logits.dtype, "weights of the chosen experts")
        graph.record(chances, (best,), saved=(chances,))
        graph.drop(best)
    elif experts.shape.router == "sigmoid":
        every = graph.tensor(logits.shape, logits.dtype, "chances of the experts")
        graph.record(every, (logits,), saved=(every,))
        shifted = [graph.tensor(logits.shape, "float32", "chances with a bias", needs_grad=False) for _ in range(3)]
        graph.drop(*shifted)
        chances = graph.tensor(few, every.dtype, "weights of the chosen experts")
        graph.record(chances, (every,), saved=(ids,))
        graph.drop(every)
    else:
        upper = cast(graph, logits, "float32", "router logits in fp32")
        every = graph.tensor(upper.shape, "float32", "chances of the experts")
        graph.record(every, (upper,), saved=(every,))
        graph.drop(upper)
        chances = graph.tensor(few, "float32", "weights of the chosen experts in fp32")
        graph.record(chances, (every,), saved=(ids,))
        graph.drop(every)
    scores = cast(graph, chances, dtype, "weights of the chosen experts")
    graph.drop(chances)
    return logits, scores, ids


def _weighted(graph: Graph, down: Tensor, scores: Tensor) -> Tensor:
    dtype = promoted(down.dtype, scores.dtype)
    made = graph.tensor(down.shape, dtype, "weighted outputs of experts")
    # The gradient of the weights is a product in full before it is summed up. Another dtype is cast after that; under a
    # checkpoint what was saved has gone by then, whose place it takes.
    each = prod(down.shape) * BYTES[dtype]
    more = 0 if dtype == down.dtype else each - (prod(down.shape) * BYTES[down.dtype] if graph.unpacks else 0)
    return graph.record(made, (down, scores), saved=(down, scores), temporary=each + more)


def _grouped(
    graph: Graph, setting: Setting, experts: Experts, hidden: Tensor, part: str, adapted: Tensor | None, name: str,
    biases: list[Tensor], ids: Tensor,
) -> Tensor:
    """`grouped_mm`, which autocast does not know: it computes in the dtype of the weights.

    It saves its input where the weights are trained. Below compute capability 8.0 transformers' own loop takes its place, which
    always saves it and makes the gradient of the weights (integrations/moe.py, `_grouped_mm_fallback_backward`).
    """
    shape = experts.gate_up if part == "gate_up" else experts.down
    dtype, size = setting.norm_weight, prod(shape) * BYTES[setting.norm_weight]
    if experts.shape.biased:
        bias = graph.tensor((hidden.shape[0], shape[1]), dtype, "biases of each token and expert")
        width = shape[0] * shape[1] * BYTES[dtype]
        graph.record(bias, (), saved=(ids,), weights=((f"{name}.bias", width, width, 1),) if setting.trained else ())
        graph.drop(*biases)  # a variable by the same name
        biases[:] = [bias]
    source = cast(graph, hidden, dtype, "input of the experts in the dtype of their weights")
    made = graph.tensor((hidden.shape[0], shape[1]), dtype, "output of the experts' projection")
    loops = setting.capability < (8, 0)
    saved = [source] if setting.trained or adapted is not None or loops else []
    weights = ((name, size, size, 1),) if setting.trained else ()
    inputs = (source,) if adapted is None else (adapted, source)
    if adapted is not None:
        saved.append(adapted)
    graph.record(
        made, inputs, saved=tuple(saved), weights=weights, weights_first=True,
        temporary=size if loops and not weights and adapted is None else 0,
    )
    graph.drop(source)
    if not experts.shape.biased:
        return made
    added = Tensor(None, made.shape, made.dtype, made.needs_grad, graph.hold(made))  # in place
    graph.record(added, (made, *biases), passes=True, saves_nothing=True)
    graph.drop(made)
    return added


def _adapted(graph: Graph, setting: Setting, experts: Experts, part: str, name: str) -> Tensor | None:
    """All experts' weights with LoRA's product added, a copy (peft 0.21, tuners/lora/layer.py, `_LoraFactorsProxy`)."""
    if part not in experts.adapted:
        return None
    shape = experts.gate_up if part == "gate_up" else experts.down
    count, outputs, inputs = shape
    rank = setting.rank * (2 if part == "gate_up" else 1)
    factors = []
    for which, factor in (("lora_B", (count, outputs, rank)), ("lora_A", (count, rank, inputs))):
        size = prod(factor)
        made = graph.tensor(factor, setting.norm_weight, "LoRA's matrices of all experts")
        graph.record(
            made, (), weights=((f"{name}.{which}", size * BYTES[setting.norm_weight], size * BYTES[setting.adapter], 1),),
        )
        factors.append(made)
    # register_parametrization computes it once to look at its shape.
    graph.drop(graph.tensor(shape, setting.norm_weight, "experts' weights with LoRA", needs_grad=False))
    whole = graph.tensor(shape, setting.norm_weight, "experts' weights with LoRA")
    graph.record(whole, tuple(factors), saved=tuple(factors))
    graph.drop(*factors)
    return whole


def _masked(graph: Graph, tensor: Tensor) -> Tensor:
    """`masked_fill`: another tensor, and another gradient; takes over `tensor`."""
    made = graph.tensor(tensor.shape, tensor.dtype, "output of the experts' projection")
    graph.record(made, (tensor,))
    graph.drop(tensor)
    return made


def _indices(graph: Graph, count: int) -> Tensor:
    return graph.tensor((count,), INDEX, "indices of tokens and experts", needs_grad=False)
