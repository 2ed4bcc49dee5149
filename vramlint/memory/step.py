"""One training step as its trainer runs it: forward passes, loss, backward, clipping, optimizer, evaluation."""

from __future__ import annotations

from vramlint.dataclass import replace
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.cut_loss import loss_cut
from vramlint.memory.dtypes import BYTES
from vramlint.memory.encoders import step as encoders
from vramlint.memory.evaluation import evaluate
from vramlint.memory.exchange import exchange_of
from vramlint.memory.forward_only import embedded, generate, score
from vramlint.memory.head import loss_in_pieces
from vramlint.memory.layers import Layers, gradient_of
from vramlint.memory.loss import Leave, loss_in_chunks, loss_in_full, loss_of_trl, loss_smoothed
from vramlint.memory.operations import dropout, norm
from vramlint.memory.optimizer_states import states_of
from vramlint.memory.parameters import Weight
from vramlint.memory.pieces import held_over
from vramlint.memory.sharding import Sharding, bytes_of
from vramlint.memory.step_plan import Plan
from vramlint.memory.tape import Block, Tape
from vramlint.memory.trainers import CLASSIFIER, CUT, FULL, FUSED, IN_PLACE, LIGER, SMOOTHED
from vramlint.memory.unsloth.loss import HAND_WRITTEN, loss_of_unsloth
from vramlint.memory.updates import step as update
from vramlint.memory.used_gradients import UsedGradients

BUCKETS = "DDP's buckets of gradients"


def play(plan: Plan) -> Tape:
    """The tape of the second step, in which everything that stays is there."""
    tape = Tape()
    for weight in plan.weights if plan.sharding is None else plan.sharding.stored(plan.weights):
        tape.allocate(
            weight.size, weight.role, _named(weight), weight.shape,
            "4 bits" if weight.quantized == 4 else weight.dtype, weight.count,
        )
    for what, size, count in plan.buffers:
        tape.allocate(size, "weights", what, count=count)
    trained = [weight for weight in plan.weights if weight.trained]
    if plan.sharding is not None:
        trained = _share(plan, plan.sharding, tape)
    for weight in trained:
        for size in states_of(plan.optimizer, weight, plan.architecture.model_type):
            tape.allocate(size, "optimizer", "optimizer state", weight.shape, weight.dtype, weight.count)
    tape.allocate(plan.workspace, "workspace", "cuBLAS workspaces", count=2)
    accumulated: list[Block] = []
    if plan.accumulates and (plan.sharding is None or plan.sharding.keeps_gradients):
        accumulated = [gradient_of(tape, weight) for weight in plan.weights if weight.trained]
    if plan.encoder is not None:
        encoders.micro_step(plan, plan.encoder, tape, accumulated)
    else:
        _micro_step(plan, tape, accumulated)
    _optimize(plan, tape, trained)
    if plan.evaluation is not None:
        evaluate(plan, tape, *plan.evaluation)
    tape.settle()
    return tape


def _share(plan: Plan, sharding: Sharding, tape: Tape) -> list[Weight]:
    """What stays on a card for training with others; gives what its optimizer updates."""
    stepped = sharding.stepped(plan.weights)
    if sharding.kind == "ddp":
        tape.allocate(bytes_of(weight for weight in plan.weights if weight.trained), "gradients", BUCKETS)
    elif sharding.kind == "zero":
        for weight in stepped:
            tape.allocate(weight.size, "weights", "fp32 copy of a part of all parameters", weight.shape, weight.dtype)
    return stepped


def _named(weight: Weight) -> str:
    return f"{weight.name}" if weight.role == "weights" else f"adapter {weight.name}"


def _optimize(plan: Plan, tape: Tape, trained: list[Weight]) -> None:
    tape.phase = "optimizer step"
    for block in list(tape.alive().values()):
        if block.part == "gradients" and block.what != BUCKETS:
            tape.free(block)
    if plan.sharding is not None and plan.sharding.kind == "zero":
        _flatten(plan.sharding, tape, trained)
    gradients = {} if plan.optimizer.in_backward else {id(weight): gradient_of(tape, weight) for weight in trained}
    if plan.clips_wide:
        _clip_wide(tape, trained)
    update(tape, plan.optimizer, gradients, trained, plan.architecture.model_type)
    tape.free_all(gradients.values())


def _clip_wide(tape: Tape, trained: list[Weight]) -> None:
    """The norm of the gradients (NeMo Automodel 36044ad3, components/training/utils.py, `_clip_grad_norm_impl`)."""
    phase, tape.phase = tape.phase, "gradient clipping"
    held: list[Block] = []
    for weight in trained:
        size = weight.elements * BYTES[weight.dtype]
        absolute = tape.allocate(size, "workspace", "absolute values of a gradient", weight.shape, weight.dtype)
        scaled = tape.allocate(size, "workspace", "a gradient, scaled", weight.shape, weight.dtype)
        tape.free_all([absolute, *held])
        squares = tape.allocate(size, "workspace", "squares of a gradient", weight.shape, weight.dtype)
        wide = tape.allocate(8 * weight.elements, "workspace", "squares of a gradient in float64", weight.shape, "float64")
        tape.free_all([wide, squares])
        held = [scaled]
    tape.free_all(held)
    tape.phase = phase


def _flatten(sharding: Sharding, tape: Tape, trained: list[Weight]) -> None:
    """DeepSpeed makes one fp32 gradient of those that it kept, by way of a flat copy of them (stage_1_and_2.py, step)."""
    for weight in trained:
        size = weight.elements * BYTES[sharding.mixed or "float32"]
        kept = [tape.allocate(size, "gradients", what) for what in ("a part of the gradients", "the same, flat")]
        tape.free_all([*kept, gradient_of(tape, weight)])


def _micro_step(plan: Plan, tape: Tape, accumulated: list[Block]) -> None:
    """Forward and backward of one micro batch with what the trainer runs around them; leaves the gradients on the tape."""
    setting, a = plan.setting, plan.architecture
    tape.phase = "forward"
    _prepare(plan, tape, accumulated=bool(accumulated))
    exchange = exchange_of(plan, tape)
    accumulated = accumulated or exchange.accumulated()
    used = UsedGradients(plan, tape) if plan.optimizer.in_backward else None
    graph = Graph(tape, used.take if used else None)
    exchange.begin()
    compute = setting.autocast or plan.head
    held = held_over(graph, setting, plan.pieces, a.vocab_size, compute) if plan.pieces is not None else []
    hidden, masks, given = embedded(plan, graph)
    hidden.needs_grad = plan.embeds_gradient
    hidden = dropout(graph, hidden, float(str(a.extra.get("embd_pdrop") or 0)), "embedded tokens")
    hidden.needs_grad = plan.embeds_gradient
    outer = Layers(plan, tape, masks, uses=used.take if used else None, exchange=exchange)
    hidden = outer.forward(hidden)
    exchange.behind()
    last = hidden
    normed = norm(graph, setting, hidden, plan.block.norm, "final norm", a.hidden_size)
    graph.drop(hidden, given)

    def leave() -> None:
        """The model's forward has returned: what the trainer runs before the backward comes here."""
        outer.end_autocast()
        exchange.forwarded()
        graph.drop(*held)
        if plan.loss in (FUSED, LIGER):
            graph.drop(normed)
        if plan.loss != SMOOTHED:
            score_between()

    def score_between() -> None:
        for who in plan.course.between:
            score(plan, tape, who)

    returned: list[Tensor] = []
    output, gradient = _loss(plan, graph, normed, leave, score_between, returned if plan.holds_outputs else None)
    tape.phase = "backward of the head"
    if accumulated:
        # What a weight already has takes the new gradient in; the new one is there for a moment only.
        # That of a tied head waits for the embedding's.
        whole = graph.gradients.get("head")
        if whole is not None and not a.tie_word_embeddings:
            tape.add_up(whole)
        there = ["final norm", *(weight.name for weight in plan.weights if weight.name.startswith("head."))]
        graph.gradients = dict.fromkeys(there if a.tie_word_embeddings else ["head", *there])
    gradients = graph.backward(output, gradient)
    graph.end_autocast()
    exchange.headed()
    received = gradients.get(id(last))
    if received is not None:
        outer.backward(received, bool(accumulated), graph.gradients.get("head"))
    if used is not None:
        used.finish()
    exchange.finish()
    graph.drop(*masks, *returned)
    outer.end()


def _prepare(plan: Plan, tape: Tape, *, accumulated: bool) -> None:
    """What runs ahead of the pass that is trained on; completions are there already for all micro batches but the first."""
    if plan.course.generation is not None and not accumulated:
        generate(plan, tape, plan.course.generation)
    for who in plan.course.before:
        score(plan, tape, who)


def _loss(
    plan: Plan, graph: Graph, normed: Tensor, leave: Leave, score_between: Leave, returned: list[Tensor] | None,
) -> tuple[Tensor, Tensor]:
    """The loss forward and its own backward; takes over `normed`. What the graph goes on from, and its gradient.

    `returned` takes the logits, where the loop holds them.
    """
    setting, a = plan.setting, plan.architecture
    if plan.loss == CLASSIFIER:
        return _classified(plan, graph, normed, leave)
    embedding = next(weight for weight in plan.weights if weight.name == "embedding")
    trained = any(w.trained for w in plan.weights if w.name == "head") or (a.tie_word_embeddings and embedding.trained)
    adapted = any(weight.name == "head.lora_A" for weight in plan.weights)
    if plan.loss == SMOOTHED:
        return loss_smoothed(
            graph, setting, normed, a.vocab_size, plan.head, trained, plan.block.final_softcap, leave, adapted=adapted,
            between=score_between if plan.course.between else None,
        )
    if plan.loss in (FULL, IN_PLACE):
        return loss_in_full(
            graph, setting, normed, a.vocab_size, plan.head, trained, plan.block.final_softcap, leave,
            adapted=adapted, in_place=plan.loss == IN_PLACE, returned=returned,
        )
    if plan.pieces is not None:
        gradient = loss_in_pieces(
            graph, setting, normed, a.vocab_size, plan.head, trained, plan.pieces, leave, adapted=adapted, returned=returned,
        )
    elif plan.loss == CUT:
        gradient = loss_cut(graph, setting, normed, a.vocab_size, plan.head, trained, leave)
    elif plan.loss == HAND_WRITTEN:
        gradient = loss_of_unsloth(graph, setting, normed, a.vocab_size, leave)
    elif plan.loss == LIGER:
        gradient = loss_in_chunks(graph, setting, normed, a.vocab_size, plan.head, trained, leave)
    else:
        scored = setting.batch * (setting.length - plan.course.unscored)
        of_scored = replace(setting, batch=1, length=scored)
        gradient = loss_of_trl(graph, of_scored, normed, a.vocab_size, plan.head, trained, leave)
    return normed, gradient


def _classified(plan: Plan, graph: Graph, normed: Tensor, leave: Leave) -> tuple[Tensor, Tensor]:
    """A linear layer to one logit for each token (transformers 5.17, modeling_layers.py, GenericForSequenceClassification)."""
    compute = plan.setting.autocast or normed.dtype
    source = graph.hold(normed) if normed.dtype == compute else graph.tensor(normed.shape, compute, "input of the score head")
    leave()
    graph.tape.phase = "backward of the loss"
    gradient = graph.tensor(normed.shape, normed.dtype, "gradient of the last hidden states", needs_grad=False)
    if source.dtype != normed.dtype:
        graph.drop(graph.tensor(normed.shape, compute, "gradient of the input of the score head", needs_grad=False))
    graph.drop(source, normed)
    return normed, gradient
