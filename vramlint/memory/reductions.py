"""What PyTorch's kernel for sums takes beside its tensors: how the gradient of a bias is summed over a batch.

After setReduceConfig of torch 2.11, aten/src/ATen/native/cuda/Reduce.cuh.
"""

from __future__ import annotations

PROCESSORS, THREADS_OF_ONE = 132, 2048
"""Multiprocessors and their threads: an H100's, which the phantom says it is. Cards with fewer take the same or less."""
THREADS, WARP, VECTOR = 512, 32, 4
LEAST_VALUES, MOST_VALUES = 16, 256
"""Values that one thread adds up at least and at most, where blocks share the work."""


def column_sum_buffer(rows: int, columns: int) -> int:
    """Bytes of the buffer in which blocks leave their parts of the sums over `rows`, 0 where one block sums a column."""
    vector = next(size for size in (VECTOR, 2, 1) if columns % size == 0)
    threads = THREADS // vector
    across, along = _power_below(columns // vector, threads), _power_below(rows, threads)
    width = min(across, WARP)
    height = min(along, threads // width)
    width = min(across, threads // height)
    if rows < height * LEAST_VALUES and rows < MOST_VALUES:
        return 0
    values = -(-rows // height)
    grid = -(-(columns // vector) // width)
    target = PROCESSORS * (THREADS_OF_ONE // (width * height))
    if values < MOST_VALUES or grid > target:
        return 0
    blocks = max(min(-(-target // grid), -(-values // LEAST_VALUES)), -(-values // MOST_VALUES))
    return 4 * columns * blocks * width * vector if blocks > 1 else 0


def _power_below(number: int, most: int) -> int:
    """The greatest power of two that is at most `number`, or `most`."""
    return most if number >= most else 1 << max(0, number.bit_length() - 1)
