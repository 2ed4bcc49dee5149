"""What each trainer runs in one micro step: on how many rows, which forward passes, which loss."""

from __future__ import annotations

from math import ceil

from vramlint.catalog import Architecture
from vramlint.dataclass import dataclass, replace
from vramlint.memory.parameters import Weight
from vramlint.run import Run

POLICY, REFERENCE = "policy", "reference"
FUSED, FULL, LIGER, CLASSIFIER, IN_PLACE, SMOOTHED, CUT = "trl", "full", "liger", "classifier", "in place", "smoothed", "cut"
"""How the loss is computed: TRL's fused head, the logits in full, Liger's chunks, a classifier's one logit, Liger's loss over
the logits in full, whose gradient takes their place, the Trainer's own with smoothed labels, cut cross entropy."""


@dataclass(frozen=True, slots=True)
class Generation:
    """Completions written by the model that is trained: how many rows at once, tokens of a prompt and of a completion."""

    rows: int
    prompt: int
    completion: int


@dataclass(frozen=True, slots=True)
class Course:
    """One micro step of a trainer.

    `rows`: sequences in it for each that the config counts. `unscored`: tokens at the front of a row that the fused head
    leaves out. `before` and `between`: forward passes without gradients ahead of the one that is trained on, and between
    its forward and its backward, each by the policy or the reference. `held_copy`: the reference is a second model on the card.
    """

    rows: int = 1
    unscored: int = 0
    before: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    held_copy: bool = False
    generation: Generation | None = None
    drops_nothing: bool = False
    """Whether the trainer turns dropout off (`disable_dropout`, TRL's default but for GRPO)."""


CUT_CROSS_ENTROPY = "cut_cross_entropy"
"""The `loss_type` of a run whose model is patched to compute its loss so."""
WHOLE = Course()
TRAINERS = ("transformers", "trl-sft", "trl-dpo", "trl-kto", "trl-reward", "trl-grpo")
CLASSIFYING = ("trl-reward",)
SCORING = ("trl-dpo", "trl-kto", "trl-grpo")
"""Trainers that score completions with TRL's fused head."""
PREFERENCE = ("trl-dpo", "trl-kto")


def classifies(run: Run) -> bool:
    """Whether a classifier of whole rows is trained instead of the vocabulary's head."""
    return run.trainer in CLASSIFYING or run.task == "seq-cls"


def smooths(run: Run) -> bool:
    """Whether the loss is the Trainer's own with smoothed labels, on the logits in full."""
    of_sft = run.trainer == "trl-sft" and run.loss_type in (None, "nll")
    return bool(run.label_smoothing_factor) and (run.trainer == "transformers" or of_sft)


def course_of(run: Run) -> Course:
    """The order of passes, after TRL 1.16 (trainer/*_trainer.py, `_compute_loss` and what it calls)."""
    if run.trainer == "trl-sft" and smooths(run) and not run.stack:  # a second pass, through the fused head, for the metrics
        return Course(between=(POLICY,))
    made = {"trl-dpo": _dpo, "trl-kto": _kto, "trl-reward": _reward, "trl-grpo": _grpo}.get(run.trainer)
    return made(run) if made else WHOLE


def unscored_of(run: Run) -> int:
    """Tokens of a row that are prompt: as stated, else half of it where a trainer compares completions."""
    length = run.max_length or 0
    if run.trainer == "trl-grpo":
        return max(0, length - _completion(run))
    if run.max_prompt_length is not None:
        return min(run.max_prompt_length, length - 1)
    return length // 2


def _dpo(run: Run) -> Course:
    """Chosen and rejected rows in one batch; the reference's pass comes while the policy's graph is there."""
    between = () if run.precompute_ref_log_probs else (REFERENCE,)
    return Course(2, unscored_of(run), (), between, bool(run.reference_model), None, drops_nothing=True)


def _kto(run: Run) -> Course:
    """A batch with its completions shuffled goes first, for the KL term (`_compute_kl_logps`), and again for the reference."""
    shuffled = run.loss_type in (None, "kto")
    before = (POLICY,) if shuffled else ()
    between = () if run.precompute_ref_log_probs else (REFERENCE,) * (2 if shuffled else 1)
    return Course(1, unscored_of(run), before, between, bool(run.reference_model), None, drops_nothing=True)


def _reward(_run: Run) -> Course:
    """Chosen and rejected rows in one batch through a classifier of one label."""
    return Course(rows=2, drops_nothing=True)


def _grpo(run: Run) -> Course:
    """Completions for several micro batches at once, then their log-probabilities micro batch by micro batch."""
    accumulated = max(1, run.gradient_accumulation_steps)
    each = run.steps_per_generation or accumulated
    batch = run.per_device_train_batch_size
    if run.generation_batch_size:
        each = max(1, ceil(run.generation_batch_size / batch))
    unscored = unscored_of(run)
    old = (POLICY,) if accumulated % (each * run.num_iterations) else ()
    reference = (REFERENCE,) if run.beta else ()
    generation = Generation(batch * each, max(1, unscored), _completion(run))
    return Course(1, unscored, old + reference, (), bool(run.reference_model) and bool(run.beta), generation)


def _completion(run: Run) -> int:
    return min(run.max_completion_length or 512, run.max_length or 512)


def weights_of(run: Run, architecture: Architecture, course: Course, base: tuple[Weight, ...]) -> tuple[Weight, ...]:
    """The model's parameters with what the trainer has besides: a classifier's head instead of its own, a reference.

    The reference of a model that brings its adapters along is a copy of these, in fp32 (trl 1.16, `add_adapter("ref", …)`).
    """
    weights = base
    if classifies(run):
        weights = tuple(weight for weight in weights if weight.name not in ("head", "head bias"))
        dtype = next(weight.dtype for weight in base if weight.name == "embedding")
        labels = 1 if run.trainer in CLASSIFYING else run.num_labels
        weights += (Weight("score", (labels, architecture.hidden_size), dtype, trained=True),)
    if not course.held_copy:
        return weights
    if run.use_peft:
        saved = {"embedding", "head"}  # those of `modules_to_save`, copied as they were loaded
        loaded = next(weight.dtype for weight in weights if weight.name in ("original embedding", "embedding"))
        return weights + tuple(
            replace(
                weight, name=f"reference {weight.name}", trained=False, dtype=loaded if weight.name in saved else "float32",
            )
            for weight in weights if weight.role == "adapters"
        )
    return weights + tuple(replace(weight, name=f"reference {weight.name}", trained=False) for weight in weights)


def without_dropout(architecture: Architecture) -> Architecture:
    """The model after TRL's `disable_dropout_in_model`, which sets dropout layers to 0 and not what a config says in calls."""
    a = architecture
    if a.model_type == "opt":  # calls torch's function with its own share
        return a
    functional = a.attention_dropout if a.model_type != "gpt2" else 0.0
    extra = {key: value for key, value in a.extra.items() if key != "embd_pdrop"}
    return replace(a, attention_dropout=functional, hidden_dropout=0.0, extra=extra)
