"""Cut cross entropy: a loss whose kernel never writes a logit down."""

from __future__ import annotations

from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.dtypes import BYTES
from vramlint.memory.loss import Leave
from vramlint.memory.operations import Setting

SHORT_OF_TOKENS = 128
"""Tokens, or words, that share a lock."""


def loss_cut(
    graph: Graph, setting: Setting, hidden: Tensor, vocabulary: int, head: str, trained: bool, leave: Leave,
) -> Tensor:
    """The loss forward and backward; gives the gradient of `hidden` and takes that over.

    After axolotl's fork of cut_cross_entropy (5f0c7a7; cce.py, cce_backward.py): kept are the hidden states, in the head's dtype,
    and a number a token; backward come their gradient and, where it is trained, the head's, each in its own dtype.
    """
    width, tokens = hidden.shape[-1], setting.tokens
    graph.tape.phase = "fused loss"
    source = graph.hold(hidden) if hidden.dtype == head else graph.tensor(
        hidden.shape, head, "last hidden states in the head's dtype", needs_grad=False)
    places = graph.tensor((tokens, 2), "int64", "places of the scored tokens", needs_grad=False)
    found = graph.tensor((tokens,), "int64", "scored tokens", needs_grad=False)
    graph.drop(places)
    kept = [found, *(
        graph.tensor((size,), "float32", what, needs_grad=False)
        for size, what in ((tokens, "log-sum-exp of each token"), (vocabulary, "mean logit of each word"))
    )]
    graph.drop(graph.tensor((tokens,), "float32", "loss of each token", needs_grad=False))
    leave()
    graph.tape.phase = "backward of the fused loss"
    ordering = graph.tensor((vocabulary,), "int32", "order of the words", needs_grad=False)
    gradient = graph.tensor(hidden.shape, head, "gradient of the last hidden states", needs_grad=False)
    if trained:
        size = vocabulary * width * BYTES[head]
        graph.gradients["head"] = graph.tape.allocate(size, "gradients", "gradient of the head", (vocabulary, width), head)
    locks = -(-tokens // SHORT_OF_TOKENS) * -(-width // 64)
    graph.drop(graph.tensor((locks,), "int32", "locks", needs_grad=False), ordering, source, *kept)
    if hidden.dtype != head:
        upper = graph.tensor(hidden.shape, hidden.dtype, "gradient of the last hidden states", needs_grad=False)
        graph.drop(gradient)
        gradient = upper
    graph.drop(hidden)
    return gradient
