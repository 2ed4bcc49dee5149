"""The card a run is to fit on."""

from __future__ import annotations

from vramlint.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One GPU (or several of a kind). Sizes in bytes.

    `total` is what PyTorch sees of the card (`torch.cuda.get_device_properties(0).total_memory`), sourced or derived as
    `total_source` says; `usable` is that less `reserve`. `kernels_assumed` is set where the compute capability had to be
    assumed (memory size only, AMD, Intel).
    """

    id: str
    name: str
    vendor: str
    total: int
    reserve: int
    compute_capability: tuple[int, int]
    total_source: str
    architecture: str | None = None
    memory_bandwidth_gbps: float | None = None
    gpu_count: int = 1
    kernels_assumed: str | None = None

    @property
    def usable(self) -> int:
        """Bytes that a run may take."""
        return self.total - self.reserve


@dataclass(frozen=True, slots=True)
class UnknownTarget:
    """Why a target could not be found, and names that are near."""

    text: str
    why: str
    suggestions: tuple[str, ...] = ()
