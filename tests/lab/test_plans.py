"""lab/data/plans.jsonl, plans run on the phantom in the memory they were made for: what it shows, and that it is what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.case import complete, short
from lab.cases import architecture_of, capability_of, run_of
from lab.plans import CARDS, REFERENCE, changed, planned, report
from vramlint.catalog import Target, find_target
from vramlint.memory import Estimate, estimate
from vramlint.run import Change

PLANS = Path(__file__).parents[2] / "lab" / "data" / "plans.jsonl"


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return [json.loads(line) for line in PLANS.read_text().splitlines()]


def test_plans_said_to_fit_run_in_that_memory(rows: list[dict]) -> None:
    ran = [row["ran"] is True for row in rows]
    assert len(ran) >= 200
    assert sum(ran) >= 0.98 * len(ran)


def test_runs_said_not_to_fit_run_out_of_memory(rows: list[dict]) -> None:
    drawn = [row for row in rows if row["card"] == "drawn"]
    assert sum(row["unedited"] == "oom" for row in drawn) >= 0.98 * len(drawn)


@pytest.mark.parametrize("card", CARDS)
def test_the_reference_run_on_the_cards_of_its_page(rows: list[dict], card: str) -> None:
    target = find_target(card)
    assert isinstance(target, Target)
    capability = "{}.{}".format(*target.compute_capability)
    row = next(row for row in rows if row["card"] == card)
    assert row["case"] == short(complete({**REFERENCE, "capability": capability}))
    assert row["usable"] == target.usable
    assert row["ran"] is True
    if card != "t4":  # there it is bf16 that does not work, not the size
        assert row["unedited"] == "oom"


@pytest.mark.parametrize("card", CARDS)
def test_the_record_is_of_the_plan_that_is_made_today(rows: list[dict], card: str) -> None:
    target = find_target(card)
    assert isinstance(target, Target)
    row = next(row for row in rows if row["card"] == card)
    found = planned(complete(row["case"]), target)
    assert found is not None
    plan = found[2]
    assert plan.title == row["plan"]
    assert changed(row["case"], plan.changes) == row["edited"]
    assert plan.outcome.verdict == "fits"


def test_what_ran_is_still_estimated_to_fit(rows: list[dict]) -> None:
    """Every tenth: the case as it was planned then, estimated now, on the card for which it was planned."""
    for row in rows[::10]:
        case = complete(row["edited"])
        result = estimate(run_of(case), architecture_of(case), capability=capability_of(case))
        assert isinstance(result, Estimate), row["edited"]
        assert result.device.low <= row["usable"], (row["plan"], row["edited"])


def test_each_plan_changes_its_case(rows: list[dict]) -> None:
    for row in rows:
        assert row["edited"] != row["case"]
        assert row["plan"]
        assert row["device"] < row["usable"]


def test_a_plans_changes_in_a_case() -> None:
    case = complete({"arch": "gpt2", "method": "lora", "batch": 8, "grad_accum": 2})
    changes = (Change("per_device_train_batch_size", 2), Change("gradient_accumulation_steps", 8), Change("load_in_4bit", True))
    made = changed(case, changes)
    assert (made["batch"], made["grad_accum"], made["method"]) == (2, 8, "qlora")
    with pytest.raises(ValueError, match="seed"):
        changed(case, (Change("seed", 1),))


def test_the_report_names_what_did_not_run(tmp_path: Path) -> None:
    failed = {"case": {"arch": "gpt2"}, "plan": "batch 2 → 1", "ran": "oom", "unedited": "oom"}
    (tmp_path / "plans.jsonl").write_text(json.dumps({**failed, "ran": True}) + "\n" + json.dumps(failed) + "\n")
    text = report(tmp_path / "plans.jsonl")
    assert "1 of 2 plans ran" in text
    assert "oom: batch 2 → 1" in text
