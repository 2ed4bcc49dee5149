"""What a CUDA process keeps on the card outside PyTorch's allocator: the context and the loaded kernels."""

from __future__ import annotations

MIB = 1 << 20
BY_CAPABILITY: tuple[tuple[tuple[int, int], tuple[int, int, int]], ...] = (
    ((10, 0), (328 * MIB, 563 * MIB, 717 * MIB)),
    ((9, 0), (307 * MIB, 512 * MIB, 922 * MIB)),
    ((8, 1), (205 * MIB, 461 * MIB, 614 * MIB)),
    ((8, 0), (307 * MIB, 512 * MIB, 922 * MIB)),
    ((0, 0), (205 * MIB, 461 * MIB, 614 * MIB)),
)
"""From this capability on: low, typical, high. Ten processes whose own out-of-memory messages give reserved and total put the
rest at 210 to 521 MiB on RTX A4000 … L40 (median 412; for instance VGGT-Long issue 6, CogVLM issue 236, Qwen3-VL issue 2097);
481 MiB with lazy loading on A100 (stas00/ml-engineering, training/performance). CUDA 11.7 or later, lazy loading."""


def context_for(capability: tuple[int, int]) -> tuple[int, int, int]:
    """Bytes outside the allocator (low, typical, high) on a card of this compute capability."""
    return next(sizes for least, sizes in BY_CAPABILITY if capability >= least)


def communicator_for(cards: int) -> tuple[int, int, int]:
    """Bytes that NCCL keeps outside the allocator (low, typical, high) in a process that trains with others.

    544 MB for two A100 with NVLink and 688 MB for more (NVIDIA/nccl issue 964), up to 1.6 GB (issue 864); less over PCIe, where
    there are fewer channels.
    """
    if cards < 2:
        return 0, 0, 0
    return 100 * MIB, (544 if cards == 2 else 688) * MIB, 1600 * MIB
