"""Which rules are reported: words with commas, ALL, and what keeps quiet in CI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "examples" / "reference" / "train.yaml"
SMALL = """\
model_name_or_path: Qwen/Qwen2.5-0.5B
trainer: transformers
dtype: bfloat16
max_length: 512
padding: false
per_device_train_batch_size: 2
gradient_checkpointing: true
bf16: true
output_dir: out
learning_rate: 2.0e-5
"""


def codes(*arguments: str, **environment: str) -> list[str]:
    """The codes of what is found, in order."""
    kept = {key: value for key, value in os.environ.items() if key not in ("CI", "GITHUB_ACTIONS")}
    done = subprocess.run(
        [sys.executable, "-m", "vramlint", "--isolated", "--output-format", "json", *arguments],
        cwd=ROOT, env={**kept, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True, check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return [finding["code"] for finding in json.loads(done.stdout)["findings"]]


@pytest.mark.parametrize(("arguments", "expected"), [
    (("--select", "VRM201"), ["VRM201"]),
    (("--select", "VRM201,logits-dominate"), ["VRM201", "VRM401"]),
    (("--select", "VRM201", "--select", "VRM401"), ["VRM201", "VRM401"]),
    (("--select", "ALL", "--ignore", "VRM4,does-not-fit"), []),
    (("--ignore", " VRM4 , "), ["VRM201"]),
])
def test_words(arguments: tuple[str, ...], expected: list[str]) -> None:
    assert codes("--target", "rtx3070", *arguments, str(REFERENCE)) == expected


def test_headroom_is_said_but_not_in_ci(tmp_path: Path) -> None:
    (tmp_path / "train.yaml").write_text(SMALL)
    given = ("--target", "a100-80gb", str(tmp_path / "train.yaml"))
    assert "VRM203" in codes(*given)
    assert "VRM203" in codes(*given, CI="false")
    assert "VRM203" not in codes(*given, CI="true")
    assert "VRM203" in codes(*given, "--select", "headroom", CI="true")
