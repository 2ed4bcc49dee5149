"""Rotary positions, after the functions `apply_rotary_pos_emb` of transformers 5.17's modeling files."""

from __future__ import annotations

from vramlint.catalog import Architecture
from vramlint.memory import derivatives
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.rotations import COMPLEX, HALVES, in_complex, rotate

SHARES = {
    "phi": 0.5, "stablelm": 0.25, "gpt_neox": 0.25, "glm": 0.5, "glm4": 0.5, "qwen3_5": 0.25, "qwen3_5_text": 0.25,
    "qwen3_5_moe": 0.25, "qwen3_5_moe_text": 0.25,
}
"""Which part of each head is turned, where the config does not say."""
KEEPING = ("phi", "stablelm")
"""Whose attention has the parts in variables of its own until it returns."""


def turned(graph: Graph, query: Tensor, key: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Queries and keys with positions on the whole of each head; takes over both."""
    if kind == COMPLEX:
        return in_complex(graph, query, key)
    made = rotate(graph, query, kind), rotate(graph, key, kind)
    graph.drop(query, key)
    return made


def partly_turned(graph: Graph, a: Architecture, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The same on a part of each head, which is put together with the rest by `cat`; and what the function that asked holds."""
    extra = a.extra.get("partial_rotary_factor", a.extra.get("rotary_pct"))
    share = float(str(extra)) if extra else SHARES.get(a.model_type, 1.0)
    if a.model_type == "phi3":  # one after the other
        made = [_joined(graph, rotate(graph, tensor, HALVES)) for tensor in (query, key)]
        graph.drop(query, key)
        return made[0], made[1], []
    parts = [_parted(graph, tensor, share) for tensor in (query, key)]
    rotated = [rotate(graph, part, HALVES) for part, _ in parts]
    keeps = a.model_type in KEEPING
    held = [graph.hold(tensor) for tensor in (query, key, *rotated)] if keeps else []
    made = [_joined(graph, part, rest) for part, (_, rest) in zip(rotated, parts, strict=True)]
    graph.drop(*(tensor for pair in parts for tensor in pair), query, key)
    return made[0], made[1], held


def _parted(graph: Graph, tensor: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """The part that is turned, and the rest."""
    width = int(tensor.shape[-1] * share)
    first, rest = graph.views(
        tensor, [(*tensor.shape[:-1], width), (*tensor.shape[:-1], tensor.shape[-1] - width)], derivative=derivatives.sliced,
    )
    return first, rest


def _joined(graph: Graph, part: Tensor, rest: Tensor | None = None) -> Tensor:
    """`cat`; takes over `part`."""
    inputs = (part,) if rest is None else (part, rest)
    made = graph.tensor(
        (*part.shape[:-1], sum(each.shape[-1] for each in inputs)), part.dtype, "queries or keys with positions",
    )
    graph.record(made, inputs, passes=True, saves_nothing=True)
    graph.drop(part)
    return made
