"""One micro step of an encoder or encoder-decoder: forward, the head's loss, and the way back."""

from __future__ import annotations

from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.dtypes import BYTES, promoted
from vramlint.memory.encoders.body import Body
from vramlint.memory.encoders.heads import VOCABULARIES
from vramlint.memory.encoders.model import Encoder
from vramlint.memory.encoders.shapes import dropout_of, embedding_width_of
from vramlint.memory.layers import Everything
from vramlint.memory.linear import linear
from vramlint.memory.operations import Setting, activation, dropout, norm
from vramlint.memory.parameters import Projection
from vramlint.memory.step_plan import Plan
from vramlint.memory.tape import Block, Tape


def micro_step(plan: Plan, encoder: Encoder, tape: Tape, accumulated: list[Block]) -> None:
    """Forward and backward of one micro batch; leaves the gradients on the tape."""
    tape.phase = "forward"
    body = Body(plan, encoder, tape)
    hidden = body.forward()
    last = hidden
    graph = Graph(tape)
    tied = encoder.task in VOCABULARIES and plan.architecture.tie_word_embeddings
    if accumulated and not tied:  # that of a tied head waits for the embedding's
        graph.gradients = Everything()
    if encoder.task in VOCABULARIES:
        output, gradient = _vocabulary(plan, encoder, graph, hidden, body)
    else:
        output, gradient = _classified(plan, encoder, graph, hidden, body)
    tape.phase = "backward of the head"
    gradients = graph.backward(output, gradient)
    graph.end_autocast()
    received = gradients.get(id(last))
    if received is not None:
        body.backward(received, bool(accumulated), graph.gradients.get("head"))


def forward(plan: Plan, encoder: Encoder, tape: Tape) -> None:
    """One forward pass with its loss; nothing of it stays."""
    body = Body(plan, encoder, tape, records=False)
    hidden = body.forward()
    graph = Graph(tape)
    graph.recording = False
    if encoder.task in VOCABULARIES:
        _, gradient = _vocabulary(plan, encoder, graph, hidden, body)
        graph.drop(gradient)
    else:
        body.end_autocast()
        graph.drop(hidden)
    body.close()


def _classified(plan: Plan, encoder: Encoder, graph: Graph, hidden: Tensor, body: Body) -> tuple[Tensor, Tensor]:
    """A classifier of the first token or of every one. Takes over `hidden`; what the graph goes on from, and its gradient."""
    setting, a = plan.setting, plan.architecture
    width = a.hidden_size
    source = hidden
    if encoder.task == "seq-cls":  # the backward of what takes the first token fills the others with zeros
        source = graph.tensor((setting.batch, 1, width), hidden.dtype, "first tokens")
        graph.record(source, (hidden,))
        if a.extra.get("classifier_pooling") == "mean":
            graph.drop(graph.tensor(hidden.shape, hidden.dtype, "hidden states of tokens that are there"))
        graph.drop(hidden)
    for projection in encoder.head[:-1]:
        source = _head_linear(plan, graph, source, projection, normed=encoder.shape.head == "head")
    source = dropout(graph, source, 0.0 if encoder.shape.head == "head" else dropout_of(a) or 0.1, "what is classified")
    logits = linear(graph, setting, source, encoder.head[-1], encoder.head[-1].name)
    graph.drop(source)
    body.end_autocast()
    phase = "backward of the loss"
    graph.tape.phase = phase
    output = Tensor(None, logits.shape, logits.dtype, logits.needs_grad)
    for operation in graph.operations:
        if operation.output is logits:
            operation.output = output
    gradient = graph.tensor(logits.shape, logits.dtype, "gradient of the logits", part="logits", needs_grad=False)
    graph.drop(logits)
    return output, gradient


def _head_linear(plan: Plan, graph: Graph, source: Tensor, projection: Projection, *, normed: bool) -> Tensor:
    made = linear(graph, plan.setting, source, projection, projection.name)
    graph.drop(source)
    active = activation(graph, plan.setting, made, "gelu")
    graph.drop(made)
    if not normed:
        return active
    last = norm(graph, plan.setting, active, "layer", f"{projection.name}.norm", active.shape[-1])
    graph.drop(active)
    return last


def _vocabulary(
    plan: Plan, encoder: Encoder, graph: Graph, hidden: Tensor, body: Body,
) -> tuple[Tensor, Tensor]:
    """Logits over the vocabulary and their loss. Takes over `hidden`; what the graph goes on from, and its gradient."""
    setting, a = plan.setting, plan.architecture
    source = hidden
    for projection in encoder.head:
        source = _head_linear(plan, graph, source, projection, normed=True)
    length = encoder.target if encoder.decoder else setting.length
    if encoder.shape.head == "tied" and a.tie_word_embeddings:
        scaled = graph.tensor(source.shape, source.dtype, "last hidden states, scaled")
        graph.record(scaled, (source,))
        graph.drop(source)
        source = scaled
    width, compute = embedding_width_of(a), setting.autocast or promoted(source.dtype, plan.head)
    shape = (setting.batch, length, a.vocab_size)
    weight = None
    if plan.head != compute:
        what = "head's weight in the compute dtype"
        weight = graph.tensor((a.vocab_size, width), compute, what, part="logits", needs_grad=False)
    lower = source
    if source.dtype != compute:
        lower = graph.tensor(source.shape, compute, "input of the head")
        graph.record(lower, (source,))
    logits = graph.tensor(shape, compute, "logits", part="logits")
    size = a.vocab_size * width
    trained = setting.trained
    weights = (("head", size * BYTES[compute], size * BYTES[plan.head], 1),) if trained else ()
    saved = [tensor for tensor, needed in ((lower, trained), (weight, True)) if tensor is not None and needed]
    has_bias = encoder.task == "masked-lm"
    graph.record(
        logits, (lower,), saved=tuple(saved), weights=weights, weights_first=not has_bias, sums=has_bias and trained,
    )
    if lower is not source:
        graph.drop(lower)
    graph.drop(source)
    if encoder.shape.head == "biased":
        dtype = promoted(compute, setting.weight)
        biased = graph.tensor(shape, dtype, "logits with their bias", part="logits")
        graph.record(biased, (logits,), passes=dtype == compute)
        graph.drop(logits)
        logits = biased
    return _cross_entropy(setting, graph, logits, encoder, body, weight)


def _cross_entropy(
    setting: Setting, graph: Graph, logits: Tensor, encoder: Encoder, body: Body, weight: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """`CrossEntropyLoss` on the logits: log-softmax in their dtype, which autocast alone makes fp32 for what follows."""
    shape, compute = logits.shape, logits.dtype
    loss = "float32" if setting.autocast or encoder.shape.upcasts_loss else compute
    part = "logits"
    if encoder.shape.upcasts_loss and compute != "float32":
        upper = graph.tensor(shape, "float32", "logits in fp32", part=part, needs_grad=False)
        soft = graph.tensor(shape, "float32", "log-softmax of the logits", part=part, needs_grad=False)
        graph.drop(upper)
        of_soft = None
    else:
        soft = graph.tensor(shape, compute, "log-softmax of the logits", part=part, needs_grad=False)
        of_soft = None if compute == loss else graph.tensor(shape, loss, "log-softmax in fp32", part=part, needs_grad=False)
    body.end_autocast()
    if weight is not None:
        graph.drop(weight)
    copy = None
    if setting.autocast and compute != "float32":
        copy = graph.tensor(shape, "float32", "logits returned in fp32", part=part, needs_grad=False)
    phase, graph.tape.phase = graph.tape.phase, "backward of the loss"
    output = Tensor(None, shape, compute, logits.needs_grad)
    for operation in graph.operations:
        if operation.output is logits:
            operation.output = output
    graph.drop(logits)
    if copy is not None:
        graph.drop(copy)
    gradient = graph.tensor(shape, loss, "gradient of the log-softmax", part=part, needs_grad=False)
    if of_soft is not None:
        graph.drop(of_soft)
        lower = graph.tensor(shape, compute, "gradient of the log-softmax in the logits' dtype", part=part, needs_grad=False)
        graph.drop(gradient)
        gradient = lower
    own = graph.tensor(shape, gradient.dtype, "gradient of the logits", part=part, needs_grad=False)
    graph.drop(gradient, soft)
    if own.dtype != compute:
        lower = graph.tensor(shape, compute, "gradient of the logits in their dtype", part=part, needs_grad=False)
        graph.drop(own)
        own = lower
    graph.tape.phase = phase
    return output, own
