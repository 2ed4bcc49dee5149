"""Plays one decoder layer forward, operation by operation, as its block describes it."""

from __future__ import annotations

from vramlint.catalog import Architecture
from vramlint.dataclass import replace
from vramlint.memory.adapted_parts import linear_in_parts
from vramlint.memory.attention import attention, repeated
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.blocks import BlockShape
from vramlint.memory.checkpoints import Part, cached, checkpointed
from vramlint.memory.delta_shape import delta_of
from vramlint.memory.experts import Experts
from vramlint.memory.gated import gated_halves, gated_product
from vramlint.memory.gated_delta import gated_delta
from vramlint.memory.latent import latent_of
from vramlint.memory.latent_attention import latent_attention
from vramlint.memory.linear import linear
from vramlint.memory.operations import Setting, activation, add, dropout, multiply, norm
from vramlint.memory.parameters import Projection
from vramlint.memory.positions import partly_turned, turned
from vramlint.memory.recomputed_adapters import fused_lora_mlp, fuses_mlp
from vramlint.memory.routing import routed, with_shared
from vramlint.memory.sinks import attention_with_sinks
from vramlint.memory.written_attention import written_attention

DROPPING_INSIDE = ("gpt2", "starcoder2")
"""Whose attention drops of its output itself, while its variables are there."""


class Layer:
    """One decoder layer of a model under a setting."""

    __slots__ = ("_architecture", "_block", "_caches", "_experts", "_parts", "_projections", "_setting", "_turns_in_place")

    def __init__(
        self, architecture: Architecture, block: BlockShape, projections: tuple[Projection, ...], setting: Setting,
        experts: Experts | None = None, *, parts: bool = False, caches: bool = False,
    ) -> None:
        self._parts = parts  # each part of it is a checkpoint of its own
        self._caches = caches  # its keys and values are copied into what the model returns
        self._architecture = architecture
        self._block = block
        self._projections = projections
        self._setting = setting
        self._experts = experts
        # liger_kernel/ops/rope.py; not where a part of each head is turned (0.8.5, monkey_patch.py).
        self._turns_in_place = setting.liger_rope and not (block.partial_rope and architecture.model_type != "phi3")

    @property
    def has_adapters(self) -> bool:
        """Whether something in it is trained beside what stays as it is: its output has a gradient whatever its input is."""
        return any(each.adapted for each in self._projections) or bool(self._experts and self._experts.adapted)

    def forward(self, graph: Graph, hidden: Tensor, mask: Tensor | None, name: str) -> Tensor:
        """The layer's output; takes over `hidden`."""
        out = self._played(graph, hidden, mask, name)
        graph.drop(*graph.returned)
        graph.returned.clear()
        return out

    def _played(self, graph: Graph, hidden: Tensor, mask: Tensor | None, name: str) -> Tensor:
        block, width = self._block, self._architecture.hidden_size
        count = len(self._projections) - len(block.names) + len(block.attention_names)
        attends, feeds = self._projections[:count], self._projections[count:]
        if block.parallel:
            return self._parallel(graph, hidden, mask, name, attends, feeds)
        if self._parts:
            return self._in_parts(graph, hidden, mask, name, attends, feeds)
        before = hidden if block.post_only else self._norm(graph, hidden, f"{name}.norm1", width)
        if block.post_only:
            graph.hold(before)
        variables = [graph.hold(before)] if block.conv1d else []  # which gpt2's layer has under names of their own
        attended = self._attention(graph, before, mask, name, attends)
        if block.sandwich or block.post_only:
            attended = self._after(graph, attended, f"{name}.norm2", width)
        if block.scaled_residual:
            attended = self._scaled(graph, attended, "hidden states, scaled")
        middle = add(graph, hidden, attended, "hidden states")
        if block.conv1d:
            graph.drop(*variables)
            variables = [graph.hold(attended)]
        graph.drop(attended, hidden)
        before = graph.hold(middle) if block.post_only else self._norm(graph, middle, f"{name}.norm3", width)
        if block.conv1d:
            variables.insert(0, graph.hold(before))
        fed = self._mlp(graph, before, name, feeds)
        if block.sandwich or block.post_only:
            fed = self._after(graph, fed, f"{name}.norm4", width)
        if block.scaled_residual:
            fed = self._scaled(graph, fed, "hidden states, scaled")
        out = add(graph, middle, fed, "hidden states")
        graph.drop(*variables, fed, middle)
        return out

    def _in_parts(
        self, graph: Graph, hidden: Tensor, mask: Tensor | None, name: str, attends: tuple[Projection, ...],
        feeds: tuple[Projection, ...],
    ) -> Tensor:
        """Norms, attention and the MLP each under a checkpoint; takes over `hidden`."""
        def attend(inner: Graph, given: Tensor) -> Tensor:
            return self._attention(inner, given, mask, name, attends)

        def feed(inner: Graph, given: Tensor) -> Tensor:
            return self._mlp(inner, given, name, feeds)

        for norm_name, part in (("norm1", attend), ("norm3", feed)):
            normed = checkpointed(graph, hidden, self._normed(f"{name}.{norm_name}"))
            made = checkpointed(graph, normed, part)
            graph.drop(normed)
            total = add(graph, hidden, made, "hidden states")
            graph.drop(made, hidden)
            hidden = total
        return hidden

    def _normed(self, name: str) -> Part:
        def play(inner: Graph, given: Tensor) -> Tensor:
            made = self._norm(inner, given, name, self._architecture.hidden_size)
            inner.drop(given)
            return made

        return play

    @staticmethod
    def _scaled(graph: Graph, tensor: Tensor, what: str) -> Tensor:
        """Times a number, which saves nothing; takes over `tensor`."""
        made = graph.tensor(tensor.shape, tensor.dtype, what)
        graph.record(made, (tensor,), saves_nothing=True)
        graph.drop(tensor)
        return made

    def _norm(self, graph: Graph, hidden: Tensor, name: str, width: int) -> Tensor:
        return norm(graph, self._setting, hidden, self._block.norm, name, width)

    def _after(self, graph: Graph, hidden: Tensor, name: str, width: int) -> Tensor:
        made = self._norm(graph, hidden, name, width)
        graph.drop(hidden)
        return made

    def _parallel(
        self, graph: Graph, hidden: Tensor, mask: Tensor | None, name: str, attends: tuple[Projection, ...],
        feeds: tuple[Projection, ...],
    ) -> Tensor:
        width = self._architecture.hidden_size
        first = self._norm(graph, hidden, f"{name}.norm1", width)
        second = graph.hold(first) if self._block.shared_norm else self._norm(graph, hidden, f"{name}.norm2", width)
        attended = self._attention(graph, first, mask, name, attends)
        fed = self._mlp(graph, second, name, feeds)
        both = add(graph, attended, fed, "hidden states")
        graph.drop(attended, fed)
        out = add(graph, both, hidden, "hidden states")
        graph.drop(both, hidden)
        return out

    def _attention(
        self, graph: Graph, hidden: Tensor, mask: Tensor | None, name: str, projections: tuple[Projection, ...],
    ) -> Tensor:
        """Projections, positions, attention, output projection; takes over `hidden`."""
        a, setting, block = self._architecture, self._setting, self._block
        latent = latent_of(a) if block.latent else None
        if latent is not None:
            return latent_attention(
                graph, setting, latent, a.num_attention_heads, hidden, mask, name, projections,
                in_complex=a.model_type == "deepseek_v2", dropped=a.attention_dropout,
            )
        if block.delta:
            return gated_delta(graph, setting, delta_of(a), hidden, mask, name, projections)
        *inputs, output = projections
        gate: list[Tensor] = []
        if block.gated:
            query, key, value, *gate = self._with_gate(graph, hidden, name, inputs, mask)
        elif block.qkv == "fused":
            project = linear_in_parts if inputs[0].parts else linear
            query, key, value = self._split(graph, project(graph, setting, hidden, inputs[0], f"{name}.{inputs[0].name}.in"))
            if block.qkv_copied:
                query, key, value = self._copied(graph, query, key, value)
        else:
            query, key, value = (
                self._laid_out(graph, self._projected(graph, hidden, p, f"{name}.{p.name}.in", scaled=scaled), copies)
                for p, copies, scaled in zip(inputs, self._copies(mask), (block.scaled_queries, False, False), strict=True)
            )
        if block.qk_norm:
            query, key = (self._qk_norm(graph, t, f"{name}.{n}") for t, n in ((query, "q_norm"), (key, "k_norm")))
        held: list[Tensor] = []
        if block.rope and not self._turns_in_place:
            if block.partial_rope:
                query, key, held = partly_turned(graph, a, query, key)
            else:
                query, key = turned(graph, query, key, block.rotation)
        if self._caches:
            key, value = (cached(graph, tensor) for tensor in (key, value))
        # What the caller passed and the function's own variables live until it returns.
        variables = [graph.hold(tensor) for tensor in (query, key, value)]
        heads = a.num_attention_heads
        groups = heads if block.qkv_copied else a.num_key_value_heads
        if block.sinks or block.written:
            attended = self._in_full(graph, query, key, value, name)
        else:
            attended = attention(graph, setting, query, key, value, heads, groups, mask, softcap=block.attention_softcap,
                                 dropped=a.attention_dropout, broadcasts=block.broadcast_heads)
        # Of the kernels of sdpa only flash keeps the layout of its queries: not with a mask, nor in fp32.
        if block.partial_rope and mask is None and attended.dtype != "float32" and setting.attention != "math":
            copied = graph.tensor(attended.shape, attended.dtype, "output of attention, in its own layout")
            graph.record(copied, (attended,), passes=True)
            graph.drop(attended)
            attended = copied
        if gate:
            opened = activation(graph, setting, gate[0], "sigmoid")
            product = multiply(graph, attended, opened, "gated output of attention")
            graph.drop(opened, attended, *gate)
            attended = product
        out = linear(graph, setting, attended, output, f"{name}.{output.name}.out")
        graph.drop(attended)
        if a.model_type in DROPPING_INSIDE:
            out = dropout(graph, out, a.hidden_dropout, "output of attention")
        graph.drop(*held, *variables, hidden)
        return out if a.model_type in DROPPING_INSIDE else dropout(graph, out, a.hidden_dropout, "output of attention")

    def _projected(self, graph: Graph, hidden: Tensor, projection: Projection, name: str, *, scaled: bool) -> Tensor:
        made = (linear_in_parts if projection.parts else linear)(graph, self._setting, hidden, projection, name)
        return self._scaled(graph, made, "queries, scaled") if scaled else made

    def _with_gate(
        self, graph: Graph, hidden: Tensor, name: str, inputs: list[Projection], mask: Tensor | None,
    ) -> list[Tensor]:
        """Queries, keys and values, and the gate that comes with the queries, which is copied (qwen3_5)."""
        setting, (first, *others) = self._setting, inputs
        both = linear(graph, setting, hidden, first, f"{name}.{first.name}.in")
        half = (*both.shape[:-1], both.shape[-1] // 2)
        query, other = graph.views(both, [half, half])
        gate = graph.record(graph.tensor(half, both.dtype, "gate of attention"), (other,))
        graph.drop(other, both)
        key, value = (
            self._laid_out(graph, linear(graph, setting, hidden, each, f"{name}.{each.name}.in"), copies)
            for each, copies in zip(others, self._copies(mask)[1:], strict=True)
        )
        return [query, key, value, gate]

    def _in_full(self, graph: Graph, query: Tensor, key: Tensor, value: Tensor, name: str) -> Tensor:
        """Attention of which the model's own code computes the scores; takes over the three states."""
        a = self._architecture
        if a.num_attention_heads != a.num_key_value_heads:
            key, value = (repeated(graph, tensor, query.shape[-1]) for tensor in (key, value))
        if self._block.written:
            return written_attention(graph, (query, key, value), a.num_attention_heads)
        given = [graph.hold(tensor) for tensor in (key, value)]  # which the function has until it returns
        made = attention_with_sinks(
            graph, self._setting, (query, key, value), a.num_attention_heads, a.attention_dropout, name,
        )
        graph.drop(*given)
        return made

    def _qk_norm(self, graph: Graph, tensor: Tensor, name: str) -> Tensor:
        kind = self._block.norm if self._block.norm.startswith("rms") else "rms"
        # Liger patches the norms of each head (gemma3, qwen3), not olmo2's of all heads (0.8.5, monkey_patch.py).
        setting = self._setting if self._block.qk_norm == "head" else replace(self._setting, liger_norm=False)
        made = norm(graph, setting, tensor, kind, name, self._architecture.head_dim)
        graph.drop(tensor)
        return made

    def _copies(self, mask: Tensor | None) -> tuple[bool, bool, bool]:
        """Whether the gradients of queries, keys and values come head by head, to be copied for the projection's product.

        Not those of values from a fused kernel, which keeps the layout, unless they were repeated for the heads.
        """
        a, setting = self._architecture, self._setting
        heads, groups = a.num_attention_heads, a.num_key_value_heads
        turns = self._block.rope and not self._turns_in_place
        apart = setting.attention == "math" or (heads != groups and (mask is not None or setting.attention == "eager"))
        return turns and heads > 1, turns and groups > 1, apart and groups > 1

    @staticmethod
    def _laid_out(graph: Graph, tensor: Tensor, copies: bool) -> Tensor:
        """The same tensor head by head; takes over `tensor`."""
        if not copies:
            return tensor
        made = graph.view(tensor, tensor.shape)
        graph.drop(tensor)
        return made

    def _split(self, graph: Graph, fused: Tensor) -> list[Tensor]:
        """Views of one tensor, which lives as long as any of them."""
        a = self._architecture
        widths = (a.num_attention_heads, a.num_key_value_heads, a.num_key_value_heads)
        shapes = [(*fused.shape[:-1], heads * a.head_dim) for heads in widths]
        # phi3 takes slices, whose gradients each come back into zeros of the whole; others split, which is put together at once.
        views = graph.views(fused, shapes, apart=a.model_type == "phi3")
        graph.drop(fused)
        return views

    def _copied(self, graph: Graph, *views: Tensor) -> tuple[Tensor, ...]:
        """Each view made a tensor as wide as all heads; the views stay until the function returns."""
        width = self._architecture.num_attention_heads * self._architecture.head_dim
        what = "queries, keys or values of all heads"
        made = tuple(graph.tensor((*view.shape[:-1], width), view.dtype, what) for view in views)
        for whole, view in zip(made, views, strict=True):
            graph.record(whole, (view,))
        graph.returned += views
        return made

    def _mlp(self, graph: Graph, hidden: Tensor, name: str, projections: tuple[Projection, ...]) -> Tensor:
        """The feed-forward part; takes over `hidden`."""
        setting, kind = self._setting, self._architecture.hidden_act
        whole: list[Tensor] = []
        if self._experts is not None:
            return self._mixture(graph, hidden, name, projections, self._experts)
        if self._block.mlp == "gated" and not self._block.parts_checkpointed and fuses_mlp(setting, projections, kind):
            made = fused_lora_mlp(graph, setting, hidden, projections, name)
            graph.drop(hidden)
            return made
        if self._block.mlp == "gated":
            gate, up, down = projections
            inner = gated_halves(graph, setting, hidden, gate, up, kind, name)
        elif self._block.mlp == "fused-gated":
            both, down = projections
            fused = linear(graph, setting, hidden, both, f"{name}.gate_up")
            half = (*fused.shape[:-1], fused.shape[-1] // 2)
            gated, upper = graph.views(fused, [half, half])
            whole = [fused]  # a variable of the function
            inner = gated_product(graph, setting, gated, upper, kind)
        else:
            first, down = projections
            wide = linear(graph, setting, hidden, first, f"{name}.fc1")
            if self._block.feeds_inline:
                graph.drop(hidden)
            inner = activation(graph, setting, wide, kind)
            graph.drop(wide)
        out = linear(graph, setting, inner, down, f"{name}.{down.name}.down")
        graph.drop(inner, *whole)
        out = dropout(graph, out, self._architecture.hidden_dropout, "output of the MLP")
        if not self._block.feeds_inline:
            graph.drop(hidden)
        return out

    def _mixture(
        self, graph: Graph, hidden: Tensor, name: str, projections: tuple[Projection, ...], experts: Experts,
    ) -> Tensor:
        """The experts that the router chooses, and those that every token goes to; takes over `hidden`."""
        if not experts.shape.shared:
            made = routed(graph, self._setting, experts, hidden, name)
            graph.drop(hidden)
            return made
        return with_shared(graph, self._setting, experts, hidden, name, projections)
