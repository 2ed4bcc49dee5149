"""Records training runs with vramlint.monitor, on the phantom or a card: lab/data/recorded is what it gave.

    PHANTOM_MEM=25425870848 PHANTOM_CC=86 lab/phantom/phantom-python VENV -m lab.recordings OUT_FOLDER NAME…

A run that is to run out of memory is recorded on a smaller phantom: PHANTOM_MEM=8318222336 and the name reference-8gib.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from lab.case import complete
from lab.worker import preload

SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
REFERENCE = {
    "arch": "r1-distill-qwen-1.5b", "method": "qlora", "lora_r": 32, "lora_targets": SEVEN, "batch": 8, "grad_accum": 8,
    "seq": 512,
}
RUNS: dict[str, dict[str, Any]] = {
    "reference": REFERENCE,
    "reference-8gib": REFERENCE,
    "sft-lora": {"arch": "qwen2.5-0.5b", "trainer": "sft", "method": "lora", "batch": 4, "seq": 512},
    "full-watch": {"arch": "qwen2.5-0.5b", "batch": 2, "seq": 256, "steps": 3},
}
"""Name → case; each has its configuration beside the recording, under the same name or that of the run it repeats."""


def record(name: str, folder: Path) -> None:
    """One run, recorded: through the callback, or where its name says so through the context manager."""
    import gc

    import torch
    import transformers

    from lab import phantom_answers
    from lab.loading import adapt, build
    from lab.trainers import make_trainer
    from vramlint.monitor import MemoryCallback, watch

    case = complete({**RUNS[name], "capability": "{}.{}".format(*torch.cuda.get_device_capability())})
    if torch.cuda.get_device_name(0) == "Phantom GPU":
        phantom_answers.give(case)
        torch.backends.cudnn.enabled = False  # convolutions would call a stub
    transformers.set_seed(42)
    model = adapt(build(case), case)
    gc.collect()
    torch.cuda.empty_cache()
    trainer = make_trainer(model, case)
    path = folder / f"{name}.jsonl"
    if name.endswith("watch"):
        with watch(path, model=model):
            trainer.train()
        return
    trainer.add_callback(MemoryCallback(path))
    trainer.train()


def main() -> None:
    """Record each named run in a child of this process, so that none finds what another left."""
    parser = argparse.ArgumentParser(
        prog="lab.recordings", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+", choices=sorted(RUNS))
    given = parser.parse_args()
    capability = os.environ.get("PHANTOM_CC", "86")
    preload((int(capability[:-1]), int(capability[-1])))
    for name in given.names:
        child = os.fork()
        if child == 0:
            record(name, given.folder)
            sys.exit(0)  # not os._exit: the recording is closed on the way out
        _, status = os.waitpid(child, 0)
        print(name, "recorded" if status == 0 else f"ended with status {status}", flush=True)


if __name__ == "__main__":
    main()
