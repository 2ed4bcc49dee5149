"""The command as a user runs it, in a directory of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN = """\
model_name_or_path: Qwen/Qwen2.5-1.5B
trainer: transformers
optim: sgd
max_length: 512
padding: false
per_device_train_batch_size: 2
gradient_checkpointing: true
bf16: true
output_dir: out
attn_implementation: eager
"""
"""One finding without a target: VRM406 in line 10."""


@pytest.fixture
def vramlint(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command in `tmp_path`; no run of it may end in a traceback."""

    def run(*arguments: str, stdin: bytes | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if k not in ("GITHUB_ACTIONS", "VRAMLINT_TARGET")}
        # In CI, so that what is only of interest to a person (headroom) is left out here and there alike.
        environment |= {"CI": "true", "NO_COLOR": "1", "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **more}
        done = subprocess.run(
            [sys.executable, "-m", "vramlint", *arguments], cwd=tmp_path, env=environment, input=stdin, capture_output=True,
            timeout=60, check=False,
        )
        texts = done.stdout.decode(errors="surrogateescape"), done.stderr.decode()
        assert "Traceback" not in texts[0] + texts[1]
        return subprocess.CompletedProcess(done.args, done.returncode, *texts)

    return run


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file below `tmp_path`; the text of a run unless another is given."""

    def write(name: str, text: str = RUN) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    return write
