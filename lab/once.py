"""One case measured in this process: load, train, and what the allocator says."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
import transformers

from lab import phantom_answers, sharding
from lab.loading import adapt, build
from lab.marks import Marks
from lab.trainers import make_trainer


class StepMarks(Marks, transformers.TrainerCallback):  # type: ignore[misc]  # transformers ships no types
    """Those that a trainer makes."""

    def on_step_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Before a step's first forward pass."""
        self.mark(f"before_step_{state.global_step}", "between_steps" if state.global_step else "start")

    def on_pre_optimizer_step(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """After the last backward pass and gradient clipping."""
        self.mark("after_backward", f"forward_backward_{state.global_step}")

    def on_optimizer_step(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """After the optimizer's step."""
        self.mark("after_optimizer", f"optimizer_{state.global_step}")


def once(
    case: Mapping[str, Any], fraction: float | None = None, ready: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """The measurements of one run in bytes.

    `fraction` of the card's memory is all that the allocator may take. `ready` is called when everything is loaded and
    training is about to begin. Raises whatever the run raises, torch.OutOfMemoryError among it.
    """
    started = time.time()
    if fraction:
        torch.cuda.set_per_process_memory_fraction(fraction)
    if torch.cuda.get_device_name(0) == "Phantom GPU":
        phantom_answers.give(case)
        torch.backends.cudnn.enabled = False  # convolutions would call a stub
    sharding.start(case)
    transformers.set_seed(42)
    model = adapt(build(case), case)
    if case["cut_cross_entropy"]:
        from cut_cross_entropy.transformers import cce_patch

        cce_patch(model.get_base_model() if hasattr(model, "get_base_model") else model)
    gc.collect()
    torch.cuda.empty_cache()
    static = torch.cuda.memory_allocated()
    trainer = make_trainer(model, case)
    marks = StepMarks()
    trainer.add_callback(marks)
    torch.cuda.reset_peak_memory_stats()
    ready()
    trainer.train()
    return marks.measurements(trainer.model, static=static, started=started)
