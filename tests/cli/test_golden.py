"""The whole screen for the reference files. Its figures are held to measured runs in tests/memory/test_accuracy.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOLDEN = sorted(Path(__file__).with_name("golden").glob("*.txt"))


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_screen(golden: Path) -> None:
    name, _, target = golden.stem.rpartition(".")
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    environment.pop("GITHUB_ACTIONS", None)
    done = subprocess.run(
        [sys.executable, "-m", "vramlint", "--target", target, f"examples/reference/{name}"],
        cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False,
    )
    assert done.stdout == golden.read_text(encoding="utf-8")
    assert done.returncode == (1 if target == "rtx3070" else 0)
