"""A model without its head: embeddings, the encoder's layers, and the decoder's that read what these give."""

from __future__ import annotations

from vramlint.dataclass import replace
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.encoders.attention import Scores
from vramlint.memory.encoders.heads import VOCABULARIES
from vramlint.memory.encoders.layer import EncoderLayer, scaled_norm
from vramlint.memory.encoders.model import Encoder
from vramlint.memory.encoders.shapes import attention_dropout_of, dropout_of, embedding_width_of
from vramlint.memory.encoders.stack import Group, Stack
from vramlint.memory.layers import Everything, gradient_of
from vramlint.memory.linear import linear
from vramlint.memory.operations import Setting, add, dropout, norm
from vramlint.memory.step_plan import Plan
from vramlint.memory.tape import Block, Tape

GLOBAL_EVERY = 3
"""modernbert: every third layer sees everything, the others a window (`global_attn_every_n_layers`)."""


class Half:
    """One stack with what stands before and behind it."""

    __slots__ = ("after", "before", "hidden", "last", "stack")

    def __init__(self, tape: Tape, *, records: bool) -> None:
        self.before, self.after = Graph(tape), Graph(tape)
        self.before.recording = self.after.recording = records
        self.hidden: Tensor
        self.last: Tensor
        self.stack: Stack


class Body:
    """The forward pass up to the last hidden states, and the way back. Without `records` nothing is kept for that."""

    def __init__(self, plan: Plan, encoder: Encoder, tape: Tape, *, records: bool = True) -> None:
        self._plan = plan
        self._encoder = encoder
        self._tape = tape
        self._records = records
        self._share = dropout_of(plan.architecture) if records else 0.0
        self._attended = attention_dropout_of(plan.architecture) if records else 0.0
        self._halves: list[Half] = []
        self._kept: list[Tensor] = []
        self._read: Tensor | None = None
        self._has_gradient = False
        self._summed: Block | None = None
        self._tied = encoder.task in VOCABULARIES and plan.architecture.tie_word_embeddings
        self._setting = plan.setting

    def forward(self) -> Tensor:
        """The last hidden states."""
        setting, encoder = self._setting, self._encoder
        first = Half(self._tape, records=self._records)
        hidden = self._embedded(first, setting)
        full, window = self._masks(setting)
        bias = self._bias(first, setting)
        own = Scores(
            None, bias, False, self._attended, strided=bias is not None, cast_by_hand=encoder.shape.head == "head",
        )
        layer = EncoderLayer(self._plan.architecture, encoder.shape.layer, encoder.linears, setting, own, share=self._share)
        groups = self._groups(layer, full, window, encoder.layers)
        last = self._played(first, hidden, groups, setting, tuple(b for b in (bias,) if b is not None))
        if encoder.decoder is None or encoder.shape.decoder is None:
            return last
        return self._decoded(last)

    def _decoded(self, read: Tensor) -> Tensor:
        """The decoder's last hidden states; keeps `read`, which is the encoder's output."""
        plan, encoder, batch = self._plan, self._encoder, self._setting.batch
        assert encoder.decoder is not None  # noqa: S101 — the caller has looked
        assert encoder.shape.decoder is not None  # noqa: S101 — the caller has looked
        setting = replace(self._setting, length=encoder.target)
        half = Half(self._tape, records=self._records)
        hidden = self._embedded(half, setting)
        padded, eager = self._setting.masks.used, setting.attention == "eager"
        mask_dtype = hidden.dtype if eager else "bool"
        own_mask = self._mask(half, (batch, 1, encoder.target, encoder.target), mask_dtype) if eager else None
        cross_mask = self._mask(half, (batch, 1, encoder.target, self._setting.length), mask_dtype) if padded else None
        bias, zeros = self._bias(half, setting), None
        if encoder.shape.layer.biased_scores:
            shape = (1, plan.architecture.num_attention_heads, encoder.target, self._setting.length)
            # transformers 5.17, modeling_t5.py: zeros, which need a gradient where checkpointing is on.
            dtype = setting.autocast or hidden.dtype
            zeros = half.before.tensor(shape, dtype, "position bias of zeros", needs_grad=plan.checkpointing)
            self._kept.append(zeros)
        own = Scores(None, bias, True, self._attended, strided=bias is not None)
        cross = Scores(cross_mask, zeros, False, self._attended)
        layer = EncoderLayer(
            plan.architecture, encoder.shape.decoder, encoder.decoder, setting, own, read, cross, share=self._share,
        )
        groups = self._groups(layer, own_mask, None, encoder.decoder_layers)
        shared = (read, *(tensor for tensor in (bias, zeros) if tensor is not None and tensor.needs_grad))
        self._read = read
        return self._played(half, hidden, groups, setting, shared)

    def _played(
        self, half: Half, hidden: Tensor, groups: list[Group], setting: Setting, shared: tuple[Tensor, ...],
    ) -> Tensor:
        half.hidden = hidden
        half.stack = Stack(
            self._tape, groups, checkpointing=self._plan.checkpointing, records=self._records, trained=setting.trained,
            shared=shared,
        )
        self._halves.append(half)
        out = half.last = half.stack.forward(hidden)
        if not self._encoder.shape.final_norm:
            return out
        kind = self._encoder.shape.layer.norm
        width = self._plan.architecture.hidden_size
        if kind == "rms":
            made = scaled_norm(half.after, setting, out, "final norm", width)
        else:
            made = norm(half.after, setting, out, kind, "final norm", width)
        half.after.drop(out)
        if kind == "rms":  # T5 drops out of what its stacks give
            made = dropout(half.after, made, self._share, "last hidden states")
        return made

    def _groups(self, layer: EncoderLayer, full: Tensor | None, window: Tensor | None, count: int) -> list[Group]:
        """The first layer for itself: what comes into it may need no gradient."""
        if count == 1:
            return [Group(layer, full, 1)]
        if window is None:
            return [Group(layer, full, 1), Group(layer, full, count - 1)]
        seeing = (count - 1) // GLOBAL_EVERY
        found = [Group(layer, full, 1), Group(layer, window, count - 1 - seeing)]
        return [*found, Group(layer, full, seeing)] if seeing else found

    def _embedded(self, half: Half, setting: Setting) -> Tensor:
        """Embedded tokens with what is added to them, normed and dropped out; wider where embeddings are narrow."""
        graph, a, shape = half.before, self._plan.architecture, self._encoder.shape
        width = embedding_width_of(a)
        dtype = next(weight.dtype for weight in self._plan.weights if weight.name == "embedding")
        size = (setting.batch, setting.length, width)
        learns = self._plan.embeds_gradient and self._records
        hidden = graph.tensor(size, dtype, "embedded tokens")
        hidden.needs_grad = learns
        variables: list[Tensor] = []
        positions = (setting.batch if shape.positions_by_row else 1, setting.length, width)
        for what, added_size in ((shape.token_types, size), (shape.positions, positions)):
            if what:
                added = graph.tensor(added_size, dtype, "embedded positions", needs_grad=False)
                total = add(graph, hidden, hidden, "embedded tokens and positions")
                variables += [added, hidden] if not variables else [added]
                if len(variables) > 2:
                    graph.drop(hidden)
                hidden = total
        if shape.embedding_norm or shape.head == "head":
            made = norm(graph, setting, hidden, "layer", "embedding norm", width)
            graph.drop(hidden)
            hidden = made
        hidden = dropout(graph, hidden, self._share, "embedded tokens")
        graph.drop(*variables)  # of the function that embeds
        wider = self._encoder.wider
        if wider is not None:
            made = linear(graph, setting, hidden, wider, wider.name)
            graph.drop(hidden)
            hidden = made
        hidden.needs_grad = hidden.needs_grad or (self._plan.embeds_gradient and self._records)
        return hidden

    def _masks(self, setting: Setting) -> tuple[Tensor | None, Tensor | None]:
        """The mask of the layers that see everything, and of those that see a window."""
        padded, eager = setting.masks.used, setting.attention == "eager"
        dtype = setting.norm_weight if eager else "bool"
        if eager and setting.autocast and self._encoder.shape.head == "head":
            dtype = "float32"  # that of the embeddings, which a norm gives
        graph = Graph(self._tape)
        shape = (setting.batch, 1, setting.length, setting.length)
        full = self._kept_mask(graph, shape, dtype) if padded else None
        if self._encoder.shape.head != "head" or self._plan.architecture.sliding_window is None:
            return full, None
        rows = setting.batch if padded or eager else 1
        return full, self._kept_mask(graph, (rows, 1, setting.length, setting.length), dtype)

    def _mask(self, half: Half, shape: tuple[int, ...], dtype: str) -> Tensor:
        return self._kept_mask(half.before, shape, dtype)

    def _kept_mask(self, graph: Graph, shape: tuple[int, ...], dtype: str) -> Tensor:
        made = graph.tensor(shape, dtype, "attention mask", needs_grad=False)
        self._kept.append(made)
        return made

    def _bias(self, half: Half, setting: Setting) -> Tensor | None:
        """T5's position bias of one stack, made by its first layer and read by all."""
        if not self._encoder.shape.layer.biased_scores:
            return None
        graph, a = half.before, self._plan.architecture
        shape = (1, a.num_attention_heads, setting.length, setting.length)
        buckets = graph.tensor((setting.length, setting.length), "int64", "buckets of relative positions", needs_grad=False)
        bias = graph.tensor(shape, setting.weight, "position bias", needs_grad=setting.trained)
        self._kept += [bias] if not setting.trained else [bias, buckets]
        if not setting.trained:
            graph.drop(buckets)
        return bias

    def end_autocast(self) -> None:
        """The forward pass is over: casts of weights that autocast kept go."""
        for half in self._halves:
            for graph in (half.before, half.after):
                graph.end_autocast()
            half.stack.end_autocast()

    def backward(self, gradient: Tensor, accumulates: bool, head: Block | None) -> None:
        """Back from the gradient of the last hidden states; takes it over. Gradients of weights stay on the tape.

        `head`: the gradient of a tied head's weight.
        """
        graph = Graph(self._tape)
        self._summed = head if self._tied else None
        for half in reversed(self._halves):
            behind = self._through(half.after, gradient, half.last, accumulates)
            if behind is None:
                break
            self._tape.phase = "backward of the layers"
            received, shared = half.stack.backward(behind, accumulates)
            if received is not None:
                self._through(half.before, received, half.hidden, accumulates, last=True)
                if half is not self._halves[0]:
                    self._embeds(half, accumulates)
            read = shared.pop(id(self._read), None) if self._read is not None else None
            graph.drop(*shared.values())
            if read is None:
                break
            gradient = read
        self._embeds(self._halves[0], accumulates)
        self.close()

    def _embeds(self, half: Half, accumulates: bool) -> None:
        """The gradients of a stack's embeddings.

        The first that is added to a tied head's makes a third, unless the head's is a cast (input_buffer.cpp, accumulate);
        more are added to that.
        """
        plan, tape = self._plan, self._tape
        if not self._setting.trained:
            return
        tape.phase = "backward of the embedding"
        for weight in plan.weights:
            if weight.name == "embedding":
                own = gradient_of(tape, weight)
                if self._summed is None:
                    self._summed = own
                elif self._tied and self._setting.autocast in (None, weight.dtype) and not self._has_gradient:
                    head, self._summed = self._summed, gradient_of(tape, weight)
                    tape.free_all([head, own])
                else:
                    tape.free(own)
                if accumulates and half is self._halves[0]:
                    tape.add_up(self._summed)
                self._has_gradient = True
            elif weight.name in ("positions", "token types") and half is self._halves[0] and not accumulates:
                gradient_of(tape, weight)

    def close(self) -> None:
        """Everything that is still held goes."""
        graph = Graph(self._tape)
        graph.drop(*self._kept, *((self._read,) if self._read is not None else ()))
        self._kept.clear()
        self._read = None

    def _through(self, graph: Graph, gradient: Tensor, wanted: Tensor, accumulates: bool, *, last: bool = False) -> Tensor | None:
        """Backward of what was recorded around a stack: the gradient of `wanted`, or of nothing where it is the `last`."""
        if accumulates:
            graph.gradients = Everything()
        if not graph.operations:
            if last:
                graph.drop(gradient)
                return None
            return gradient
        output = graph.operations[-1].output
        made = graph.backward_from({id(output): gradient})
        graph.end_autocast()
        if last:
            graph.drop(*made.values())
            return None
        return made.get(id(wanted))
