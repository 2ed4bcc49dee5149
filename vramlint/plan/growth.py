"""The search reversed: what spare memory would buy, doubling one thing at a time."""

from __future__ import annotations

from collections.abc import Iterator

from vramlint.dataclass import dataclass
from vramlint.findings import Outcome
from vramlint.plan.search import OutcomeOf
from vramlint.run import Change, Run

MOST_DOUBLINGS = 8


@dataclass(frozen=True, slots=True)
class Growth:
    """The largest doubling of one thing that still fits, and what the run then takes."""

    title: str
    changes: tuple[Change, ...]
    outcome: Outcome


def growth(run: Run, outcome_of: OutcomeOf, *, longest: int | None = None) -> list[Growth]:
    """How far batch (accumulation less by as much, as long as it divides), sequence and LoRA rank can be doubled.

    `longest` is the number of positions that the model has.
    """
    found = []
    for steps in (_batches(run), _lengths(run, longest), _ranks(run)):
        best = None
        for title, changes in steps:
            if any(change.key in run.unknown for change in changes):
                break
            outcome = outcome_of(changes)
            if outcome is None or outcome.verdict != "fits":
                break
            best = Growth(title, changes, outcome)
        if best is not None:
            found.append(best)
    return found


def _batches(run: Run) -> Iterator[tuple[str, tuple[Change, ...]]]:
    batch, accumulation = run.per_device_train_batch_size, run.gradient_accumulation_steps
    for _ in range(MOST_DOUBLINGS):
        batch *= 2
        if accumulation % 2 == 0:
            accumulation //= 2
            title = f"batch {batch}, accumulation {accumulation} (the same effective batch)"
        else:
            title = f"batch {batch} (an effective batch of {batch * accumulation})"
        yield title, (Change("per_device_train_batch_size", batch), Change("gradient_accumulation_steps", accumulation))


def _lengths(run: Run, longest: int | None) -> Iterator[tuple[str, tuple[Change, ...]]]:
    length = run.max_length or 0
    for _ in range(MOST_DOUBLINGS if length else 0):
        length *= 2
        if longest is not None and length > longest:
            return
        yield f"sequences of {length} tokens", (Change("max_length", length),)


def _ranks(run: Run) -> Iterator[tuple[str, tuple[Change, ...]]]:
    rank, alpha = run.lora_r, run.lora_alpha
    while run.use_peft and rank < 256:  # beyond, full training is cheaper
        rank, alpha = rank * 2, alpha * 2
        yield f"LoRA rank {rank}, alpha {alpha:g}", (Change("lora_r", rank), Change("lora_alpha", alpha))
