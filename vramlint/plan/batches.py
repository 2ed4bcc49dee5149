"""The largest micro batch that fits with the effective batch kept."""

from __future__ import annotations

from vramlint.dataclass import dataclass
from vramlint.findings import Outcome
from vramlint.plan.moves import least_batch
from vramlint.plan.search import OutcomeOf
from vramlint.run import Change, Run

MOST = 1 << 16


@dataclass(frozen=True, slots=True)
class Batch:
    """A micro batch, the accumulation that keeps the effective batch, and what the run takes so."""

    micro_batch: int
    accumulation: int
    outcome: Outcome


def largest_batch(run: Run, outcome_of: OutcomeOf) -> Batch | None:
    """The largest divisor of the effective batch that fits as micro batch; None if not even the least does, or it is unknown."""
    if {"per_device_train_batch_size", "gradient_accumulation_steps"} & run.unknown.keys():
        return None
    effective = run.per_device_train_batch_size * run.gradient_accumulation_steps
    if not 0 < effective <= MOST:
        return None
    sizes = [size for size in range(least_batch(run), effective + 1) if effective % size == 0]
    low, high, best = 0, len(sizes) - 1, None
    while low <= high:
        middle = (low + high) // 2
        size = sizes[middle]
        changes = (
            Change("per_device_train_batch_size", size), Change("gradient_accumulation_steps", effective // size),
        )
        outcome = outcome_of(changes)
        if outcome is not None and outcome.verdict == "fits":
            best, low = Batch(size, effective // size, outcome), middle + 1
        else:
            high = middle - 1
    return best
