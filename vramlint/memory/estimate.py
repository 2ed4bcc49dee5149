"""What the simulation of a training step gives: bytes, bands, parts, and the moment of the peak."""

from __future__ import annotations

from vramlint.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Band:
    """Bytes: the simulation's own figure is `typical`; the truth is expected between `low` and `high`."""

    low: int
    typical: int
    high: int


@dataclass(frozen=True, slots=True)
class Parts:
    """Bytes by what they are for at the peak; they add up to `allocated.typical`."""

    weights: int
    adapters: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    workspace: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """One kind of tensor alive at the peak: what it is in words, shape and dtype of one, how many, bytes in all."""

    what: str
    shape: tuple[int, ...]
    dtype: str
    count: int
    size: int
    part: str


@dataclass(frozen=True, slots=True)
class Peak:
    """The fullest moment. `next_phase` and `next_allocated`: the peak that would remain if this moment were mended.

    `phases` has the peak of each phase of the step, in bytes.
    """

    phase: str
    parts: Parts
    tensors: tuple[Tensor, ...] = ()
    next_phase: str | None = None
    next_allocated: int | None = None
    phases: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Assumption:
    """A value that was taken for granted, and why; the number rests on it."""

    key: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """The memory of one run on one kind of card, in bytes; DESIGN's table says what each figure compares with."""

    allocated: Band
    required: Band
    context: Band
    device: Band
    peak: Peak
    trainable_parameters: int
    total_parameters: int
    kernels: str
    assumptions: tuple[Assumption, ...] = ()
    narrowest_adapted: int | None = None
    """The least of the inputs and outputs of the linear layers that LoRA is on: a greater rank adds nothing."""


@dataclass(frozen=True, slots=True)
class NoEstimate:
    """Why there is no number, and which keys would give one."""

    why: str
    keys: tuple[str, ...] = ()
