"""Linear layers of the base model in 16, 8 or 4 bits, and the adapters beside them, after peft 0.21 and bitsandbytes 0.50."""

from __future__ import annotations

from math import prod

from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.dtypes import BYTES, promoted
from vramlint.memory.operations import Setting, add, cast
from vramlint.memory.parameters import Projection
from vramlint.memory.recomputed_adapters import recomputed_lora
from vramlint.memory.unpacking import unpacked_by_torchao


def linear(graph: Graph, setting: Setting, hidden: Tensor, projection: Projection, name: str) -> Tensor:
    """A projection of the base model, with LoRA's path beside it where it is adapted."""
    bits = 0 if projection.plain else setting.bits
    if bits and setting.unpacks == "torchao":
        base, bits = unpacked_by_torchao(graph, hidden, projection), 0
    elif bits:
        base = (_in_4_bits if bits == 4 else _in_8_bits)(graph, setting, hidden, projection)
    else:
        base = plain_linear(
            graph, setting, hidden, projection.inputs, projection.outputs, setting.weight, setting.trained, name,
            bias=projection.bias,
        )
    return with_lora(graph, setting, hidden, base, projection, name, bits) if projection.adapted else base


def with_lora(
    graph: Graph, setting: Setting, hidden: Tensor, base: Tensor, projection: Projection, name: str, bits: int,
) -> Tensor:
    """The output of a base layer in so many bits (0: in its own dtype) with LoRA's path added; takes over `base`."""
    if "lora-recomputed" in setting.facts:
        return recomputed_lora(graph, setting, base, hidden, projection, name)
    if bits == 4 and setting.unpacks == "bitsandbytes":
        # peft 0.21, tuners/lora/bnb.py, Linear4bit.forward: `result = result.clone()`.
        clone = graph.tensor(base.shape, base.dtype, f"output of {projection.name}")
        graph.record(clone, (base,), passes=True, saves_nothing=True)
        graph.drop(base)
        base = clone
    # On a quantised base peft leaves the input to autocast (0.21, tuners/lora/bnb.py, requires_conversion).
    converts = not (setting.bits and setting.autocast)
    source = cast(graph, hidden, setting.adapter if converts else hidden.dtype, "LoRA's input in its own dtype")
    given = graph.hold(source)  # `x` of peft's forward, which lives until that returns
    if setting.dropout:
        mask = graph.tensor(source.shape, "bool", "LoRA's dropout mask", needs_grad=False)
        dropped = graph.tensor(source.shape, source.dtype, "LoRA's input after dropout")
        graph.record(dropped, (source,), saved=(mask,))
        graph.drop(mask, source)
        source = dropped
    if setting.dora:
        if setting.dropout:
            graph.drop(given)  # here `x` is bound to what dropout leaves
            given = graph.hold(source)
        total = _dora(graph, setting, base, source, projection, name)
    else:
        up = _lora(graph, setting, source, projection, name)
        graph.drop(source)
        scaled = graph.tensor(up.shape, up.dtype, "LoRA's output, scaled")
        graph.record(scaled, (up,), saves_nothing=True)
        graph.drop(up)
        total = add(graph, base, scaled, f"output of {projection.name}")
        graph.drop(*((base, scaled) if bits == 4 else (scaled, base)))
    if setting.dora:
        graph.drop(base)
    if total.dtype != base.dtype and converts:
        lower = cast(graph, total, base.dtype, f"output of {projection.name}")
        graph.drop(total)
        total = lower
    graph.drop(given)
    return total


def _lora(graph: Graph, setting: Setting, source: Tensor, projection: Projection, name: str) -> Tensor:
    """`lora_B(lora_A(x))`; `source` stays the caller's."""
    down = plain_linear(graph, setting, source, projection.inputs, setting.rank, setting.adapter, True, f"{name}.lora_A")
    up = plain_linear(graph, setting, down, setting.rank, projection.outputs, setting.adapter, True, f"{name}.lora_B")
    graph.drop(down)
    return up


def _dora(
    graph: Graph, setting: Setting, base: Tensor, source: Tensor, projection: Projection, name: str,
) -> Tensor:
    """DoRA's output added to that of the base (peft 0.21, tuners/lora/dora.py, DoraLinearLayer.forward); takes over `source`.

    The product of its matrices is computed in full, from an identity matrix, and so is the base's weight in the dtype of the
    input, for the norms alone; with dropout that weight multiplies the input once more, and is saved.
    """
    inputs, outputs = projection.inputs, projection.outputs
    compute, shape = setting.autocast or setting.adapter, (outputs, inputs)
    identity = graph.tensor((inputs, inputs), setting.adapter, "identity matrix for DoRA", needs_grad=False)
    lowered = cast(graph, identity, compute, "identity matrix for DoRA")
    down = graph.tensor((inputs, setting.rank), compute, "DoRA's matrices multiplied", needs_grad=False)
    product = graph.tensor(shape, compute, "DoRA's matrices multiplied", needs_grad=False)
    graph.drop(identity)
    whole = cast(graph, product, source.dtype, "DoRA's matrices multiplied")
    graph.drop(product)
    if not graph.recording:  # elsewhere the graph of that product holds them until the function returns
        graph.drop(lowered, down)
    weight = _base_weight(graph, setting, source.dtype, shape)
    scaled = graph.tensor(shape, source.dtype, "DoRA's matrices, scaled", needs_grad=False)
    merged = graph.tensor(shape, source.dtype, "weight with DoRA's matrices", needs_grad=False)
    graph.drop(scaled, merged)
    up = _lora(graph, setting, source, projection, name)
    result = graph.hold(base)
    if setting.dora == "again":
        again = cast(graph, source, compute, "input of a projection in the compute dtype")
        held = weight
        if source.dtype != compute:
            held = graph.tensor(shape, compute, "base weight in the compute dtype", needs_grad=False)
        graph.drop(result)
        result = graph.tensor(base.shape, compute, "output of the base for DoRA")
        graph.record(result, (again,), saved=(held,))
        graph.drop(again)
        if held is not weight:
            graph.drop(held)
    elif projection.bias:
        unbiased = graph.tensor(base.shape, base.dtype, "output of the base without its bias")
        graph.record(unbiased, (result,), passes=True)
        graph.drop(result)
        result = unbiased
    magnitude = setting.adapter
    vector = outputs * BYTES[magnitude]
    first = _scaled(graph, result, magnitude, ((f"{name}.lora_magnitude", vector, vector, 1),))
    second = _scaled(graph, up, magnitude, ())
    third = graph.tensor(second.shape, second.dtype, "DoRA's output, scaled")
    graph.record(third, (second,))
    graph.drop(second)
    both = add(graph, first, third, "DoRA's output")
    graph.drop(first, third, up, result, source, weight, whole)
    if graph.recording:
        graph.drop(lowered, down)
    total = add(graph, base, both, f"output of {projection.name}")
    graph.drop(both)
    return total


def _scaled(graph: Graph, tensor: Tensor, magnitude: str, weights: tuple[tuple[str, int, int, int], ...]) -> Tensor:
    """`magnitude * tensor`, saved for the magnitude's gradient, which is a product in full before it is summed up.

    The other gradient is one as well before it is cast.
    """
    dtype = promoted(magnitude, tensor.dtype)
    made = graph.tensor(tensor.shape, dtype, "output times DoRA's magnitude")
    pieces = 1 if dtype == tensor.dtype else 2
    product = prod(tensor.shape) * BYTES[dtype]
    return graph.record(made, (tensor,), saved=(tensor,), temporary=product * pieces, pieces=pieces, weights=weights)


def _base_weight(graph: Graph, setting: Setting, dtype: str, shape: tuple[int, int]) -> Tensor:
    """`dequantize_module_weight(base).to(x.dtype)`: nothing new where it is there in that dtype."""
    own = {0: setting.weight, 4: setting.weight, 8: "float32"}[setting.bits]
    if not setting.bits and own == dtype:
        return Tensor(None, shape, dtype, needs_grad=False)
    unpacked = graph.tensor(shape, own, "base weight for DoRA", needs_grad=False) if setting.bits else None
    if unpacked is not None and own == dtype:
        return unpacked
    made = graph.tensor(shape, dtype, "base weight for DoRA", needs_grad=False)
    if unpacked is not None:
        graph.drop(unpacked)
    return made


def plain_linear(
    graph: Graph, setting: Setting, hidden: Tensor, inputs: int, outputs: int, dtype: str, trained: bool, name: str,
    *, keeps_input: bool = False, bias: bool = False,
) -> Tensor:
    """`torch.nn.Linear`: saves its input where the weight is trained, and its weight where the input needs a gradient."""
    compute = setting.autocast or promoted(hidden.dtype, dtype)
    source = cast(graph, hidden, compute, "input of a projection in the compute dtype")
    saved = [source] if trained or keeps_input else []
    weight = None
    if dtype != compute:
        weight = graph.tensor((outputs, inputs), compute, "weight in the compute dtype", needs_grad=False)
        if trained:
            graph.cache.append(graph.hold(weight))
        saved.append(weight)
    made = graph.choose((*hidden.shape[:-1], outputs), compute, "output of a projection")
    weights = ((name, inputs * outputs * BYTES[compute], inputs * outputs * BYTES[dtype], 1),) if trained else ()
    graph.record(made, (source,), saved=tuple(saved), weights=weights, weights_first=not bias, views=True,
                 sums=bias and trained)
    graph.drop(source)
    if weight is not None:
        graph.drop(weight)
    return made


def _in_4_bits(graph: Graph, setting: Setting, hidden: Tensor, projection: Projection) -> Tensor:
    """bitsandbytes' 4-bit linear layer: the weight is unpacked for a moment, forward and backward."""
    compute = setting.compute
    source = cast(graph, hidden, compute, "input of a 4-bit projection")
    unpacked = projection.inputs * projection.outputs * BYTES[compute]
    # Backward unpacks to the dtype that was loaded, then casts (bitsandbytes 0.50, autograd/_functions.py, MatMul4Bit).
    casts = setting.weight != compute or setting.unpacks == "fabric"
    again = projection.inputs * projection.outputs * BYTES[setting.weight] if casts else 0
    weight = graph.tensor((projection.outputs, projection.inputs), compute, "unpacked 4-bit weight", part="workspace",
                          needs_grad=False)
    made = graph.tensor((*hidden.shape[:-1], projection.outputs), compute, f"output of {projection.name}")
    # Its weight lies in `ctx.tensors`, beside what a checkpoint intercepts.
    graph.record(made, (source,), temporary=unpacked + again, saves_nothing=True)
    graph.drop(weight)
    result = cast(graph, made, hidden.dtype, f"output of {projection.name}")
    graph.drop(made, source)
    return result


def _in_8_bits(graph: Graph, _setting: Setting, hidden: Tensor, projection: Projection) -> Tensor:
    """bitsandbytes' 8-bit linear layer: the input in 8 bits, the output in int32 and in fp16, and its own input kept.

    The input lies in `ctx.tensors`, which a checkpoint without reentry does not intercept: it is there from the first forward
    pass on (bitsandbytes 0.50, autograd/_functions.py, MatMul8bitLt). Columns of outliers, which depend on the data, are taken
    to be none.
    """
    tokens = hidden.shape[:-1]
    shape, out = hidden.shape, (*tokens, projection.outputs)
    half = cast(graph, hidden, "float16", "input of an 8-bit projection in fp16")
    narrow = graph.tensor(shape, "int8", "input of an 8-bit projection in 8 bits", needs_grad=False)
    sizes = graph.tensor(shape, "float16", "magnitudes of that input", needs_grad=False)
    outliers = graph.tensor(shape, "bool", "outliers of that input", needs_grad=False)
    graph.drop(sizes, outliers, half)
    sums = graph.tensor(out, "int32", f"output of {projection.name} in int32", needs_grad=False)
    lower = graph.tensor(out, "float16", f"output of {projection.name} in fp16")
    made = lower if hidden.dtype == "float16" else graph.tensor(out, hidden.dtype, f"output of {projection.name}")
    graph.drop(sums, narrow)
    if made is not lower:
        graph.drop(lower)
    weight = projection.inputs * projection.outputs * BYTES[hidden.dtype]
    return graph.record(made, (hidden,), beside=hidden, temporary=weight)
