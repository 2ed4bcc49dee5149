"""nanoGPT's train.py, run as it stands in a checkout, on a case's model."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import model as nanogpt_model
import numpy as np

from lab.case import architecture_fields

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "none": "float32"}
LOOP = "# training loop\n"


def words(case: Mapping[str, Any]) -> list[str]:
    """The command line: every key of train.py that the case decides."""
    fields, options = architecture_fields(case), case["options"] or {}
    keys: dict[str, Any] = {
        "dataset": "lab", "batch_size": case["batch"], "block_size": case["seq"],
        "gradient_accumulation_steps": case["grad_accum"], "n_layer": fields["n_layer"], "n_head": fields["n_head"],
        "n_embd": fields["n_embd"], "bias": bool(options.get("bias", False)), "dropout": float(options.get("dropout", 0.0)),
        "dtype": DTYPES[case["amp"]], "compile": bool(options.get("compile")), "max_iters": case["steps"] - 1,
        "eval_iters": 1, "always_save_checkpoint": False, "grad_clip": float(case["max_grad_norm"]),
    }
    return [f"--{key}={value}" for key, value in keys.items()]


def prepare(case: Mapping[str, Any]) -> tuple[Callable[[], None], Any, str]:
    """train.py up to its loop, and the loop; the script is run in two parts, changed in nothing."""
    root = Path(nanogpt_model.__file__).parent
    folder = Path(tempfile.mkdtemp())
    (folder / "data" / "lab").mkdir(parents=True)
    for name in ("train.bin", "val.bin"):
        np.zeros(case["seq"] * 4, dtype=np.uint16).tofile(folder / "data" / "lab" / name)
    (folder / "configurator.py").write_text((root / "configurator.py").read_text())
    os.chdir(folder)
    given, sys.argv = sys.argv, ["train.py", *words(case)]
    before, _, loop = (root / "train.py").read_text().partition(LOOP)
    known: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(sys.stderr):
        exec(compile(before, "train.py", "exec"), known)  # noqa: S102 — the framework is a script
    sys.argv = given

    def train() -> None:
        exec(compile(loop, "train.py", "exec"), known)  # noqa: S102

    commit = root / "COMMIT"
    return train, known["model"], commit.read_text().strip() if commit.exists() else "unknown"
