"""What the allocator says of a run in this process: noted between the parts of a step, and summed up at its end."""

from __future__ import annotations

import importlib.metadata
import time
from typing import Any

import torch

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
    "torchtune",
    "litgpt",
    "lightning",
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


class Marks:
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

    def measurements(self, model: Any, *, static: int, started: float) -> dict[str, Any]:
        """The run's figures in bytes, once it has ended; `static` is what was allocated before it, `started` when it began."""
        self.mark("", "end")
        return {
            "static": static,
            **self.at,
            "peaks": self.peaks,
            "peak_allocated": self.peak_allocated,
            "peak_reserved": self.peak_reserved,
            "retries": torch.cuda.memory_stats()["num_alloc_retries"],
            "stored_elements": sum(p.numel() for p in model.parameters()),
            "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "device": torch.cuda.get_device_name(0),
            "device_bytes": torch.cuda.get_device_properties(0).total_memory,
            "capability": "{}.{}".format(*torch.cuda.get_device_capability()),
            "versions": versions(),
            "seconds": round(time.time() - started, 1),
        }
