"""Cut cross entropy: no logits at any moment, and the gradients that its backward returns; against measured runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.cases import architecture_of, run_of
from vramlint.dataclass import replace
from vramlint.memory import Estimate, NoEstimate, estimate

MEASURED = Path(__file__).parents[2] / "lab" / "data" / "measured"
ROWS = [
    row for file in sorted(MEASURED.glob("*.jsonl")) for line in file.read_text().splitlines()
    if (row := json.loads(line)).get("cut_cross_entropy") and "peak_allocated" in row["measured"]
]


def made(row: dict, **changes: object) -> Estimate | NoEstimate:
    capability = tuple(map(int, row["measured"]["capability"].split(".")))
    return estimate(replace(run_of(row), **changes), architecture_of(row), capability=capability)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['measured']['peak_allocated'] >> 20} MiB")
def test_measured_runs(row: dict) -> None:
    result = made(row)
    assert isinstance(result, Estimate)
    assert abs(result.allocated.typical / row["measured"]["peak_allocated"] - 1) < 0.01
    assert result.peak.parts.logits == 0


def test_the_logits_in_full_would_take_more() -> None:
    row = next(row for row in ROWS if row.get("arch") == "llama-3.2-1b" and row.get("batch") == 4)
    cut, full = made(row), made(row, loss_type=None)
    assert isinstance(cut, Estimate)
    assert isinstance(full, Estimate)
    assert full.allocated.typical - cut.allocated.typical > 4 * 1024 * 128256 * 4 * 2  # two copies of them in fp32


def test_a_head_in_fp32_ends_in_an_error() -> None:
    result = made(ROWS[0], dtype="float32")
    assert isinstance(result, NoEstimate)
    assert "16 bits" in result.why
