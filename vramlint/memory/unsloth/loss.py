"""unsloth's loss: the head and the cross entropy over some of the tokens or of the vocabulary at a time, gradients forward.

Sizes and order are what recorded runs of unsloth 2026.10.9 with a frozen head allocate, over vocabularies of 32,000 to 256,000,
widths of 896 to 5,120 and 256 to 262,144 tokens. That there are chunks, their limits of 512 and 4096 tokens and the size of card
above which tiles end was seen in its source first (unsloth_zoo, fused_losses/fused_linear.py, AGPL); nothing is copied.
"""

from __future__ import annotations

from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.loss import Leave
from vramlint.memory.operations import Setting

HAND_WRITTEN = "hand-written"
"""The word for it beside those of trainers.py."""
LEAST_LOGITS = 77_800_000
"""A chunk has no fewer, to within 50,000."""
LEAST_TOKENS, MOST_TOKENS = 512, 4096
TILE, TILES_OF = 16_384, 8
"""Words of the vocabulary at a time where tokens are not cut up, and how many sums each tile keeps of a token."""


def loss_of_unsloth(graph: Graph, setting: Setting, hidden: Tensor, vocabulary: int, leave: Leave) -> Tensor:
    """The loss and its backward; gives the gradient of `hidden` and takes it over."""
    graph.tape.phase = "fused loss"
    width, compute = hidden.shape[-1], hidden.dtype
    scored = setting.tokens
    collected = graph.tensor(hidden.shape, compute, "gradient of the last hidden states, collected", needs_grad=False)
    if setting.capability >= (8, 0) and vocabulary > 2 * TILE and (setting.small_card or scored > MOST_TOKENS):
        _in_tiles(graph, scored, width, vocabulary, compute)
    else:
        _in_chunks(graph, tokens_at_once(scored, width, vocabulary), scored, width, vocabulary, compute)
    leave()
    graph.drop(hidden)
    graph.tape.phase = "backward of the fused loss"
    gradient = graph.tensor(hidden.shape, compute, "gradient of the last hidden states", needs_grad=False)
    graph.drop(collected)
    return gradient


def _in_chunks(graph: Graph, tokens: int, scored: int, width: int, vocabulary: int, compute: str) -> None:
    """The logits of some tokens at a time, always in the same memory."""
    logits = graph.tensor((tokens, vocabulary), "float32", "logits of one chunk", part="logits", needs_grad=False)
    rows = (tokens, width)
    picked = graph.tensor(rows, compute, "hidden states of one chunk", needs_grad=False)
    products = [
        graph.tensor(rows, "float32", "gradient of the hidden states of one chunk", needs_grad=False)
        for _ in range(1 if tokens >= scored else 2)
    ]
    if len(products) == 1:
        products.append(graph.tensor(rows, compute, "gradient of the hidden states of one chunk", needs_grad=False))
    graph.drop(*products, picked, logits)


def _in_tiles(graph: Graph, scored: int, width: int, vocabulary: int, compute: str) -> None:
    """The logits of up to 4096 tokens for a part of the vocabulary at a time; the gradients are collected in fp32."""
    tokens = min(scored, MOST_TOKENS)
    picked = [
        graph.tensor((tokens, width), compute, "hidden states of one chunk", needs_grad=False)
        for _ in range(1 if tokens == scored else 2)
    ]
    sums = graph.tensor((tokens, -(-vocabulary // TILE) * TILES_OF), "float32", "sums of each tile", needs_grad=False)
    tile = graph.tensor((tokens, TILE), "float32", "logits of one tile", part="logits", needs_grad=False)
    inner = graph.tensor((tokens, width), "float32", "gradient of the hidden states of one chunk", needs_grad=False)
    graph.drop(inner, tile, sums, *picked)


def tokens_at_once(scored: int, width: int, vocabulary: int) -> int:
    """The tokens of a chunk: as many as make the logits no larger than the hidden states, within bounds; a power of two."""
    wanted = _power_below(scored * width / vocabulary)
    least = min(max(_power_below(LEAST_LOGITS / vocabulary), LEAST_TOKENS), MOST_TOKENS)
    return min(max(wanted, least), MOST_TOKENS, scored)


def _power_below(number: float) -> int:
    return 1 << max(0, int(number).bit_length() - 1)
