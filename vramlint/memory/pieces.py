"""How a loss under plain autograd is cut up: its head, or its softmax, computed for some of the tokens at a time."""

from __future__ import annotations

from vramlint.dataclass import dataclass
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.operations import Setting

PIECES = "pieces"
"""The word for it beside those of trainers.py."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """How a framework cuts its loss up: into `count` pieces, or into pieces of `tokens` tokens of a row.

    `picks`: scored tokens are picked out before the head, all but the last of each row. `keeps_logits`: the head is computed
    for all pieces before the first loss. `upcasts`: the loss casts its logits to fp32. `returned`: the model returns them in
    fp32 (Lightning Fabric). `stays`: the loop holds the logits until it has the next ones. `whole`: the head is computed for
    all tokens at once, only the loss in pieces. `mixed`: both at once, and the loss under autocast.
    `drops`: LoRA on the head has its dropout, too (torchtune's builders give it none).
    `packed`: the head is in 4 bits, and unpacked for a moment each time. `compiled`: the loss is fused by inductor.
    `fused`: Apple's cut cross entropy, which never holds the logits and asks for the hidden states of all layers.
    `recomputed`: the softmax of a piece is computed in fp32 forward and again backward, and only the logits are saved.
    """

    count: int = 1
    tokens: int = 0
    picks: bool = False
    keeps_logits: bool = False
    upcasts: bool = False
    returned: bool = False
    stays: bool = False
    whole: bool = False
    mixed: bool = False
    drops: bool = False
    packed: bool = False
    compiled: bool = False
    recomputed: bool = False
    fused: bool = False

    def sizes(self, rows: int, length: int) -> list[int]:
        """The tokens of each piece."""
        if self.whole or self.mixed or self.recomputed:
            return [rows * length]
        if self.tokens:
            return [rows * min(self.tokens, length - start) for start in range(0, length, self.tokens)]
        if self.keeps_logits:
            return [rows * size for size in _split(length, self.count)]
        return _split(rows * (length - 1 if self.picks else length), self.count)


def _split(whole: int, count: int) -> list[int]:
    """`tensor_split`: the first ones are larger by one where it does not come out even."""
    return [size for size in (whole // count + (place < whole % count) for place in range(count)) if size]


def held_over(graph: Graph, setting: Setting, pieces: Pieces, vocabulary: int, compute: str) -> list[Tensor]:
    """The logits of the step before, where the loop still holds them."""
    if not pieces.stays:
        return []
    dtype = "float32" if pieces.returned else compute
    sizes = pieces.sizes(setting.batch, setting.length)
    return [logits_of(graph, size, vocabulary, dtype, "logits of the step before") for size in sizes]


def logits_of(graph: Graph, tokens: int, vocabulary: int, dtype: str, what: str) -> Tensor:
    """Logits of so many tokens, or something of their size."""
    return graph.tensor((tokens, vocabulary), dtype, what, part="logits", needs_grad=False)
