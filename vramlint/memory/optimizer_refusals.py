"""Optimizers with no number: those that there are not on this machine, and settings with which theirs does not start."""

from __future__ import annotations

from vramlint.catalog import Architecture
from vramlint.memory.estimate import NoEstimate
from vramlint.memory.optimizers import ELSEWHERE, OPTIMIZERS
from vramlint.run import Run


def optimizer_refused(run: Run, a: Architecture) -> NoEstimate | None:
    """Why there is no number for the run's optimizer, or None."""
    optim = run.optim
    if optim not in OPTIMIZERS:
        return NoEstimate(f"the optimizer {optim} {ELSEWHERE.get(optim, 'is not simulated yet')}", ("optim",))
    if optim.startswith(("galore", "apollo")) and run.optim_target_modules is None:
        return NoEstimate(f"{optim} does not start without optim_target_modules", ("optim_target_modules",))
    if optim == "galore_adafactor_layerwise":
        return NoEstimate(f"{optim} does not start: it sets relative_step beside a learning rate", ("optim",))
    if OPTIMIZERS[optim].layerwise and run.gradient_accumulation_steps > 1:
        return NoEstimate(f"{optim} does not start with gradient accumulation", ("gradient_accumulation_steps",))
    dtype = (a.dtype or "bfloat16") if run.dtype == "auto" else run.dtype
    if optim.startswith("rmsprop_bnb") and not run.use_peft and dtype == "bfloat16":
        return NoEstimate(f"{optim} fails: bitsandbytes has no kernel for bfloat16 with 32-bit states", ("optim",))
    return None
