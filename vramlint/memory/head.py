"""The head and the loss of pieces, forward and backward."""

from __future__ import annotations

from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.dtypes import BYTES, promoted
from vramlint.memory.loss import Leave
from vramlint.memory.operations import Setting
from vramlint.memory.pieces import Pieces, logits_of


def loss_in_pieces(
    graph: Graph, setting: Setting, hidden: Tensor, vocabulary: int, head: str, trained: bool, pieces: Pieces, leave: Leave,
    *, adapted: bool = False, returned: list[Tensor] | None = None,
) -> Tensor:
    """The loss of `pieces` and its backward; gives the gradient of `hidden` and takes it over.

    `adapted`: LoRA is on the head. `returned` takes the logits, where the loop holds them.
    """
    compute = setting.autocast or promoted(hidden.dtype, head)
    sizes = pieces.sizes(setting.batch, setting.length)
    source = graph.hold(hidden)
    if pieces.picks:
        graph.drop(source)
        shape = (sum(sizes), hidden.shape[-1])
        source = graph.tensor(shape, hidden.dtype, "last hidden states of the scored tokens", needs_grad=False)
    way = _Head(graph, source, vocabulary, compute, head, trained, len(sizes), unpacks=pieces.packed)
    dropout = pieces.drops and bool(setting.dropout)
    needed = trained or (adapted and not dropout)
    if adapted:
        way.adapt(setting.rank, dropout=dropout)
    ends = [source, hidden]

    def left() -> None:
        """The loss is there: nothing holds the hidden states that were picked from, nor those picked if no weight needs them."""
        leave()
        if pieces.picks:
            graph.drop(*ends[1 if needed else 0 :])
            del ends[1 if needed else 0 :]

    def headed() -> None:
        """The model has returned its logits: of hidden states that were cast for the head only the cast is there."""
        if not pieces.picks and hidden.dtype != compute:
            graph.drop(*ends)
            ends.clear()

    if pieces.fused:
        gradient = way.never(leave)
    elif pieces.recomputed:
        gradient = way.anew(pieces, sizes[0], leave, returned)
    elif pieces.mixed:
        gradient = way.under_autocast(setting, pieces, leave)
    elif pieces.whole:
        gradient = way.undivided(setting, pieces, leave)
    elif pieces.keeps_logits:
        gradient = way.at_once(setting, pieces, sizes, leave)
    else:
        gradient = way.one_by_one(pieces, sizes, left, headed)
    if pieces.picks:
        whole = graph.tensor(hidden.shape, hidden.dtype, "gradient of the last hidden states", needs_grad=False)
        graph.drop(gradient)
        gradient = whole
    graph.drop(*ends)
    return gradient


class _Head:
    """The head over pieces, forward and backward: the gradients of its weight and of its input are added up."""

    __slots__ = (
        "_adapters", "_added", "_casts", "_collected", "_compute", "_drops", "_graph", "_head", "_pieces", "_rank", "_source",
        "_trained", "_unpacks", "_weight", "_words",
    )

    def __init__(
        self, graph: Graph, source: Tensor, vocabulary: int, compute: str, head: str, trained: bool, pieces: int, *,
        unpacks: bool = False,
    ) -> None:
        self._graph, self._source, self._words = graph, source, vocabulary
        self._compute, self._head, self._trained, self._pieces = compute, head, trained, pieces
        self._casts: list[Tensor] = []
        self._added, self._unpacks = 0, unpacks
        self._rank, self._drops = 0, False
        self._adapters: list[Tensor] = []
        self._weight: Tensor | None = None
        self._collected: Tensor | None = None

    def adapt(self, rank: int, *, dropout: bool) -> None:
        """LoRA is beside the head: lora.py of torchtune (LoRALinear, bd2a0fc7) and of LitGPT (0.5.13) add it alike."""
        self._rank, self._drops = rank, dropout

    def one_by_one(self, pieces: Pieces, sizes: list[int], leave: Leave, headed: Leave) -> Tensor:
        """Head and loss of a piece before the head of the next."""
        graph, softs = self._graph, []
        for place, size in enumerate(sizes):
            logits = self._forward(size)
            if place == len(sizes) - 1:
                headed()
            softs.append(self._softmax(logits, pieces, drops=True))
        leave()
        phase, graph.tape.phase = graph.tape.phase, "backward of the loss"
        for soft in reversed(softs):
            self._backward(self._lowered(self._of_softmax(soft)))
        graph.tape.phase = phase
        return self._ends()

    def at_once(self, setting: Setting, pieces: Pieces, sizes: list[int], leave: Leave) -> Tensor:
        """The head of all pieces, then the loss of all."""
        graph = self._graph
        logits = [self._forward(size) for size in sizes]
        if pieces.returned and self._compute != "float32":
            upper = [logits_of(graph, size, self._words, "float32", "logits returned in fp32") for size in sizes]
            graph.drop(*logits)
            logits = upper
        leave()
        # Less its last token, the last piece of several rows is no longer in one piece.
        cut = [logits_of(graph, sizes[-1], self._words, logits[-1].dtype, "logits less the last token")] if (
            pieces.tokens and setting.batch > 1) else []
        softs = [self._softmax(each, pieces, drops=False) for each in logits]
        graph.drop(*cut, *([] if pieces.stays else logits))
        phase, graph.tape.phase = graph.tape.phase, "backward of the loss"
        gradients = []
        for soft in reversed(softs):
            gradient = self._of_softmax(soft)
            gradients.append(gradient if pieces.returned else self._lowered(gradient))
        gradients = [self._lowered(gradient) for gradient in gradients]
        for gradient in gradients:
            self._backward(gradient)
        graph.tape.phase = phase
        return self._ends()

    def under_autocast(self, setting: Setting, pieces: Pieces, leave: Leave) -> Tensor:
        """`cross_entropy` under autocast: the softmax is in 16 bits, and `nll_loss` takes its cast to fp32 (torch 2.11)."""
        graph, tokens, words = self._graph, setting.tokens, self._words
        logits = self._forward(tokens)
        if pieces.compiled:
            return self._compiled(tokens, leave)
        soft = logits_of(graph, tokens, words, self._compute, "log-softmax of the logits")
        upper = soft if self._compute == "float32" else logits_of(graph, tokens, words, "float32", "log-softmax in fp32")
        leave()
        if not pieces.stays:
            graph.drop(logits)
        phase, graph.tape.phase = graph.tape.phase, "backward of the loss"
        first = logits_of(graph, tokens, words, "float32", "gradient of the log-softmax")
        if upper is not soft:
            graph.drop(upper)
        first = self._lowered(first)
        gradient = logits_of(graph, tokens, words, self._compute, "gradient of the logits")
        graph.drop(soft, first)
        self._backward(gradient)
        graph.tape.phase = phase
        return self._ends()

    def _compiled(self, tokens: int, leave: Leave) -> Tensor:
        """The softmax is computed anew from the logits, and the returned logits' own gradient comes as zeros."""
        graph = self._graph
        leave()
        phase, graph.tape.phase = graph.tape.phase, "backward of the loss"
        zeros = logits_of(graph, tokens, self._words, self._compute, "zeros as the gradient of the returned logits")
        gradient = logits_of(graph, tokens, self._words, self._compute, "gradient of the logits")
        self._backward(gradient)
        graph.drop(zeros)
        graph.tape.phase = phase
        return self._ends()

    def never(self, leave: Leave) -> Tensor:
        """No logits: gradients of input and weight from one kernel (cut-cross-entropy 25.1.1, cce_backward.py)."""
        graph = self._graph
        leave()
        phase, graph.tape.phase = graph.tape.phase, "backward of the loss"
        what = "gradient of the last hidden states"
        self._collected = graph.tensor(self._source.shape, self._source.dtype, what, needs_grad=False)
        if self._trained:
            shape = (self._words, self._source.shape[-1])
            self._add(graph.tensor(shape, self._compute, "gradient of the head", part="gradients", needs_grad=False))
        graph.tape.phase = phase
        return self._ends()

    def anew(self, pieces: Pieces, tokens: int, leave: Leave, returned: list[Tensor] | None) -> Tensor:
        """The softmax of `pieces.tokens` tokens at a time, forward and again backward (NeMo Automodel, loss/chunked_ce.py)."""
        graph, chunk = self._graph, min(pieces.tokens, tokens)
        logits = self._forward(tokens)
        if returned is not None:
            returned.append(graph.hold(logits))
        phase = graph.tape.phase
        self._softmaxed(chunk)
        leave()
        graph.tape.phase = "backward of the loss"
        gradient = logits_of(graph, tokens, self._words, self._compute, "gradient of the logits")
        self._softmaxed(chunk)
        graph.drop(logits)
        self._backward(gradient)
        graph.tape.phase = phase
        return self._ends()

    def _softmaxed(self, tokens: int) -> None:
        """Two in fp32 at once for a moment."""
        graph = self._graph
        both = [logits_of(graph, tokens, self._words, "float32", "softmax of a piece in fp32") for _ in range(2)]
        graph.drop(*both)

    def undivided(self, setting: Setting, pieces: Pieces, leave: Leave) -> Tensor:
        """The head at once, the softmax of `pieces.tokens` tokens at a time; all but the last token of each row."""
        graph, words = self._graph, self._words
        tokens, scored = setting.tokens, setting.batch * (setting.length - 1)
        logits = self._forward(tokens)
        if pieces.returned and logits.dtype != "float32":
            upper = logits_of(graph, tokens, words, "float32", "logits returned in fp32")
            graph.drop(logits)
            logits = upper
        leave()
        dtype = logits.dtype
        cut = [logits_of(graph, scored, words, dtype, "logits less the last token")] if setting.batch > 1 else []
        sizes = [min(pieces.tokens, scored - start) for start in range(0, scored, pieces.tokens)]
        softs = [logits_of(graph, size, words, dtype, "log-softmax of the logits") for size in sizes]
        graph.drop(*cut, *([] if pieces.stays else [logits]))
        phase, graph.tape.phase = graph.tape.phase, "backward of the loss"
        gradients = [self._of_softmax(soft) for soft in reversed(softs)]
        joined = logits_of(graph, scored, words, dtype, "gradient of the logits")
        graph.drop(*gradients)
        whole = logits_of(graph, tokens, words, dtype, "gradient of the logits")
        graph.drop(joined)
        self._backward(self._lowered(whole))
        graph.tape.phase = phase
        return self._ends()

    def _forward(self, size: int) -> Tensor:
        graph, width = self._graph, self._source.shape[-1]
        if self._head != self._compute and not (self._trained and self._casts):
            # Autocast keeps the cast of a trained weight; of a frozen one it makes another for each piece.
            what = "head's weight in the compute dtype"
            self._casts.append(graph.tensor((self._words, width), self._compute, what, part="logits", needs_grad=False))
        if self._source.dtype != self._compute:
            cast = graph.tensor((size, width), self._compute, "input of the head", needs_grad=False)
            if self._trained:
                self._casts.append(cast)
            else:
                graph.drop(cast)
        weight = self._unpacked()
        made = logits_of(graph, size, self._words, self._compute, "logits of one piece")
        graph.drop(*weight)
        return self._with_lora(made, size) if self._rank else made

    def _with_lora(self, base: Tensor, size: int) -> Tensor:
        """The logits of a piece with those of LoRA's path added; what its backward needs is kept."""
        graph, width = self._graph, self._source.shape[-1]
        if self._drops:
            for dtype, what in ((self._compute, "LoRA's input after dropout"), ("bool", "LoRA's dropout mask")):
                self._adapters.append(graph.tensor((size, width), dtype, what, needs_grad=False))
        self._adapters.append(graph.tensor((size, self._rank), self._compute, "LoRA's inner output", needs_grad=False))
        up = logits_of(graph, size, self._words, self._compute, "LoRA's logits of one piece")
        scaled = logits_of(graph, size, self._words, self._compute, "LoRA's logits of one piece, scaled")
        graph.drop(up)
        made = logits_of(graph, size, self._words, self._compute, "logits of one piece")
        graph.drop(base, scaled)
        return made

    def _lora_backward(self, gradient: Tensor) -> list[Tensor]:
        """LoRA's path backward, before the base's; gives the gradients that its input gets, `gradient` stays."""
        graph, width = self._graph, self._source.shape[-1]
        size = gradient.shape[0]
        scaled = logits_of(graph, size, self._words, self._compute, "gradient of LoRA's logits")
        for name, shape in (("head.lora_B", (self._words, self._rank)), ("head.lora_A", (self._rank, width))):
            own = graph.tensor(shape, self._compute, f"gradient of {name}", part="gradients", needs_grad=False)
            if name in graph.gradients or own.block is None:
                graph.drop(own)
            else:
                graph.gradients[name] = own.block
        inner = graph.tensor((size, self._rank), self._compute, "gradient of LoRA's inner output", needs_grad=False)
        graph.drop(scaled)
        given = graph.tensor((size, width), self._compute, "gradient of LoRA's input", needs_grad=False)
        graph.drop(inner)
        return [given]

    def _unpacked(self) -> list[Tensor]:
        """The head's weight, where it is kept in 4 bits; backward it is cast, too (Fabric has it packed from fp16)."""
        shape = (self._words, self._source.shape[-1])
        what = "unpacked 4-bit weight"
        return [self._graph.tensor(shape, self._compute, what, part="workspace", needs_grad=False)] if self._unpacks else []

    def _softmax(self, logits: Tensor, pieces: Pieces, *, drops: bool) -> Tensor:
        graph, (tokens, vocabulary) = self._graph, logits.shape
        dtype = "float32" if pieces.upcasts else logits.dtype
        upper = logits if logits.dtype == dtype else logits_of(graph, tokens, vocabulary, dtype, "logits of one piece in fp32")
        soft = logits_of(graph, tokens, vocabulary, dtype, "log-softmax of the logits")
        if upper is not logits:
            graph.drop(upper)
        if drops:
            graph.drop(logits)
        return soft

    def _of_softmax(self, soft: Tensor) -> Tensor:
        graph, (tokens, vocabulary) = self._graph, soft.shape
        first = logits_of(graph, tokens, vocabulary, soft.dtype, "gradient of the log-softmax")
        gradient = logits_of(graph, tokens, vocabulary, soft.dtype, "gradient of the logits")
        graph.drop(first, soft)
        return gradient

    def _lowered(self, gradient: Tensor) -> Tensor:
        if gradient.dtype == self._compute:
            return gradient
        lower = logits_of(self._graph, gradient.shape[0], self._words, self._compute, "gradient of the logits")
        self._graph.drop(gradient)
        return lower

    def _backward(self, gradient: Tensor) -> None:
        """The gradients of weight and input of one piece; takes over that of its logits."""
        graph, width = self._graph, self._source.shape[-1]
        phase, graph.tape.phase = graph.tape.phase, "backward of the head"
        beside = self._lora_backward(gradient) if self._rank else []
        shape, what = (self._words, width), "gradient of the head"
        own = graph.tensor(shape, self._compute, what, part="gradients", needs_grad=False) if self._trained else None
        weight, rows = [*self._unpacked(), *self._unpacked()], (gradient.shape[0], width)
        piece = graph.tensor(rows, self._compute, "gradient of a piece of the hidden states", needs_grad=False)
        graph.drop(gradient, *weight, *beside)
        if own is not None:
            self._add(own)
        graph.tape.phase = phase
        if self._pieces == 1:
            self._collected = piece
            return
        padded = graph.tensor(self._source.shape, self._source.dtype, "gradient of the hidden states", needs_grad=False)
        graph.drop(piece)
        if self._collected is None:
            self._collected = padded
        else:
            graph.drop(padded)

    def _add(self, own: Tensor) -> None:
        """Autograd adds out of place to what it does not own alone, after that in place (torch 2.11, input_buffer.cpp)."""
        graph = self._graph
        if self._weight is None:
            self._weight = own
        else:
            if self._added == 1:
                total = graph.tensor(own.shape, own.dtype, "gradient of the head", part="gradients", needs_grad=False)
                graph.drop(self._weight)
                self._weight = total
            graph.drop(own)
        self._added += 1

    def _ends(self) -> Tensor:
        """The gradient of the input; that of the weight stays as the head's."""
        graph = self._graph
        graph.drop(*self._casts, *self._adapters)
        if self._weight is not None and self._weight.block is not None:
            kept = self._weight.block
            if self._head != self._compute:
                size = self._words * self._source.shape[-1] * BYTES[self._head]
                final = graph.tape.allocate(size, "gradients", "gradient of the head")
                graph.tape.free(kept)
                kept = final
            if graph.uses is None or not graph.uses("head", kept, kept.size):
                graph.gradients["head"] = kept
        if self._collected is None:
            raise ValueError("a loss of no tokens")
        return self._collected
