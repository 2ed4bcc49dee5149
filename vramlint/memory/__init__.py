"""A training step, simulated: `Run` + `Architecture` + kernel facts → `Estimate`. Knows no files and no rules."""

from vramlint.memory.estimate import Assumption, Band, Estimate, NoEstimate, Parts, Peak, Tensor

__all__ = ["Assumption", "Band", "Estimate", "NoEstimate", "Parts", "Peak", "Tensor"]
