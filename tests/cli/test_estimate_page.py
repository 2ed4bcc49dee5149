"""docs/estimate.md names every key that the JSON has, and no other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "estimate.md").read_text(encoding="utf-8")
ROWS = [line.split("|")[1:3] for line in PAGE.splitlines() if line.startswith("| `")]


def record() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "vramlint", "estimate", "--isolated", "--target", "rtx3070", "--output-format", "json",
         "examples/reference/train.yaml"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)["files"][0]
    return found


def test_every_key_is_described() -> None:
    described = {key for row in ROWS for key in re.findall(r"`(\w+)`", row[0])}
    assert described - {"candidates"} == set(record())


def test_the_keys_within_are_named() -> None:
    found = record()
    said = {key: row[1] for row in ROWS for key in re.findall(r"`(\w+)`", row[0])}
    for outer in ("model", "target", "estimate", "receipt"):
        for inner in found[outer]:
            assert f"`{inner}`" in said[outer], f"{outer}.{inner}"
    for inner in found["estimate"]["peak"]:
        assert f"`{inner}`" in said["estimate"]
