"""The lists of cases that were measured: `python -m lab.grid NAME` prints one, a case a line.

Each list is drawn with its own fixed seed, so that printing it again gives the same cases.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

from lab.case import short

Case = dict[str, Any]

DECODERS = (
    "qwen2.5-0.5b", "qwen2.5-1.5b", "qwen3-0.6b", "llama-3.2-1b", "tinyllama-1.1b", "smollm2-135m", "mistral-7b-v0.3",
    "gemma-2-2b", "gemma-3-1b", "phi-2", "phi-3-mini", "gpt2", "pythia-410m", "opt-125m", "olmo2-1b", "granite-3-2b",
    "starcoder2-3b", "stablelm-2-1.6b", "llama-3.1-8b", "qwen2.5-7b",
)
METHODS = ("full", "lora", "qlora")
SHAPES = ((1, 512), (2, 512), (4, 1024), (1, 2048), (8, 256), (2, 1000), (3, 640))


def decoders() -> Iterator[Case]:
    """Every dense decoder, each method, checkpointed and not, at three capabilities, plain Trainer and AdamW."""
    draw = random.Random(1)
    for arch in DECODERS:
        for method in METHODS:
            for checkpointing in (True, False):
                batch, seq = draw.choice(SHAPES)
                yield {
                    "arch": arch, "method": method, "checkpointing": checkpointing, "batch": batch, "seq": seq,
                    "capability": draw.choice(("8.0", "8.6", "9.0")), "padded": draw.random() < 0.3,
                }


LISTS: dict[str, Callable[[], Iterator[Case]]] = {"decoders": decoders}


def main() -> None:
    """Print the named list."""
    if len(sys.argv) != 2 or sys.argv[1] not in LISTS:
        sys.exit(f"usage: python -m lab.grid NAME, one of {', '.join(LISTS)}")
    for case in LISTS[sys.argv[1]]():
        print(json.dumps(short(case)))


if __name__ == "__main__":
    main()
