"""Model types beside the first dense decoders, against runs of made-up sizes measured on the phantom GPU."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from lab.case import complete
from lab.cases import architecture_of, capability_of, run_of
from vramlint.memory import Estimate, estimate

FILE = Path(__file__).parents[2] / "lab" / "data" / "measured" / "architectures.jsonl"
ROWS = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
TYPES = ("helium", "arcee", "glm", "glm4")


def rows_of(model_type: str) -> list[dict]:
    return [row for row in ROWS if row["arch"]["model_type"] == model_type]


def estimated(row: dict) -> Estimate:
    result = estimate(run_of(row), architecture_of(row), capability=capability_of(row))
    assert isinstance(result, Estimate)
    return result


@pytest.mark.parametrize("model_type", TYPES)
def test_as_many_parameters_are_trained_as_in_the_real_model(model_type: str) -> None:
    for row in rows_of(model_type):
        result = estimated(row)
        assert result.trainable_parameters == row["measured"]["trainable"]
        if complete(row)["method"] != "qlora":  # 4-bit weights are stored two in a byte
            assert result.total_parameters == row["measured"]["stored_elements"]


@pytest.mark.parametrize("model_type", TYPES)
def test_what_is_allocated_is_within_five_percent(model_type: str) -> None:
    by_method = defaultdict(list)
    for row in rows_of(model_type):
        truth = row["measured"]["peak_allocated"]
        error = abs(estimated(row).allocated.typical / truth - 1)
        assert error < 0.05, row
        by_method[complete(row)["method"]].append(error)
    assert min(len(by_method[method]) for method in ("full", "qlora", "lora")) >= 2
    assert max(by_method["qlora"]) < 0.005
