"""The decoder's layers one after another, forward and backward."""

from __future__ import annotations

from collections.abc import Callable

from vramlint.memory import derivatives
from vramlint.memory.autograd import AT_ONCE, NEVER, Chosen, Graph, Tensor
from vramlint.memory.dtypes import BYTES
from vramlint.memory.exchange import Exchange
from vramlint.memory.layer import Layer
from vramlint.memory.parameters import Weight
from vramlint.memory.pieces import PIECES
from vramlint.memory.step_plan import Plan
from vramlint.memory.tape import Block, Span, Tape
from vramlint.memory.trainers import CUT, FUSED, LIGER
from vramlint.memory.unsloth.layer import FastLayer
from vramlint.memory.unsloth.loss import HAND_WRITTEN

SORTED_FROM, ROWS_OF_SEGMENT = 3072, 10
"""From so many tokens on the embedding's gradient is summed segment by segment (torch 2.11, native/cuda/Embedding.cu and
EmbeddingBackwardKernel.cu, NROWS_PER_THREAD)."""

WAITING = 6
"""How many things may be saved until what was sent to the host is let go of: max_fwd_stash_size, and the next that is sent."""


def gradient_of(tape: Tape, weight: Weight) -> Block:
    """The gradients of those weights, in their own dtype."""
    size = weight.elements * BYTES[weight.dtype]
    return tape.allocate(size, "gradients", f"gradient of {weight.name}", weight.shape, weight.dtype, weight.count)


class Played:
    """One layer that is played, for itself and for the `between` like ones before it."""

    __slots__ = ("away", "between", "checkpointed", "graph", "kept", "layer", "out", "source", "span")

    def __init__(self, layer: Layer | FastLayer, between: int, *, checkpointed: bool) -> None:
        self.layer = layer
        self.between = between
        self.checkpointed = checkpointed
        self.graph: Graph | None = None
        self.away: list[tuple[Tensor, Block]] = []
        self.source: Tensor | None = None
        self.out: Tensor | None = None
        self.kept: list[Block] = []  # what the layers between leave
        self.span: Span | None = None


class Layers:
    """The decoder's layers: the first and the last of each kind are played, those between are counted from what that left.

    Not from the first: what comes into that needs no gradient where only adapters are trained, and saves less, and its
    backward comes when all gradients of its kind are there.
    Without `records` nothing is kept for a backward pass.
    """

    def __init__(
        self, plan: Plan, tape: Tape, masks: list[Tensor], *, records: bool = True,
        uses: Callable[[str, Block, int], bool] | None = None, exchange: Exchange | None = None,
    ) -> None:
        self._plan = plan
        self._uses = uses
        self._exchange = exchange or Exchange()
        parts = plan.checkpointing and records and plan.block.parts_checkpointed
        self._checkpointing = plan.checkpointing and records and not parts
        self._holds_hidden = records and plan.pieces is not None and plan.pieces.fused
        self._records = records
        self._tape = tape
        self._mask = masks[-1] if plan.setting.masks.used else None
        self._played: list[Played] = []
        self._patterns: dict[tuple[int, tuple[int, ...], str], Graph] = {}
        self._casts: list[Block] = []
        self._cached: list[Tensor] = []
        self._cached_between: list[Block] = []
        for stack in plan.stacks:
            layer: Layer | FastLayer = Layer(
                plan.architecture, stack.block, stack.projections, plan.setting, stack.experts, parts=parts,
                caches=plan.holds_outputs and records and not plan.checkpointing,
            )
            if plan.loss == HAND_WRITTEN:
                layer = FastLayer(plan.architecture, stack.block, stack.projections, plan.setting)
            again = self._checkpointing and stack.recomputed
            self._played.append(Played(layer, 0, checkpointed=again))
            if stack.count > 1:
                self._played.append(Played(layer, stack.count - 2, checkpointed=again))

    def forward(self, hidden: Tensor) -> Tensor:
        """The output of the last layer; takes over `hidden`."""
        for played in self._played:
            hidden = self._forward_one(played, hidden)
        return hidden

    def end_autocast(self) -> None:
        """Drop the weight casts that autocast kept."""
        for played in self._played:
            if played.graph is not None:
                played.graph.end_autocast()
        self._tape.free_all(self._casts)
        self._casts.clear()

    def _forward_one(self, played: Played, hidden: Tensor) -> Tensor:
        tape = self._tape
        graph = Graph(tape, self._uses)
        graph.recording = self._records and not played.checkpointed
        graph.keeps_beside = played.checkpointed and self._plan.keeps_inputs
        graph.chosen = Chosen() if played.checkpointed and self._plan.keeps_products else None
        before, begin, total = tape.alive(), len(tape.played), tape.current
        gathered = self._exchange.enter()
        if self._holds_hidden:
            self._cached.append(graph.hold(hidden))
        source = hidden.block
        needs = hidden.needs_grad
        played.source = hidden
        graph.hold(hidden)  # the model's own variable until the layer returns, and what a checkpoint keeps
        out = played.layer.forward(graph, hidden, self._mask, "layer")
        if not played.checkpointed or self._hosted(played):
            graph.drop(hidden)
        if played.checkpointed:
            out.needs_grad = needs or self._plan.setting.trained or played.layer.has_adapters
        played.graph, played.out = graph, out
        if self._plan.offloads and not self._plan.hosts and not self._checkpointing:
            self._send_away(played, before)
        self._cached += graph.cached
        self._exchange.leave(gathered)
        if played.between:
            after = tape.alive()
            created = [block for key, block in after.items() if key not in before]
            if source is not None and id(source) not in after:
                created = [block for block in created if block is not out.block]
            # Without checkpointing the graph has saved them besides, and they stay.
            casts = {id(tensor.block) for tensor in graph.cache if tensor.refs == 1}
            between = played.between
            if self._plan.hosts or (self._plan.offloads and self._checkpointing):
                between = 0  # five tensors later each has left (trl 1.16, activation_offloading.py, max_fwd_stash_size)
            times = [played.between if self._plan.hosts and id(block) in casts else between for block in created]
            clones = [
                Block(block.size, block.part, block.what, block.shape, block.dtype, block.count * count, stands_in=True)
                for block, count in zip(created, times, strict=True) if count
            ]
            created = [block for block, count in zip(created, times, strict=True) if count]
            # The layers between come before the last one: what they leave is there while that is played.
            tape.stand_in(begin, total, before, clones)
            played.span = tape.like(begin + len(clones), played.between, source, out.block)
            played.span.keeps = between
            cached = {id(tensor.block) for tensor in (*graph.cached, *([out] if self._holds_hidden else []))}
            for block, clone in zip(created, clones, strict=False):
                kept = self._casts if id(block) in casts else self._cached_between if id(block) in cached else played.kept
                kept.append(clone)
        return out

    def backward(self, gradient: Tensor, accumulates: bool, head: Block | None = None) -> None:
        """Backward through all layers from the last; takes over `gradient`. `head`: the gradient of the head's weight."""
        tape = self._tape
        tape.phase = "backward of the layers"
        received: Tensor | None = gradient
        for position, played in reversed(list(enumerate(self._played))):
            before, begin = tape.alive(), len(tape.played)
            coming = received.block if received is not None else None
            gathered = self._exchange.enter_backward(position)
            received = self._backward_one(played, received, accumulates)
            self._exchange.leave_backward(position, gathered, before)
            if played.between:
                going = received.block if received is not None else None
                tape.like(begin, played.between, coming, going, played.span)
                tape.free_all(played.kept)
                made = [b for key, b in tape.alive().items() if key not in before and b.part == "gradients"]
                for block in made if self._uses is None else ():
                    tape.allocate(
                        block.size, "gradients", block.what, block.shape, block.dtype, block.count * played.between,
                        stands_in=True,
                    )
            if received is None:
                return
        embedding = next(weight for weight in self._plan.weights if weight.name == "embedding")
        if received is not None and embedding.trained:
            self._embedding(embedding, received, head, accumulates)
        elif received is not None:
            Graph(tape).drop(received)

    def end(self) -> None:
        """The loop lets go of what the model returned."""
        self._tape.free_all(self._cached_between)
        Graph(self._tape).drop(*self._cached)

    def _embedding(self, embedding: Weight, received: Tensor, head: Block | None, accumulates: bool) -> None:
        """The embedding's gradient; where it is the head's too, autograd adds both.

        Into a third (input_buffer.cpp, accumulate), but in place where the head's is nobody else's: a cast of it, or what
        TRL's fused head returns.
        """
        tape, a = self._tape, self._plan.architecture
        tape.phase = "backward of the embedding"
        kept = gradient_of(tape, embedding)
        tokens = self._plan.setting.tokens
        if tokens > SORTED_FROM:
            rows = tokens // ROWS_OF_SEGMENT + min(tokens, a.vocab_size)
            tape.free(tape.allocate(rows * a.hidden_size * 4, "workspace", "sums of the embedding's segments"))
        Graph(tape).drop(received)
        if a.tie_word_embeddings and head is not None:
            own = kept
            if self._plan.loss not in (FUSED, LIGER, CUT, PIECES) and self._plan.setting.autocast in (None, embedding.dtype):
                kept = gradient_of(tape, embedding)
                tape.free_all([head, own])
            else:
                tape.free(own)
                kept = head
        if accumulates:
            tape.add_up(kept)

    def _backward_one(self, played: Played, gradient: Tensor | None, accumulates: bool) -> Tensor | None:
        first, source, out = played.graph, played.source, played.out
        if gradient is None or first is None or source is None or out is None:
            return None
        if not played.checkpointed:
            self._bring_back(played)
            return self._finish(first, {id(out): gradient}, accumulates).get(id(source))
        graph = Graph(self._tape, self._uses)
        graph.beside = first.beside
        graph.chosen = Chosen(first.chosen.kept) if first.chosen is not None else None
        again = Tensor(None, source.shape, source.dtype, True)
        if not self._plan.runs_ahead:
            # Reentrant: what the layer got and gave is there until its own backward has ended (utils/checkpoint.py).
            out = played.layer.forward(graph, again, self._mask, "layer")
            made = self._finish(graph, {id(out): graph.hold(gradient)}, accumulates).get(id(again))
            graph.drop(out, gradient)
            if not self._hosted(played):
                graph.drop(source)
            return made
        pattern, last = self._recorded(played, source)
        gradients = {id(last): gradient}
        done = graph.ahead(pattern, gradients)
        if not self._plan.stops_early:
            graph.stops_at = NEVER
        graph.unpacks = True
        graph.drop(played.layer.forward(graph, again, self._mask, "layer"))
        keeper = next((operation for operation in graph.operations if operation.saved), None)
        graph.source = (keeper, source) if keeper is not None else None
        made = self._finish(graph, graph.after(pattern, done, gradients), accumulates).get(id(again))
        if keeper is None or graph.source is not None:
            graph.drop(source)
        return made

    def _hosted(self, played: Played) -> bool:
        """Whether the layer's input is with the host until its backward."""
        return self._plan.hosts and self._checkpointing and played is not self._played[-1]

    def _send_away(self, played: Played, before: dict[int, Block]) -> None:
        """What a layer has saved goes to the host, but what is saved twice; `_bring_back` has it again as a whole.

        Really the last five wait, and each comes back when its own operation asks (trl 1.16, activation_offloading.py).
        """
        graph = played.graph
        if graph is None:
            return
        kept = [tensor for tensor in (*graph.cache, played.out) if tensor is not None]
        given = {id(played.source.block)} if played.source is not None else set()
        stays = _saved_twice(graph) | (set(before) - given) | {id(tensor.block) for tensor in kept}
        for operation in graph.operations:
            for tensor in operation.saved:
                root = _root(tensor)
                if root.block is not None and id(root.block) not in stays:
                    self._tape.free(root.block)
                    played.away.append((root, root.block))
                    root.block = None

    def _bring_back(self, played: Played) -> None:
        for tensor, block in played.away:
            tensor.block = self._tape.allocate(block.size, block.part, block.what, block.shape, block.dtype, block.count)
        played.away.clear()

    @staticmethod
    def _finish(graph: Graph, gradients: dict[int, Tensor], accumulates: bool) -> dict[int, Tensor]:
        if accumulates:
            graph.gradients = Everything()
        made = graph.backward_from(gradients)
        graph.end_autocast()
        return made

    def _recorded(self, played: Played, source: Tensor) -> tuple[Graph, Tensor]:
        """A layer as it will be recorded when it is played again, where nothing is allocated, and its output."""
        key = (id(played.layer), source.shape, source.dtype)
        if key not in self._patterns:
            like = self._patterns[key] = Graph(Tape())
            like.stops_at = AT_ONCE
            played.layer.forward(like, Tensor(None, source.shape, source.dtype, True), self._mask, "layer")
        return self._patterns[key], self._patterns[key].operations[-1].output


def _saved_twice(graph: Graph) -> set[int]:
    """The blocks that TRL's offloading leaves on the card: those that are saved again while they are on their way.

    Whoever saves such a storage holds it (trl 1.16, activation_offloading.py, pack_tensor: `storage_to_tensor_id`); it is on
    its way until the fifth thing saved after it, weights counted. A norm's square and its product save the same.
    """
    stays: set[int] = set()
    seen: dict[int, int] = {}
    number = 0
    for operation in graph.operations:
        for tensor in sorted(operation.saved, key=lambda saved: saved is operation.output):  # results come last
            key = id(_root(tensor).block)
            if operation.derivative is derivatives.root_mean_square or number - seen.get(key, -WAITING) < WAITING:
                stays.add(key)
            seen[key] = number
            number += 1
        number += 1 if operation.saved else 0  # the weight that it goes with
    return stays


def _root(tensor: Tensor) -> Tensor:
    """The tensor whose memory it is."""
    while tensor.base is not None:
        tensor = tensor.base
    return tensor


class Everything(dict[str, "Block | None"]):
    """Gradients that are all there already."""

    def __contains__(self, key: object) -> bool:
        return True
