"""The head and the loss: the logits in full with their fp32 copies, or a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable

from vramlint.dataclass import replace
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.dtypes import BYTES, promoted
from vramlint.memory.linear import with_lora
from vramlint.memory.operations import Setting
from vramlint.memory.parameters import Projection

Leave = Callable[[], None]
"""Called where the forward pass leaves the autocast region, which drops the weight casts that it kept."""
TRL_TOKENS = 4096
TRL_VOCABULARY = 32768
"""The tile of TRL's fused head (trl 1.16): TOKEN_CHUNK_SIZE of kernels/chunked_logprob.py and _CHUNKED_LOGPROB_CHUNK_SIZE
of trainer/utils.py."""


def _logits_of(
    graph: Graph, setting: Setting, hidden: Tensor, vocabulary: int, head: str, trained: bool, softcap: bool, adapted: bool,
) -> tuple[Tensor, Tensor | None]:
    """The logits of all tokens, and the head's weight where it is cast for them; `hidden` stays the caller's."""
    width = hidden.shape[-1]
    compute = setting.autocast or promoted(hidden.dtype, head)
    shape = (setting.batch, setting.length, vocabulary)
    weight = None
    if head != compute:
        weight = graph.tensor((vocabulary, width), compute, "head's weight in the compute dtype", part="logits", needs_grad=False)
    source = hidden
    if hidden.dtype != compute:
        source = graph.tensor(hidden.shape, compute, "input of the head")
        graph.record(source, (hidden,))
    logits = graph.tensor(shape, compute, "logits", part="logits")
    size = vocabulary * width
    weights = (("head", size * BYTES[compute], size * BYTES[head], 1),) if trained else ()
    saved = [tensor for tensor, needed in ((source, trained), (weight, True)) if tensor is not None and needed]
    graph.record(logits, (source,), saved=tuple(saved), weights=weights, weights_first=True)
    if source is not hidden:
        graph.drop(source)
    if adapted:
        projection = Projection("lm_head", width, vocabulary, bias=False, adapted=True, plain=True)
        logits = with_lora(graph, replace(setting, bits=0), hidden, logits, projection, "head", 0)
    if softcap:
        curve = graph.tensor(shape, compute, "tanh of the logits", part="logits")
        graph.record(curve, (logits,), saved=(curve,))
        graph.drop(logits)
        logits = graph.tensor(shape, compute, "logits after soft-capping", part="logits")
        graph.record(logits, (curve,))
        graph.drop(curve)
    return logits, weight


def _stands_for(graph: Graph, logits: Tensor) -> Tensor:
    """Nothing, in the place of the logits in the graph: their gradient is there, and they themselves go."""
    output = Tensor(None, logits.shape, logits.dtype, True)
    output.needs_grad = logits.needs_grad
    for operation in graph.operations:
        if operation.output is logits:
            operation.output = output
    if logits.refs:
        graph.drop(logits)
    return output


def loss_in_full(
    graph: Graph, setting: Setting, hidden: Tensor, vocabulary: int, head: str, trained: bool, softcap: bool,
    leave: Leave, *, adapted: bool = False, in_place: bool = False, returned: list[Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """`ForCausalLMLoss` of transformers 5.17: (the logits as the graph knows them, their gradient).

    Takes over `hidden`. Plays logits → fp32 → log-softmax, then the loss's own backward. `adapted`: LoRA is on the head.
    `in_place`: Liger's kernel, which writes the gradient over the logits in fp32 (liger-kernel 0.8.5, ops/cross_entropy.py).
    `returned` takes the logits, where the loop holds them.
    """
    logits, weight = _logits_of(graph, setting, hidden, vocabulary, head, trained, softcap, adapted)
    if returned is not None:
        returned.append(graph.hold(logits))
    compute, shape = logits.dtype, logits.shape
    own = "loss-in-own-dtype" in setting.facts
    loss_dtype = "float32" if setting.autocast or not own else compute
    shifts = own or "shifted-logits-copied" in setting.facts
    shifted: list[Tensor] = []
    if own:
        shifted = _shifted(graph, setting, shape, compute)
    upper = logits if compute == loss_dtype else graph.tensor(
        shape, loss_dtype, "logits in fp32", part="logits", needs_grad=False,
    )
    if upper is not logits and "logits-upcast-in-model" in setting.facts:
        graph.drop(logits)
    if shifts and not own:
        shifted = _shifted(graph, setting, shape, loss_dtype)
    if in_place:
        soft = graph.hold(shifted[0] if shifted else upper)
    else:
        soft = graph.tensor(shape, loss_dtype, "log-softmax of the logits", part="logits", needs_grad=False)
    graph.drop(*shifted)
    if upper is not logits:
        graph.drop(upper)
    graph.drop(hidden)
    leave()
    if weight is not None:
        graph.drop(weight)
    copy = None
    if setting.autocast:
        copy = graph.tensor(shape, "float32", "logits returned in fp32", part="logits", needs_grad=False)
    phase, graph.tape.phase = graph.tape.phase, "backward of the loss"
    output = _stands_for(graph, logits)
    if copy is not None:
        graph.drop(copy)
    if in_place:
        gradient = soft
    else:
        first = graph.tensor(shape, loss_dtype, "gradient of the log-softmax", part="logits", needs_grad=False)
        gradient = graph.tensor(shape, loss_dtype, "gradient of the logits in fp32", part="logits", needs_grad=False)
        graph.drop(first, soft)
    lowered = [compute] if compute != loss_dtype else []
    whole = [compute if own else loss_dtype] if shifts else []  # the slice gives a gradient of the whole again
    for dtype in [*lowered, *whole] if own else [*whole, *lowered]:
        lower = graph.tensor(shape, dtype, "gradient of the logits", part="logits", needs_grad=False)
        graph.drop(gradient)
        gradient = lower
    graph.tape.phase = phase
    return output, gradient


def loss_smoothed(
    graph: Graph, setting: Setting, hidden: Tensor, vocabulary: int, head: str, trained: bool, softcap: bool, leave: Leave,
    *, adapted: bool = False, between: Leave | None = None,
) -> tuple[Tensor, Tensor]:
    """The Trainer's loss with smoothed labels (transformers 5.17, trainer_pt_utils.py, LabelSmoother), outside of the model.

    Takes over `hidden`; gives what `loss_in_full` gives. The logits come out of the autocast region in fp32. `between`: what
    runs before the backward (trl 1.16, sft_trainer.py, compute_loss: the model once more), while the log-probabilities are there.
    """
    logits, weight = _logits_of(graph, setting, hidden, vocabulary, head, trained, softcap, adapted)
    compute, shape = logits.dtype, logits.shape
    graph.drop(hidden)
    leave()
    if weight is not None:
        graph.drop(weight)
    dtype = "float32" if setting.autocast else compute
    returned = graph.hold(logits) if dtype == compute else graph.tensor(
        shape, dtype, "logits returned in fp32", part="logits", needs_grad=False,
    )
    output = _stands_for(graph, logits)
    shifted = _shifted(graph, setting, shape, dtype)
    soft = graph.tensor(shape, dtype, "log-softmax of the logits", part="logits", needs_grad=False)
    negative = graph.tensor(shape, dtype, "log-probabilities", part="logits", needs_grad=False)
    graph.drop(*shifted, returned)
    if between is not None:
        between()
    if dtype == "float32":  # elsewhere its sum, in fp32, keeps it (measured)
        graph.drop(negative)
    phase, graph.tape.phase = graph.tape.phase, "backward of the loss"
    gradient = graph.tensor(shape, dtype, "gradient of the log-probabilities", part="logits", needs_grad=False)
    for what in ("gradient of the log-softmax", "gradient of the logits"):
        made = graph.tensor(shape, dtype, what, part="logits", needs_grad=False)
        graph.drop(gradient)
        gradient = made
    graph.drop(soft, *([negative] if dtype != "float32" else []))
    for lower in (dtype, compute) if compute != dtype else (dtype,):  # of all tokens again, then in the compute dtype
        made = graph.tensor(shape, lower, "gradient of the logits", part="logits", needs_grad=False)
        graph.drop(gradient)
        gradient = made
    graph.tape.phase = phase
    return output, gradient


def _shifted(graph: Graph, setting: Setting, shape: tuple[int, ...], dtype: str) -> list[Tensor]:
    """The copy that `logits[..., :-1, :].contiguous()` makes: none of a batch of one, which is contiguous as it is."""
    if setting.batch == 1:
        return []
    return [graph.tensor(shape, dtype, "logits less the last token", part="logits", needs_grad=False)]


def loss_in_chunks(
    graph: Graph, setting: Setting, hidden: Tensor, vocabulary: int, head: str, trained: bool, leave: Leave,
) -> Tensor:
    """Liger's fused loss: logits of some tokens at a time; gives the gradient of `hidden`.

    After liger-kernel 0.8.5, ops/fused_linear_cross_entropy.py. The head's gradient is added to in place, but below compute
    capability 8.0, in another dtype than the logits', and in earlier versions: there each chunk's is made first, and its
    fp32 copy.
    """
    width = hidden.shape[-1]
    compute = setting.autocast or promoted(hidden.dtype, head)
    tokens = min(setting.tokens, max(1, _power_of_two(-(-setting.tokens // -(-vocabulary // width)))))
    graph.tape.phase = "fused loss"
    gradient = graph.tensor(hidden.shape, hidden.dtype, "gradient of the last hidden states", needs_grad=False)
    # A trained head is cast twice: `weight` stays in autocast's cache, and `weight.t()` is a view, which that does not take.
    casts = 0 if head == compute else 2 if trained and tokens < setting.tokens else 1
    lowered = [
        graph.tensor((vocabulary, width), compute, "head's weight in the compute dtype", part="logits", needs_grad=False)
        for _ in range(casts)
    ]
    if trained:
        kept = vocabulary * width * BYTES[head]
        graph.gradients["head"] = graph.tape.allocate(kept, "gradients", "gradient of the head", (vocabulary, width), head)
    chunk = graph.tensor((tokens, vocabulary), compute, "logits of one chunk", part="logits", needs_grad=False)
    in_place = setting.capability >= (8, 0) and compute != "float32" and (head in ("float32", compute))
    if trained and not (in_place and "liger-head-apart" not in setting.facts):
        shape = (vocabulary, width)
        product = graph.tensor(shape, compute, "head's gradient of one chunk", part="gradients", needs_grad=False)
        if compute != "float32":
            upper = graph.tensor(shape, "float32", "head's gradient of one chunk in fp32", part="gradients", needs_grad=False)
            graph.drop(upper)
        graph.drop(product)
    graph.drop(chunk, *lowered)
    leave()
    return gradient


def loss_of_trl(
    graph: Graph, setting: Setting, hidden: Tensor, vocabulary: int, head: str, trained: bool, leave: Leave,
) -> Tensor:
    """TRL 1.16's fused head (kernels/chunked_logprob.py, ChunkedLogProbFunction): tiles of 4096 tokens by some of the vocabulary.

    Its gradients are collected in fp32 and cast at the end. Gives the gradient of `hidden`.
    """
    width = hidden.shape[-1]
    compute = setting.autocast or promoted(hidden.dtype, head)
    tokens = min(setting.tokens, TRL_TOKENS)
    graph.tape.phase = "fused loss"
    picked = graph.tensor((setting.tokens, width), hidden.dtype, "last hidden states of the scored tokens", needs_grad=False)
    graph.drop(*_trl_tile(graph, tokens, (vocabulary, width), hidden.dtype, compute, head))
    leave()
    graph.tape.phase = "backward of the fused loss"
    collected = graph.tensor((setting.tokens, width), "float32", "gradient of the last hidden states in fp32", needs_grad=False)
    weight = None
    if trained:
        weight = graph.tensor((vocabulary, width), "float32", "gradient of the head in fp32", part="gradients", needs_grad=False)
    tile = _trl_tile(graph, tokens, (vocabulary, width), hidden.dtype, compute, head)
    lowered = collected
    if hidden.dtype != "float32":
        lowered = graph.tensor((setting.tokens, width), hidden.dtype, "gradient of the last hidden states", needs_grad=False)
        graph.drop(collected)
    if trained:
        kept = vocabulary * width * BYTES[head]
        if head == "float32" and weight is not None and weight.block is not None:
            graph.gradients["head"] = weight.block
        else:
            graph.gradients["head"] = graph.tape.allocate(kept, "gradients", "gradient of the head", (vocabulary, width), head)
            graph.drop(*([weight] if weight is not None else []))
    graph.drop(*tile)
    gradient = graph.tensor(hidden.shape, hidden.dtype, "gradient of the last hidden states", needs_grad=False)
    graph.drop(picked, lowered)
    return gradient


def _trl_tile(graph: Graph, tokens: int, shape: tuple[int, int], dtype: str, compute: str, head: str) -> list[Tensor]:
    """What one tile of TRL's fused head takes: its logits, and what has to be cast: its tokens, two pieces of the head."""
    vocabulary, width = shape
    first = min(vocabulary, TRL_VOCABULARY)
    # One buffer of the whole tile, however small the vocabulary is.
    made = [graph.tensor((tokens, TRL_VOCABULARY), compute, "logits of one tile", part="logits", needs_grad=False)]
    if dtype != compute:
        made.append(graph.tensor((tokens, width), compute, "hidden states of one tile", needs_grad=False))
    if head != compute:
        piece = "piece of the head in the compute dtype"  # the next is made before the last goes
        sizes = (first, min(vocabulary - first, TRL_VOCABULARY))
        made += [graph.tensor((size, width), compute, piece, part="logits", needs_grad=False) for size in sizes if size]
    return made


def _power_of_two(number: int) -> int:
    return 1 << max(0, number - 1).bit_length()
