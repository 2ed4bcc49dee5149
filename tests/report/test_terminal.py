"""The whole tool on different terminals."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def output(*arguments: str, **environment: str) -> bytes:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    done = subprocess.run(
        [sys.executable, "-m", "vramlint", "--target", "rtx3070", *arguments, "examples/reference/train.yaml"],
        cwd=ROOT, env={**kept, **environment}, capture_output=True, check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr == b""
    return done.stdout


def test_colour_is_for_terminals_unless_asked_for() -> None:
    plain = output()
    assert b"\x1b" not in plain
    assert b"\x1b[" in output(FORCE_COLOR="1")
    assert b"\x1b[" in output("--color", "always", NO_COLOR="1")
    assert output("--color", "never", FORCE_COLOR="1") == plain


def test_a_terminal_of_another_encoding_gets_escapes_not_a_traceback() -> None:
    text = output(PYTHONIOENCODING="cp1252").decode("cp1252")
    assert "batch 8 \\u2192 " in text
