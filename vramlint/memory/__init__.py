"""A training step, simulated: `Run` + `Architecture` + kernel facts → `Estimate`. Knows no files and no rules."""

from vramlint.memory.estimate import Assumption, Band, Estimate, NoEstimate, Parts, Peak, Tensor
from vramlint.memory.refusals import unsimulated_trainer
from vramlint.memory.simulate import estimate

__all__ = ["Assumption", "Band", "Estimate", "NoEstimate", "Parts", "Peak", "Tensor", "estimate", "unsimulated_trainer"]
