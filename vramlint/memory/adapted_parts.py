"""LoRA on some of queries, keys and values that one projection makes (LitGPT 0.5.13, lora.py, LoRAQKVLinear)."""

from __future__ import annotations

from vramlint.dataclass import replace
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.dtypes import BYTES
from vramlint.memory.linear import linear, plain_linear
from vramlint.memory.operations import Setting, add
from vramlint.memory.parameters import Projection


def linear_in_parts(graph: Graph, setting: Setting, hidden: Tensor, projection: Projection, name: str) -> Tensor:
    """The projection with its adapters: the update of the parts is put together, laid into zeros, scaled and added."""
    base = linear(graph, setting, hidden, replace(projection, adapted=False), name)
    source = graph.hold(hidden)
    if setting.dropout:
        dropped = graph.tensor(source.shape, source.dtype, "LoRA's input after dropout")
        mask = graph.tensor(source.shape, "bool", "LoRA's dropout mask", needs_grad=False)
        graph.record(dropped, (source,), saved=(mask,))
        graph.drop(mask, source)
        source = dropped
    rank = setting.rank * projection.parts
    down = plain_linear(graph, setting, source, projection.inputs, rank, setting.adapter, True, f"{name}.lora_A")
    graph.drop(source)
    shape = (*hidden.shape[:-1], projection.reached)
    parts = graph.tensor(shape, down.dtype, "LoRA's outputs part by part", needs_grad=False)
    update = graph.tensor(shape, down.dtype, "LoRA's outputs together")
    size = projection.reached * setting.rank
    weights = ((f"{name}.lora_B", size * BYTES[down.dtype], size * BYTES[setting.adapter], 1),)
    graph.record(update, (down,), saved=(down,), weights=weights)
    graph.drop(parts, down)
    if projection.reached < projection.outputs:
        padded = graph.tensor(base.shape, update.dtype, "LoRA's outputs among zeros")
        graph.record(padded, (update,), saved=(update,))  # index_copy keeps what it copied, for its shape
        graph.drop(update)
        update = padded
    scaled = graph.tensor(base.shape, update.dtype, "LoRA's output, scaled")
    graph.record(scaled, (update,))
    graph.drop(update)
    total = add(graph, base, scaled, f"output of {projection.name}")
    graph.drop(base, scaled)
    return total
