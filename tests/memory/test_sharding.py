"""Runs on several cards: against measured ones (lab/data/measured/sharded.jsonl), and what is not simulated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.case import complete, short
from lab.cases import architecture_of, capability_of, run_of
from vramlint.dataclass import replace
from vramlint.memory import Estimate, NoEstimate, estimate
from vramlint.run import Run

DATA = Path(__file__).parents[2] / "lab" / "data" / "measured" / "sharded.jsonl"
ROWS = [row for row in map(json.loads, DATA.read_text(encoding="utf-8").splitlines()) if "error" not in row["measured"]]
SIMULATED = ("ddp", "fsdp2", "zero1", "zero2")
QWEN = "qwen2.5-0.5b"


def estimated(row: Mapping[str, Any]) -> Estimate | NoEstimate:
    return estimate(run_of(row), architecture_of(row), capability=capability_of(row))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: json.dumps({k: v for k, v in short(row).items() if k != "capability"}))
def test_a_number_is_within_3_percent_or_there_is_none(row: dict[str, Any]) -> None:
    found = estimated(row)
    if isinstance(found, Estimate):
        assert found.allocated.typical == pytest.approx(row["measured"]["peak_allocated"], rel=0.03)
        assert found.allocated.low <= row["measured"]["peak_allocated"] <= found.allocated.high


@pytest.mark.parametrize("kind", SIMULATED)
def test_most_measured_runs_have_a_number(kind: str) -> None:
    rows = [row for row in ROWS if complete(row)["parallel"] == kind]
    assert len(rows) >= 10
    assert sum(isinstance(estimated(row), Estimate) for row in rows) >= 0.7 * len(rows)


def run(**more: Any) -> Run:
    return replace(run_of({"arch": QWEN, "capability": "8.0"}), **more)


@pytest.mark.parametrize(("more", "key"), [
    ({"tensor_parallel_size": 2}, "tensor_parallel_size"), ({"fsdp": "full_shard", "fsdp_version": 1}, "fsdp"),
    ({"fsdp": "full_shard", "fsdp_offload": True}, "fsdp"), ({"fsdp": "hybrid_shard auto_wrap"}, "fsdp"),
    ({"deepspeed": "z.json", "zero_stage": 3}, "zero_stage"), ({"deepspeed": "z.json"}, "zero_stage"),
    ({"deepspeed": "z.json", "zero_stage": 2, "offload_optimizer": True}, "offload_optimizer"),
    ({"fsdp": "full_shard", "optim": "adamw_bnb_8bit"}, "optim"),
    ({"deepspeed": "z.json", "zero_stage": 1, "num_processes": 1, "gradient_accumulation_steps": 2}, "num_processes"),
    ({"deepspeed": "z.json", "zero_stage": 2, "unknown": {"num_processes": "nobody says"}}, "num_processes"),
    ({"deepspeed": "z.json", "zero_stage": 2, "unknown": {"zero_stage": "the file is not there"}}, "zero_stage"),
    ({"fsdp": "full_shard", "stack": {"transformers": "4.48"}}, "fsdp"), ({"trainer": "torchtune"}, "trainer"),
    ({"trainer": "trl-kto"}, "trainer"), ({"trainer": "trl-dpo"}, "trainer"),
])
def test_what_is_not_simulated_has_no_number_and_says_what_to_state(more: dict[str, Any], key: str) -> None:
    case = {"arch": QWEN, "capability": "8.0"}
    found = estimate(run(**{"num_processes": 4} | more), architecture_of(case), replay=False)
    assert isinstance(found, NoEstimate)
    assert key in found.keys


def test_more_cards_take_less_of_what_is_shared_out() -> None:
    architecture = architecture_of({"arch": QWEN})

    def needs(**more: Any) -> int:
        found = estimate(run(**more), architecture, replay=False)
        assert isinstance(found, Estimate)
        return found.allocated.typical

    one, ddp = needs(), needs(num_processes=8)
    assert ddp > one  # the buckets
    for more in ({"fsdp": "full_shard"}, {"deepspeed": "z.json", "zero_stage": 2, "zero_reduce_bucket_size": 50_000_000}):
        assert needs(num_processes=16, **more) < needs(num_processes=4, **more) < ddp
