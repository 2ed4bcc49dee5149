"""One case measured under a framework's own loop: set up, train, and what the allocator says."""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

LIBRARIES = ("torch", "torchao", "torchtune", "litgpt", "lightning", "bitsandbytes", "transformers", "peft", "liger-kernel")


class Marks:
    """Notes what is allocated around each optimizer step, and the peak of each part."""

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


def once(
    case: Mapping[str, Any], fraction: float | None = None, ready: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """The measurements of one run in bytes, as `lab.once.once` gives them.

    A launcher's `prepare(case)` gives the function that trains, the model, and the framework's version.
    """
    started = time.time()
    if fraction:
        torch.cuda.set_per_process_memory_fraction(fraction)
    if torch.cuda.get_device_name(0) == "Phantom GPU":
        torch.backends.cudnn.enabled = False  # convolutions would call a stub
    torch.manual_seed(42)
    launcher = importlib.import_module(f"lab.frameworks.{case['framework']}")
    train, model, version = launcher.prepare(case)
    gc.collect()
    torch.cuda.empty_cache()
    static = torch.cuda.memory_allocated()
    marks = Marks()
    register_optimizer_step_pre_hook(lambda *_: marks.mark("after_backward", "forward_backward"))
    register_optimizer_step_post_hook(lambda *_: marks.mark("after_optimizer", "optimizer"))
    torch.cuda.reset_peak_memory_stats()
    ready()
    train()
    marks.mark("", "end")
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
        "versions": versions() | {str(case["framework"]): version},
        "seconds": round(time.time() - started, 1),
    }


def versions() -> dict[str, str]:
    """Library → version, of those installed that decide memory."""
    there = {str(each.name).lower().replace("_", "-") for each in importlib.metadata.distributions()}
    return {name: importlib.metadata.version(name) for name in LIBRARIES if name in there}
