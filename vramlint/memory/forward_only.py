"""Forward passes without gradients: of a reference, of the policy for its log-probabilities, of evaluation, of generation."""

from __future__ import annotations

from vramlint.dataclass import replace
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.dtypes import BYTES, promoted
from vramlint.memory.layers import Layers
from vramlint.memory.loss import TRL_TOKENS, TRL_VOCABULARY
from vramlint.memory.masks import build
from vramlint.memory.operations import norm
from vramlint.memory.step_plan import Plan
from vramlint.memory.tape import Tape
from vramlint.memory.trainers import CLASSIFIER, CUT, FULL, FUSED, REFERENCE, Generation
from vramlint.memory.unsloth.loss import HAND_WRITTEN


def embedded(plan: Plan, graph: Graph) -> tuple[Tensor, list[Tensor], Tensor]:
    """What goes into the first layer; what else stays until the step is over, the attention masks last; `inputs_embeds`.

    That is a variable of the model's forward and stays until this returns.
    """
    setting = plan.setting
    embedding = next(weight for weight in plan.weights if weight.name == "embedding")
    shape = (setting.batch, setting.length, plan.architecture.hidden_size)
    hidden = graph.tensor(shape, embedding.dtype, "embedded tokens", needs_grad=False)
    masks = build(graph, setting.masks, setting.batch, setting.length)
    if plan.loss == HAND_WRITTEN:  # a leaf that wants a gradient, so that the graph keeps it
        if plan.block.scaled_embedding:
            scaled = graph.tensor(shape, embedding.dtype, "embedded tokens, scaled", needs_grad=False)
            graph.drop(hidden)
            hidden = scaled
        return hidden, [graph.hold(hidden), *masks], graph.hold(hidden)
    if not (plan.block.scaled_embedding or plan.block.learned_positions):
        return hidden, masks, graph.hold(hidden)
    made = graph.tensor(shape, embedding.dtype, "embedded tokens, with positions or scaled", needs_grad=False)
    if plan.checkpointing and not setting.trained and graph.recording:
        masks.insert(0, graph.hold(hidden))  # enable_input_require_grads made a leaf of it, which the graph keeps
    if plan.block.scaled_residual:  # granite's are scaled under their own name
        graph.drop(hidden)
        hidden = graph.hold(made)
    return made, masks, hidden


def score(plan: Plan, tape: Tape, who: str) -> None:
    """The log-probabilities of a micro batch by the policy or the reference, which is the base where adapters are trained."""
    if who == REFERENCE and not plan.course.held_copy:
        plan = replace(plan, stacks=tuple(stack.without_adapters() for stack in plan.stacks))
    phase, tape.phase = tape.phase, f"forward of the {who}"
    forward(plan, tape, FUSED)
    tape.phase = phase


def forward(plan: Plan, tape: Tape, loss: str) -> None:
    """One forward pass and its loss; nothing of it stays."""
    graph = Graph(tape)
    graph.recording = False
    setting, width = plan.setting, plan.architecture.hidden_size
    hidden, masks, given = embedded(plan, graph)
    layers = Layers(replace(plan, offloads=False), tape, masks, records=False)
    hidden = layers.forward(hidden)
    last = norm(graph, setting, hidden, plan.block.norm, "final norm", width)
    graph.drop(hidden)
    if loss == FUSED:
        _fused(plan, graph, last)
    elif loss in (CLASSIFIER, CUT):
        graph.drop(last)
    else:
        _full(plan, graph, last, with_loss=loss == FULL)
    layers.end_autocast()
    graph.drop(given, *masks)


def _fused(plan: Plan, graph: Graph, last: Tensor) -> None:
    """TRL's fused head: the scored positions, and their logits a tile at a time (trl 1.16, ChunkedLogProbFunction.forward)."""
    setting, width = plan.setting, plan.architecture.hidden_size
    scored = setting.batch * (setting.length - plan.course.unscored)
    compute = setting.autocast or promoted(last.dtype, plan.head)
    picked = graph.tensor((scored, width), last.dtype, "last hidden states of the scored tokens")
    tokens = min(scored, TRL_TOKENS)
    part = min(plan.architecture.vocab_size, TRL_VOCABULARY)
    tile = [graph.tensor((tokens, TRL_VOCABULARY), compute, "logits of one tile", part="logits")]
    if last.dtype != compute:
        tile.append(graph.tensor((tokens, width), compute, "hidden states of one tile"))
    if plan.head != compute:
        tile.append(graph.tensor((part, width), compute, "piece of the head in the compute dtype", part="logits"))
    graph.drop(*tile, picked, last)


def _full(plan: Plan, graph: Graph, last: Tensor, *, with_loss: bool) -> None:
    """The logits in full, and their loss in fp32; what is returned is in fp32 again (accelerate, convert_to_fp32)."""
    setting, a = plan.setting, plan.architecture
    compute = setting.autocast or promoted(last.dtype, plan.head)
    lowered = [] if last.dtype == compute else [graph.tensor(last.shape, compute, "input of the head")]
    cached: list[Tensor] = []
    if plan.head != compute:  # autocast keeps casts of what is trained until the forward ends
        weight = graph.tensor((a.vocab_size, a.hidden_size), compute, "head's weight in the compute dtype", part="logits")
        (cached if setting.trained else lowered).append(weight)
    shape = (setting.batch, setting.length, a.vocab_size)
    logits = graph.tensor(shape, compute, "logits", part="logits")
    graph.drop(*lowered)
    if plan.block.final_softcap:
        curve = graph.tensor(shape, compute, "tanh of the logits", part="logits")
        graph.drop(logits)
        logits = graph.tensor(shape, compute, "logits after soft-capping", part="logits")
        graph.drop(curve)
    if with_loss:
        upper = logits if compute == "float32" else graph.tensor(shape, "float32", "logits in fp32", part="logits")
        soft = graph.tensor(shape, "float32", "log-softmax of the logits", part="logits")
        graph.drop(soft)
        if upper is not logits:
            graph.drop(upper)
    graph.drop(*cached)
    if setting.autocast:
        graph.drop(graph.tensor(shape, "float32", "logits returned in fp32", part="logits"))
    graph.drop(logits, last)


def generate(plan: Plan, tape: Tape, generation: Generation) -> None:
    """Completions by transformers' `generate`: the prompts at once, then token by token over a cache of keys and values.

    The cache of a layer is copied whole for each token (transformers 5.17, cache_utils.py, DynamicLayer.update: `cat`). With
    checkpointing on there is none (modeling_layers.py, GradientCheckpointingLayer), and each token takes all before it again.
    Inputs are prepared outside of the autocast region (trainer.py, training_step).
    """
    a = plan.architecture
    own = replace(plan.setting, batch=generation.rows, length=generation.prompt, autocast=None)
    if plan.checkpointing:
        whole_rows = replace(own, length=generation.prompt + generation.completion - 1)
        phase, tape.phase = tape.phase, "generation"
        forward(replace(plan, setting=whole_rows), tape, CLASSIFIER)
        tape.phase = phase
        return
    compute = plan.setting.autocast or plan.setting.weight
    width, layers = a.num_key_value_heads * a.head_dim * BYTES[compute], a.num_hidden_layers
    phase, tape.phase = tape.phase, "generation"
    what = "keys and values kept for generation"
    first = tape.allocate(generation.rows * generation.prompt * width, "activations", what, dtype=compute, count=2 * layers)
    prompts = replace(plan, setting=own)
    forward(prompts, tape, CLASSIFIER)
    tape.free(first)
    length = generation.prompt + generation.completion
    whole = tape.allocate(generation.rows * length * width, "activations", what, dtype=compute, count=2 * layers + 1)
    logits = generation.rows * a.vocab_size * 4
    tape.free(tape.allocate(logits, "logits", "logits of the next token in fp32", count=4))
    tape.free(whole)
    tape.phase = phase
