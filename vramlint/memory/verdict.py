"""What an estimate means on a card of so many bytes."""

from __future__ import annotations

from typing import Literal

from vramlint.memory.estimate import Band

Verdict = Literal["fits", "tight", "does-not-fit"]


def verdict(device: Band, usable: int) -> Verdict:
    """`fits` if even the high end is within `usable` bytes, `does-not-fit` if the low end is beyond, else `tight`."""
    if device.high <= usable:
        return "fits"
    if device.low > usable:
        return "does-not-fit"
    return "tight"
