"""A process that has the training libraries imported and forks one child a run: a run costs its own seconds only.

Requests on standard input, one JSON object a line: {"case": …, "fraction": null | number, "keep": null | file
for the trace of a case with `capacity`}. One JSON object a line comes back on
standard output: the measurements, or {"error": …, "detail": …}. The parent never opens the device, or its children
could not.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

CHILD_SECONDS = 600


def once_of(case: Mapping[str, Any]) -> Callable[..., dict[str, Any]]:
    """What measures the case: under transformers' and TRL's trainers, or under a framework's own loop."""
    if case["framework"]:
        from lab.frameworks.once import once
    else:
        from lab.once import once
    return once


def preload(capability: tuple[int, int], framework: str | None = None) -> None:
    """Import what runs need without opening the device, as libraries do to count cards and learn what they can."""
    os.environ.update(
        HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", TOKENIZERS_PARALLELISM="false", TQDM_DISABLE="1"
    )
    warnings.filterwarnings("ignore")
    import torch

    asked, counted = torch.cuda.get_device_capability, torch._C._cuda_getDeviceCount  # noqa: SLF001
    torch.cuda.get_device_capability = lambda *_: capability
    torch._C._cuda_getDeviceCount = lambda: 1  # noqa: SLF001
    if framework:
        importlib.import_module(f"lab.frameworks.{framework}")
    else:
        preload_trainers()
    torch.cuda.get_device_capability = asked
    torch._C._cuda_getDeviceCount = counted  # noqa: SLF001
    if torch.cuda.is_initialized():
        raise RuntimeError("an import opened the CUDA device in the parent; no child could use it")


def preload_trainers() -> None:
    """Import transformers' and TRL's trainers."""
    import datasets
    import trl

    for name in ("SFTTrainer", "DPOTrainer", "RewardTrainer", "KTOTrainer", "GRPOTrainer"):
        getattr(trl, name, None)  # imports it; older versions have fewer

    import lab.once
    import lab.record  # noqa: F401 — what the children need

    datasets.disable_progress_bars()


def run(request: dict[str, Any]) -> dict[str, Any]:
    """The request's measurements, or what went wrong. In the child."""
    import torch

    import lab.record

    once = once_of(request["case"])
    try:
        if not request["case"]["capacity"] or request.get("fraction"):
            return once(request["case"], request.get("fraction"))
        lab.record.start()
        measured = once(request["case"])
        events, segments = lab.record.events_of(lab.record.history())
        if request.get("keep"):
            lab.record.write(Path(request["keep"]), {"case": request["case"], "segments": segments}, events)
        return measured | {"expected_capacity": lab.record.allocator().capacity_bracket(events)}
    except torch.OutOfMemoryError as error:
        return {"error": "oom", "detail": str(error)[:200]}
    except Exception as error:  # noqa: BLE001 — that a combination fails, and how, is a measurement
        where = without_folders(traceback.format_exc())[-900:]
        return {"error": type(error).__name__, "detail": str(error)[:300], "where": where}


def without_folders(trace: str) -> str:
    """The traceback with files named from where they were imported, not from where this machine keeps them."""
    for folder in sorted(filter(None, sys.path), key=len, reverse=True):
        trace = trace.replace(f"{folder.rstrip(os.sep)}{os.sep}", "")
    return trace


def answer(request: dict[str, Any]) -> str:
    """The request run in a child; its answer as one line."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.alarm(CHILD_SECONDS)
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            os.dup2(nowhere.fileno(), 1)
            os.write(writing, json.dumps(run(request)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return text or json.dumps({"error": "crashed", "detail": f"wait status {status}"})


def main() -> None:
    """Serve requests until standard input ends. Arguments: the two digits of the compute capability, a framework if any."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    preload((int(sys.argv[1]), int(sys.argv[2])), sys.argv[3] if len(sys.argv) > 3 else None)
    print(json.dumps({"ready": True}), file=out, flush=True)
    for line in sys.stdin:
        print(answer(json.loads(line)), file=out, flush=True)


if __name__ == "__main__":
    main()
