"""Plays one layer of an encoder, or of a decoder that reads one, as its shape describes it."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from vramlint.catalog import Architecture
from vramlint.dataclass import replace
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.dtypes import BYTES
from vramlint.memory.encoders.attention import Scores, attend
from vramlint.memory.encoders.model import Linears
from vramlint.memory.encoders.shapes import LayerShape, activation_of
from vramlint.memory.linear import linear
from vramlint.memory.operations import Setting, activation, add, cast, dropout, multiply, norm
from vramlint.memory.parameters import Projection


class EncoderLayer:
    """One layer under a setting. `read` is the encoder's output for a decoder; `own` and `cross` say how scores are made."""

    __slots__ = ("_a", "_cross", "_linears", "_own", "_read", "_setting", "_shape", "_share", "_variables")

    def __init__(
        self, a: Architecture, shape: LayerShape, linears: Linears, setting: Setting, own: Scores,
        read: Tensor | None = None, cross: Scores | None = None, *, share: float = 0.0,
    ) -> None:
        self._a = a
        self._shape = shape
        self._linears = linears
        self._setting = setting
        self._own = own
        self._read = read
        self._cross = cross or Scores()
        self._share = share
        self._variables: list[Tensor] = []

    def forward(self, graph: Graph, hidden: Tensor, mask: Tensor | None, name: str) -> Tensor:
        """The layer's output; takes over `hidden`. `mask` is that of its own attention."""
        own = self._own if mask is None else replace(self._own, mask=mask)
        drops, read = self._shape.drops_attended, self._read

        def attend_to_itself(inside: Tensor) -> Tensor:
            return self._attention(graph, inside, None, own, self._linears.attends, name)

        def attend_to_what_is_read(inside: Tensor) -> Tensor:
            return self._attention(graph, inside, read, self._cross, self._linears.reads, f"{name}.cross")

        hidden = self._around(graph, hidden, f"{name}.norm1", attend_to_itself, drops=drops)
        if read is not None:
            hidden = self._around(graph, hidden, f"{name}.norm2", attend_to_what_is_read, drops=drops)
        out = self._around(graph, hidden, f"{name}.norm3", lambda inside: self._feed(graph, inside, name), drops=True)
        graph.drop(*graph.returned)
        graph.returned.clear()
        return out

    def _around(self, graph: Graph, hidden: Tensor, name: str, part: Callable[[Tensor], Tensor], *, drops: bool) -> Tensor:
        """A part with its norm, dropout and the residual beside it; takes over `hidden`."""
        inside = self._norm(graph, hidden, name) if self._shape.norm_first else graph.hold(hidden)
        made = part(inside)
        if drops:
            made = dropout(graph, made, self._share, "output of a part of the layer")
        out = add(graph, hidden, made, "hidden states")
        if self._shape.norm_first:
            graph.drop(hidden, made)
            return out
        normed = self._norm(graph, out, name)
        graph.drop(out, made, hidden, *self._variables)  # until the functions return
        self._variables.clear()
        return normed

    def _norm(self, graph: Graph, hidden: Tensor, name: str) -> Tensor:
        width = self._a.hidden_size
        if self._shape.norm == "rms":
            return scaled_norm(graph, self._setting, hidden, name, width)
        return norm(graph, self._setting, hidden, "layer", name, width)

    def _attention(
        self, graph: Graph, hidden: Tensor, read: Tensor | None, scores: Scores, projections: tuple[Projection, ...], name: str,
    ) -> Tensor:
        """Projections, attention, output projection; takes over `hidden`."""
        setting, (*inputs, output) = self._setting, projections
        if len(inputs) == 1:
            fused = linear(graph, setting, hidden, inputs[0], f"{name}.{inputs[0].name}")
            third = (*fused.shape[:-1], fused.shape[-1] // 3)
            query, key, value = (graph.view(fused, third) for _ in range(3))
            graph.drop(fused)
        else:
            sources = (hidden, read or hidden, read or hidden)
            query, key, value = (
                linear(graph, setting, source, p, f"{name}.{p.name}") for source, p in zip(sources, inputs, strict=True)
            )
        if self._shape.rope:
            query, key = self._turned(graph, query, key)
        variables = [graph.hold(tensor) for tensor in (query, key, value)]
        if not self._shape.holds_inputs and setting.attention != "eager":
            graph.drop(*variables)
            variables = []
        attended = attend(graph, setting, query, key, value, self._a.num_attention_heads, scores)
        if variables and setting.attention == "eager" and not self._shape.holds_inputs:
            graph.drop(*variables)
            variables = []
        out = linear(graph, setting, attended, output, f"{name}.{output.name}")
        if self._shape.holds_wide:
            self._variables.append(graph.hold(attended))
        graph.drop(attended, *variables, hidden)
        return out

    def _turned(self, graph: Graph, *tensors: Tensor) -> tuple[Tensor, ...]:
        """modernbert's rotary embedding, in fp32 (transformers 5.17, modeling_modernbert.py, apply_rotary_pos_emb)."""
        what = "queries or keys in fp32"

        def upper(tensor: Tensor) -> Tensor:
            return graph.tensor(tensor.shape, "float32", what, needs_grad=False)

        turned = []
        for tensor in tensors:
            whole = upper(tensor) if tensor.dtype != "float32" else graph.hold(tensor)
            straight = upper(tensor)
            graph.drop(whole)
            again = upper(tensor) if tensor.dtype != "float32" else graph.hold(tensor)
            half = graph.tensor((*tensor.shape[:-1], tensor.shape[-1] // 2), "float32", what, needs_grad=False)
            crossed = upper(tensor)
            graph.drop(half, again)
            product = upper(tensor)
            graph.drop(crossed)
            turned.append(upper(tensor))
            graph.drop(straight, product)
        made = []
        for tensor, wide in zip(tensors, turned, strict=True):
            lower = wide
            if tensor.dtype != "float32":
                lower = graph.tensor(tensor.shape, tensor.dtype, "queries or keys with positions")
            made.append(graph.record(lower, (tensor,), temporary=prod(tensor.shape) * 4 * 3, pieces=3))
        graph.drop(*(wide for wide, lower in zip(turned, made, strict=True) if wide is not lower), *tensors)
        return tuple(made)

    def _feed(self, graph: Graph, hidden: Tensor, name: str) -> Tensor:
        """The feed-forward part; takes over `hidden`."""
        setting, (*wide, last) = self._setting, self._linears.feeds
        kind = activation_of(self._a)
        first = linear(graph, setting, hidden, wide[0], f"{name}.{wide[0].name}")
        if not self._shape.gated:
            inner = _activated(graph, setting, first, kind)
            graph.drop(first)
        elif len(wide) == 1:
            half = (*first.shape[:-1], first.shape[-1] // 2)
            gate, up = (graph.view(first, half) for _ in range(2))
            graph.drop(first)
            active = _activated(graph, setting, gate, kind)
            inner = multiply(graph, active, up, "gated hidden states")
            graph.drop(active, gate, up)
        else:
            active = _activated(graph, setting, first, kind)
            graph.drop(first)
            up = linear(graph, setting, hidden, wide[1], f"{name}.{wide[1].name}")
            inner = multiply(graph, active, up, "gated hidden states")
            graph.drop(active, up)
        if self._shape.drops_inside:
            inner = dropout(graph, inner, self._share, "activated hidden states")
            inner = self._as_weight(graph, inner)
        if self._shape.drops_inside and setting.weight == "float16":
            setting = replace(setting, weight="float32")
        out = linear(graph, setting, inner, last, f"{name}.{last.name}")
        if self._shape.holds_wide:
            self._variables.append(graph.hold(inner))
        graph.drop(inner, hidden)
        return out

    def _as_weight(self, graph: Graph, inner: Tensor) -> Tensor:
        """T5's cast to the dtype of the weight that follows, which is fp32 also in a model loaded in float16."""
        kept = "float32" if self._setting.weight == "float16" else self._setting.weight
        upper = cast(graph, inner, kept, "activated hidden states in the weight's dtype")
        graph.drop(inner)
        return upper


def scaled_norm(graph: Graph, setting: Setting, hidden: Tensor, name: str, width: int) -> Tensor:
    """T5's norm: what is squared is an fp32 copy, what is scaled the hidden states themselves, and both are kept.

    transformers 5.17, modeling_t5.py, T5LayerNorm.
    """
    upper = cast(graph, hidden, "float32", "hidden states in fp32 for the norm")
    graph.drop(graph.tensor(hidden.shape, "float32", "squares for the norm", needs_grad=False))
    scaled = graph.tensor(hidden.shape, "float32", "normed hidden states in fp32")
    graph.record(scaled, (hidden,), saved=(upper, hidden), temporary=prod(hidden.shape) * 4 * 2, pieces=2)
    graph.drop(upper)
    lower = scaled
    if setting.norm_weight != "float32":
        lower = cast(graph, scaled, setting.norm_weight, "normed hidden states")
        graph.drop(scaled)
    made = graph.tensor(hidden.shape, lower.dtype, "scaled hidden states")
    size = width * BYTES[setting.norm_weight]
    weights = ((name, size, size, 1),) if setting.trained else ()
    graph.record(made, (lower,), saved=(lower,) if setting.trained else (), weights=weights)
    graph.drop(lower)
    return made


def _activated(graph: Graph, setting: Setting, hidden: Tensor, kind: str) -> Tensor:
    """The activation; relu keeps what it gives, the others what they were given."""
    if kind != "relu":
        return activation(graph, setting, hidden, kind)
    made = graph.tensor(hidden.shape, hidden.dtype, "activated hidden states")
    return graph.record(made, (hidden,), saved=(made,))
