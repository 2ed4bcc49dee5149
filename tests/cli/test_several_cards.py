"""How many cards train: what a file, a companion, the command line or the target says, and what is then said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vramlint.catalog import Target, find_target
from vramlint.examine import Facts
from vramlint.linter import Checked, Options, check_data, load_rules

RULES = load_rules()
TRAIN = """\
model_name_or_path: Qwen/Qwen2.5-7B
trainer: transformers
dtype: bfloat16
max_length: 1024
padding: false
per_device_train_batch_size: 1
gradient_checkpointing: true
bf16: true
optim: adamw_torch_fused
"""
ZERO_2 = "deepspeed: {zero_optimization: {stage: 2, reduce_bucket_size: 200000000}, bf16: {enabled: auto}}\n"


def checked(path: Path, text: str, target: str, **more: Any) -> Checked:
    card = find_target(target) if target else None
    assert isinstance(card, Target | None)
    path.write_text(text)
    cards = (card,) if card else ()
    return check_data(str(path), text.encode(), Options(cards, Facts(isolated=True, **more)), RULES)


def record(found: Checked) -> Any:
    return found.records[0]


@pytest.fixture
def train(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    return tmp_path / "train.yaml"


def test_nobody_says_how_many_cards_so_there_is_no_number(train: Path) -> None:
    found = checked(train, TRAIN + ZERO_2, "")
    assert record(found)["estimate"] is None
    (finding,) = [finding for finding in found.findings if finding.name == "no-estimate"]
    assert "state num_processes" in finding.message


@pytest.mark.parametrize("overrides", [{"num_processes": 4}, {}])
def test_stated_or_on_the_target_s_cards(train: Path, overrides: dict[str, int]) -> None:
    found = checked(train, TRAIN + ZERO_2, "a100-80gb" if overrides else "p4de.24xlarge", overrides=overrides)
    assert record(found)["verdict"] == "fits"
    said = {entry["value"] for entry in record(found)["assumptions"] if entry["key"] == "num_processes"}
    assert said == {"4" if overrides else "8"}


def test_what_the_target_decided_is_said_beside_the_verdict(train: Path) -> None:
    found = checked(train, TRAIN + ZERO_2, "2x12GiB@8.6")
    (finding,) = [finding for finding in found.findings if finding.name == "does-not-fit"]
    assert any("taken for 2 cards" in line and "num_processes" in line for line in finding.help)
    stated = checked(train, TRAIN + ZERO_2, "12GiB@8.6", overrides={"num_processes": 2})
    (same,) = [finding for finding in stated.findings if finding.name == "does-not-fit"]
    assert not any("taken for" in line for line in same.help)
    assert record(found)["estimate"]["device"] == record(stated)["estimate"]["device"]


def test_more_cards_need_less_each(train: Path) -> None:
    def needs(cards: int) -> int:
        found = checked(train, TRAIN + ZERO_2, "a100-80gb", overrides={"num_processes": cards})
        return int(record(found)["estimate"]["allocated"]["typical"])

    assert needs(2) > needs(8) * 1.3


def test_one_card_of_an_instance_is_no_parallel_run(train: Path) -> None:
    found = checked(train, "# vramlint: num_processes=1\n" + TRAIN, "p4de.24xlarge")
    alone = checked(train, TRAIN, "a100-80gb")
    assert record(found)["estimate"]["allocated"] == record(alone)["estimate"]["allocated"]


def test_sharding_is_planned_where_there_are_cards(train: Path) -> None:
    found = checked(train, TRAIN, "p4d.24xlarge")
    (finding,) = [finding for finding in found.findings if finding.name == "does-not-fit"]
    fix = finding.fixes[0]
    assert "shard over the 8 cards" in fix.title
    assert fix.outcome is not None
    assert fix.outcome.verdict == "fits"
    again = checked(train, TRAIN + "fsdp: full_shard auto_wrap\n", "p4d.24xlarge")
    assert record(again)["verdict"] == "fits"
    assert record(again)["estimate"]["device"]["typical"] == fix.outcome.device_typical
    alone = checked(train, TRAIN, "a100-40gb")
    assert not any("shard" in fix.title for finding in alone.findings for fix in finding.fixes)


def test_findings_stand_in_the_file_they_are_about(train: Path) -> None:
    text = '{"zero_optimization": {"stage": 2, "overlap_com": true}, "bf16": {"enabled": "auto"}}'
    (train.parent / "z2.json").write_text(text)
    found = checked(train, TRAIN + "deepspeed: z2.json\n", "p4de.24xlarge")
    (finding,) = [finding for finding in found.findings if finding.name == "unknown-key"]
    assert finding.path == str(train.parent / "z2.json")
    assert finding.span is not None
    assert text[finding.span.start : finding.span.end] == '"overlap_com"'
    assert finding.fixes == ()
    assert [file.path for file in found.companions] == [finding.path]
