"""Like layers one after another, forward and backward, with tensors that all of them read."""

from __future__ import annotations

from typing import Protocol

from vramlint.dataclass import dataclass
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.layers import Everything
from vramlint.memory.tape import Block, Span, Tape


class Layer(Protocol):
    """What a layer does to hidden states: its output; takes over `hidden`."""

    def forward(self, graph: Graph, hidden: Tensor, mask: Tensor | None, name: str) -> Tensor:
        """Its output."""


@dataclass(frozen=True, slots=True)
class Group:
    """`times` layers that are alike and see the same mask."""

    layer: Layer
    mask: Tensor | None
    times: int


class Played:
    """One layer of a group that was played: what came in, what went on, what it recorded, and what stands for those like it."""

    __slots__ = ("before", "graph", "group", "out", "source", "span")

    def __init__(self, group: Group, graph: Graph, source: Tensor, out: Tensor) -> None:
        self.group = group
        self.graph = graph
        self.source = source
        self.out = out
        self.before: list[Block] = []
        self.span: Span | None = None


class Stack:
    """Layers in groups: of each one layer is played, and those like it are counted from what it left.

    `shared` are tensors that every layer reads and that get gradients from each. Without `records` nothing is kept for a
    backward pass.
    """

    def __init__(
        self, tape: Tape, groups: list[Group], *, checkpointing: bool, records: bool, trained: bool,
        shared: tuple[Tensor, ...] = (),
    ) -> None:
        self._tape = tape
        self._groups = groups
        self._checkpointing = checkpointing and records
        self._records = records and not checkpointing
        self._trained = trained
        self._shared = shared
        self._played: list[Played] = []
        self._casts: list[Block] = []

    def forward(self, hidden: Tensor) -> Tensor:
        """The output of the last layer; takes over `hidden`."""
        for group in self._groups:
            hidden = self._forward_one(group, hidden)
        return hidden

    def end_autocast(self) -> None:
        """Drop the weight casts that autocast kept."""
        for played in self._played:
            played.graph.end_autocast()
        self._tape.free_all(self._casts)
        self._casts.clear()

    def _forward_one(self, group: Group, hidden: Tensor) -> Tensor:
        tape, graph = self._tape, Graph(self._tape)
        graph.recording = self._records
        before, begin, total = tape.alive(), len(tape.played), tape.current
        source, needs = hidden.block, hidden.needs_grad
        graph.hold(hidden)  # the model's own variable until the layer returns, and what a checkpoint keeps
        out = group.layer.forward(graph, hidden, group.mask, "layer")
        if self._checkpointing:
            out.needs_grad = needs or self._trained
        else:
            graph.drop(hidden)
        played = Played(group, graph, hidden, out)
        self._played.append(played)
        if group.times > 1:
            after = tape.alive()
            created = [block for key, block in after.items() if key not in before]
            if source is not None and id(source) not in after:
                created = [block for block in created if block is not out.block]
            casts = {id(tensor.block) for tensor in graph.cache if tensor.refs == 1}
            clones = [
                Block(b.size, b.part, b.what, b.shape, b.dtype, b.count * (group.times - 1), stands_in=True) for b in created
            ]
            tape.stand_in(begin, total, before, clones)
            played.span = tape.like(begin + len(clones), group.times - 1, source, out.block)
            for block, clone in zip(created, clones, strict=True):
                (self._casts if id(block) in casts else played.before).append(clone)
        return out

    def backward(self, gradient: Tensor, accumulates: bool) -> tuple[Tensor | None, dict[int, Tensor]]:
        """Backward through all layers from the last; takes over `gradient`.

        Gives the gradient of what went into the first layer, and those of what all layers read, by identity.
        """
        shared = {
            id(tensor): Graph(self._tape).tensor(tensor.shape, tensor.dtype, "gradient of what all layers read", needs_grad=False)
            for tensor in self._shared if tensor.needs_grad
        }
        received: Tensor | None = gradient
        for played in reversed(self._played):
            if received is None:
                break
            before, begin, coming = self._tape.alive(), len(self._tape.played), received.block
            received = self._backward_one(played, received, accumulates, shared)
            if played.span is None:
                continue
            going = received.block if received is not None else None
            times = played.group.times - 1
            self._tape.like(begin, times, coming, going, played.span)
            self._tape.free_all(played.before)
            for block in [b for key, b in self._tape.alive().items() if key not in before and b.part == "gradients"]:
                self._tape.allocate(
                    block.size, "gradients", block.what, block.shape, block.dtype, block.count * times, stands_in=True,
                )
        return received, shared

    def _backward_one(self, played: Played, gradient: Tensor, accumulates: bool, shared: dict[int, Tensor]) -> Tensor | None:
        graph, source, out = played.graph, played.source, played.out
        if self._checkpointing:
            graph = Graph(self._tape)
            again = Tensor(None, source.shape, source.dtype, True)
            graph.unpacks = True
            out = played.group.layer.forward(graph, again, played.group.mask, "layer")
            graph.drop(out)
        else:
            again = source
        if accumulates:
            graph.gradients = Everything()
        made = graph.backward_from({id(out): gradient, **shared})
        graph.end_autocast()
        if self._checkpointing:
            graph.drop(source)
        return made.get(id(again))
