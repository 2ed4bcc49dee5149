"""One case measured under a framework's own loop: set up, train, and what the allocator says."""

from __future__ import annotations

import gc
import importlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from lab.marks import Marks


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
    measured = marks.measurements(model, static=static, started=started)
    return measured | {"versions": measured["versions"] | {str(case["framework"]): version}}
