"""Evaluation after a step: the eval batch forward, with the optimizer's state on the card and no gradients."""

from __future__ import annotations

from vramlint.dataclass import replace
from vramlint.memory.encoders import step as encoders
from vramlint.memory.forward_only import forward
from vramlint.memory.step_plan import Plan
from vramlint.memory.tape import Tape
from vramlint.memory.trainers import CLASSIFIER, FULL, FUSED, IN_PLACE, LIGER, SCORING, SMOOTHED, classifies
from vramlint.run import Run


def evaluates(run: Run) -> bool:
    """Whether the run evaluates while it trains."""
    return run.eval_strategy != "no"


def evaluation_loss(run: Run, loss: str) -> str:
    """How evaluation computes its loss, where training computes it as `loss`.

    Liger's fused loss keeps the logits out only while training (liger-kernel 0.6, transformers/model/llama.py, skip_logits).
    """
    if classifies(run):
        return CLASSIFIER
    if run.trainer in SCORING:
        return FUSED
    return FULL if loss in (LIGER, IN_PLACE, SMOOTHED) else loss


def evaluate(plan: Plan, tape: Tape, batch: int, length: int, loss: str) -> None:
    """One eval batch of `batch` rows as the model sees them; one is like another, for only their losses are kept.

    `Trainer.evaluate` asks for the loss only where there is no `compute_metrics` (transformers 5.17, trainer.py), which no
    config file can state.
    """
    tape.phase = "evaluation"
    setting = replace(plan.setting, batch=batch, length=length, dropout=0.0, dora=plan.setting.dora and "plain")
    if plan.encoder is not None:
        encoders.forward(replace(plan, setting=setting), plan.encoder, tape)
        return
    quiet = replace(plan.architecture, attention_dropout=0.0, hidden_dropout=0.0)
    forward(replace(plan, setting=setting, architecture=quiet), tape, loss)
