"""One case measured in this process: load, train, and what the allocator says."""

from __future__ import annotations

import gc
import importlib.metadata
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
import transformers

from lab import phantom_answers, sharding
from lab.loading import adapt, build
from lab.trainers import make_trainer

LIBRARIES = (
    "torch",
    "transformers",
    "peft",
    "trl",
    "bitsandbytes",
    "liger-kernel",
    "accelerate",
    "deepspeed",
    "torchao",
    "galore-torch",
    "apollo-torch",
    "lomo-optim",
    "grokadamw",
    "schedulefree",
    "torch-optimi",
)


def versions() -> dict[str, str]:
    """Library → version, of those installed that decide memory."""
    there = {str(each.name).lower().replace("_", "-") for each in importlib.metadata.distributions()}
    return {name: importlib.metadata.version(name) for name in LIBRARIES if name in there}


class Marks(transformers.TrainerCallback):  # type: ignore[misc]  # transformers ships no types
    """Notes what is allocated between the parts of a step, and the peak of each part."""

    def __init__(self) -> None:
        self.at: dict[str, int] = {}
        self.peaks: dict[str, int] = {}
        self.peak_allocated = 0
        self.peak_reserved = 0

    def mark(self, name: str, ended: str) -> None:
        """Note what is allocated now, and the peak since the last mark."""
        if name:
            self.at.setdefault(name, torch.cuda.memory_allocated())
        peak = torch.cuda.max_memory_allocated()
        self.peaks[ended] = max(peak, self.peaks.get(ended, 0))
        self.peak_allocated = max(peak, self.peak_allocated)
        self.peak_reserved = max(torch.cuda.max_memory_reserved(), self.peak_reserved)
        torch.cuda.reset_peak_memory_stats()

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
    gc.collect()
    torch.cuda.empty_cache()
    static = torch.cuda.memory_allocated()
    trainer = make_trainer(model, case)
    marks = Marks()
    trainer.add_callback(marks)
    torch.cuda.reset_peak_memory_stats()
    ready()
    trainer.train()
    marks.mark("", "end")
    model = trainer.model
    return {
        "static": static,
        **marks.at,
        "peaks": marks.peaks,
        "peak_allocated": marks.peak_allocated,
        "peak_reserved": marks.peak_reserved,
        "retries": torch.cuda.memory_stats()["num_alloc_retries"],
        "stored_elements": sum(p.numel() for p in model.parameters()),
        "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "device": torch.cuda.get_device_name(0),
        "device_bytes": torch.cuda.get_device_properties(0).total_memory,
        "capability": "{}.{}".format(*torch.cuda.get_device_capability()),
        "versions": versions(),
        "seconds": round(time.time() - started, 1),
    }
