"""One step of the plain Trainer (and of TRL's SFT, which is one): forward, loss, backward, clipping, optimizer."""

from __future__ import annotations

from vramlint.catalog import Architecture
from vramlint.dataclass import dataclass
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.blocks import BlockShape
from vramlint.memory.dtypes import BYTES
from vramlint.memory.layer import Layer
from vramlint.memory.loss import loss_in_chunks, loss_in_full, loss_of_trl
from vramlint.memory.operations import Setting, dropout, norm
from vramlint.memory.optimizers import Optimizer, state_size
from vramlint.memory.parameters import Projection, Weight
from vramlint.memory.tape import Block, Span, Tape

STASHED = 5
"""Saved tensors still on the card while they are copied to the host (trl 1.16, OffloadActivations, max_fwd_stash_size)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a step needs to know."""

    architecture: Architecture
    block: BlockShape
    projections: tuple[Projection, ...]
    weights: tuple[Weight, ...]
    setting: Setting
    optimizer: Optimizer
    checkpointing: bool
    loss: str
    accumulates: bool
    embeds_gradient: bool
    head: str
    workspace: int
    offloads: bool = False


def play(plan: Plan) -> Tape:
    """The tape of the second step, in which everything that stays is there."""
    tape = Tape()
    for weight in plan.weights:
        tape.allocate(
            weight.size, weight.role, _named(weight), weight.shape,
            "4 bits" if weight.quantized == 4 else weight.dtype, weight.count,
        )
    trained = [weight for weight in plan.weights if weight.trained]
    for weight in trained:
        for size in _states(plan, weight):
            tape.allocate(size, "optimizer", "optimizer state", weight.shape, weight.dtype, weight.count)
    tape.allocate(plan.workspace, "workspace", "cuBLAS workspaces", count=2)
    accumulated: list[Block] = []
    if plan.accumulates:
        accumulated = [_gradient(tape, weight) for weight in trained]
    _micro_step(plan, tape, accumulated)
    _optimize(plan, tape, trained)
    tape.settle()
    return tape


def _states(plan: Plan, weight: Weight) -> list[int]:
    return state_size(
        plan.optimizer, weight.elements, weight.dtype, weight.shape, embedding=weight.name in ("embedding", "positions"),
    )


def _named(weight: Weight) -> str:
    return f"{weight.name}" if weight.role == "weights" else f"adapter {weight.name}"


def _gradient(tape: Tape, weight: Weight) -> Block:
    size = weight.elements * BYTES[weight.dtype]
    return tape.allocate(size, "gradients", f"gradient of {weight.name}", weight.shape, weight.dtype, weight.count)


def _optimize(plan: Plan, tape: Tape, trained: list[Weight]) -> None:
    tape.phase = "optimizer step"
    for block in list(tape.alive().values()):
        if block.part == "gradients":
            tape.free(block)
    gradients = [_gradient(tape, weight) for weight in trained]
    total = sum(weight.elements * BYTES[weight.dtype] * weight.count for weight in trained)
    temporary = int(plan.optimizer.temporary_all * total)
    if plan.optimizer.temporary_largest and trained:
        temporary += plan.optimizer.temporary_largest * 4 * max(weight.elements for weight in trained)
    if temporary:
        tape.free(tape.allocate(temporary, "optimizer", "the optimizer's temporaries"))
    tape.free_all(gradients)


def _micro_step(plan: Plan, tape: Tape, accumulated: list[Block]) -> None:
    """Forward and backward of one micro batch; leaves the gradients on the tape."""
    setting, a = plan.setting, plan.architecture
    graph = Graph(tape)
    tape.phase = "forward"
    shape = (setting.batch, setting.length, a.hidden_size)
    embedding = next(weight for weight in plan.weights if weight.name == "embedding")
    hidden = graph.tensor(shape, embedding.dtype, "embedded tokens", needs_grad=False)
    hidden.needs_grad = plan.embeds_gradient
    hidden = dropout(graph, hidden, float(str(a.extra.get("embd_pdrop") or 0)), "embedded tokens")
    hidden.needs_grad = plan.embeds_gradient
    mask = None
    if setting.masked:
        kind_of_mask = embedding.dtype if "additive-mask" in setting.facts else "bool"
        square = (setting.batch, 1, setting.length, setting.length)
        mask = graph.tensor(square, kind_of_mask, "attention mask", needs_grad=False)
    outer = Layers(plan, tape, mask)
    hidden = outer.forward(hidden)
    last = hidden
    normed = norm(graph, setting, hidden, plan.block.norm, "final norm", a.hidden_size)
    graph.drop(hidden)
    trained_head = any(w.trained for w in plan.weights if w.name == "head") or (
        a.tie_word_embeddings and embedding.trained
    )
    if plan.loss != "full":
        in_parts = loss_in_chunks if plan.loss == "liger" else loss_of_trl
        gradient = in_parts(graph, setting, normed, a.vocab_size, plan.head, trained_head, outer.end_autocast)
        output = normed
        graph.drop(normed)
    else:
        output, gradient = loss_in_full(
            graph, setting, normed, a.vocab_size, plan.head, trained_head, plan.block.final_softcap, outer.end_autocast,
        )
    tape.phase = "backward of the head"
    if accumulated:
        # What a weight already has takes the new gradient in; the new one is there for a moment only.
        # That of a tied head waits for the embedding's.
        there = ("final norm",) if a.tie_word_embeddings else ("head", "final norm")
        graph.gradients = dict.fromkeys(there, accumulated[0])
    gradients = graph.backward(output, gradient)
    graph.end_autocast()
    received = gradients.get(id(last))
    if received is not None:
        outer.backward(received, bool(accumulated))


class Layers:
    """The decoder's layers: the first and the last are played, those between are counted from what the last left.

    Not from the first: what comes into that needs no gradient where only adapters are trained, and saves less.
    """

    def __init__(self, plan: Plan, tape: Tape, mask: Tensor | None) -> None:
        self._plan = plan
        self._tape = tape
        self._mask = mask
        self._layer = Layer(plan.architecture, plan.block, plan.projections, plan.setting)
        self._count = plan.architecture.num_hidden_layers
        self._graphs: list[Graph] = []
        self._inputs: list[Tensor] = []
        self._outputs: list[Tensor] = []
        self._between: list[Block] = []
        self._casts: list[Block] = []
        self._span: Span | None = None

    def forward(self, hidden: Tensor) -> Tensor:
        """The output of the last layer; takes over `hidden`."""
        hidden = self._forward_one(hidden, first=True)
        if self._count > 1:
            hidden = self._forward_one(hidden, first=False)
        return hidden

    def end_autocast(self) -> None:
        """Drop the weight casts that autocast kept."""
        for graph in self._graphs:
            graph.end_autocast()
        self._tape.free_all(self._casts)
        self._casts.clear()

    def _forward_one(self, hidden: Tensor, *, first: bool) -> Tensor:
        tape = self._tape
        graph = Graph(tape)
        graph.recording = not self._plan.checkpointing
        before, begin = tape.alive(), len(tape.played)
        self._inputs.append(hidden)
        source = hidden.block
        needs = hidden.needs_grad
        if self._plan.checkpointing:
            graph.hold(hidden)
        out = self._layer.forward(graph, hidden, self._mask, "layer")
        if self._plan.checkpointing:
            out.needs_grad = needs or self._plan.setting.trained
        self._graphs.append(graph)
        self._outputs.append(out)
        if not first and self._count > 2:
            self._span = tape.like(begin, self._count - 2, source, out.block)
            after = tape.alive()
            created = [block for key, block in after.items() if key not in before]
            if source is not None and id(source) not in after:
                created = [block for block in created if block is not out.block]
            # Without checkpointing the graph has saved them besides, and they stay.
            casts = {id(tensor.block) for tensor in graph.cache if tensor.refs == 1}
            between = self._count - 2
            if self._plan.offloads:
                between = min(STASHED, between) if self._plan.checkpointing else 0
            self._span.keeps = between
            for block in created if between else ():
                clone = tape.allocate(
                    block.size, block.part, block.what, block.shape, block.dtype, block.count * between, stands_in=True,
                )
                (self._casts if id(block) in casts else self._between).append(clone)
        return out

    def backward(self, gradient: Tensor, accumulates: bool) -> None:
        """Backward through all layers from the last; takes over `gradient`."""
        tape = self._tape
        tape.phase = "backward of the layers"
        received: Tensor | None = gradient
        for position in reversed(range(len(self._inputs))):
            before, begin = tape.alive(), len(tape.played)
            coming = received.block if received is not None else None
            received = self._backward_one(position, received, accumulates)
            if position == len(self._inputs) - 1 and self._count > 2:
                going = received.block if received is not None else None
                tape.like(begin, self._count - 2, coming, going, self._span)
                tape.free_all(self._between)
                made = [b for key, b in tape.alive().items() if key not in before and b.part == "gradients"]
                for block in made:
                    tape.allocate(
                        block.size, "gradients", block.what, block.shape, block.dtype, block.count * (self._count - 2),
                        stands_in=True,
                    )
            if received is None:
                return
        if received is not None and self._plan.setting.trained:
            embedding = next(weight for weight in self._plan.weights if weight.name == "embedding")
            tape.phase = "backward of the embedding"
            own = _gradient(tape, embedding)
            if self._plan.architecture.tie_word_embeddings and self._plan.setting.autocast in (None, embedding.dtype):
                # Autograd adds the gradients of embedding and head into a third (input_buffer.cpp, accumulate).
                tape.free_all([own, _gradient(tape, embedding)])

    def _backward_one(self, position: int, gradient: Tensor | None, accumulates: bool) -> Tensor | None:
        graph, source, out = self._graphs[position], self._inputs[position], self._outputs[position]
        if gradient is None:
            return None
        if self._plan.checkpointing:
            graph = Graph(self._tape)
            again = Tensor(None, source.shape, source.dtype, True)
            again.needs_grad = True
            out = self._layer.forward(graph, again, self._mask, "layer")
            graph.drop(out)
            source_after = again
        else:
            source_after = source
        if accumulates:
            graph.gradients = _Everything()
        made = graph.backward(out, gradient)
        graph.end_autocast()
        if self._plan.checkpointing:
            graph.drop(source)
        return made.get(id(source_after))


class _Everything(dict[str, Block]):
    """Gradients that are all there already."""

    def __contains__(self, key: object) -> bool:
        return True
