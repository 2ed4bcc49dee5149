"""torchtitan's loop on one card against runs of torchtitan itself (lab/data/measured/frameworks.jsonl), and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.cases import architecture_of, capability_of, run_of
from vramlint.dataclass import replace
from vramlint.memory import Estimate, NoEstimate, estimate

DATA = Path(__file__).parents[2] / "lab" / "data" / "measured" / "frameworks.jsonl"
ROWS = [row for row in map(json.loads, DATA.read_text(encoding="utf-8").splitlines()) if row.get("framework") == "torchtitan"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: json.dumps({k: v for k, v in row.items() if k != "measured"}))
def test_a_run_is_within_1_percent(row: dict[str, Any]) -> None:
    found = estimate(run_of(row), architecture_of(row), capability=capability_of(row))
    assert isinstance(found, Estimate)
    assert found.allocated.typical == pytest.approx(row["measured"]["peak_allocated"], rel=0.01)
    if "least_capacity" in row["measured"]:
        assert found.required.low <= row["measured"]["least_capacity"] <= found.required.high


@pytest.mark.parametrize(("more", "key"), [
    ({"num_processes": 8}, "num_processes"), ({"torch_compile": True}, "torch_compile"), ({"bf16": False}, "bf16"),
    ({"attn_implementation": "flex_attention"}, "attn_implementation"),
])
def test_what_is_not_proven_has_no_number(more: dict[str, Any], key: str) -> None:
    row = ROWS[0]
    found = estimate(replace(run_of(row), **more), architecture_of(row), replay=False)
    assert isinstance(found, NoEstimate)
    assert key in found.keys
