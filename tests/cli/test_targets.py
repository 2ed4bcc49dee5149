"""`vramlint targets`: the cards of the reference page, with what is true of them today."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
REFERENCE = "examples/reference/train.yaml"
GIB = 1 << 30
LEAST_CAPACITY = 12.8 * GIB
"""Of the reference run at batch 8 on the phantom GPU: lab/data/measured (arch deepseek-r1-distill-qwen-1.5b)."""


def targets(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "vramlint", "targets", *arguments], cwd=ROOT, capture_output=True, encoding="utf-8", check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, Any]]:
    code, text = targets(REFERENCE, "--output-format", "json")
    assert code == 0
    (file,) = json.loads(text)["files"]
    return {row["target"]["id"]: row for row in file["targets"]}


def test_every_card_of_the_catalogue_has_a_row_the_smallest_first(rows: dict[str, dict[str, Any]]) -> None:
    assert len(rows) >= 120
    usable = [row["target"]["usable"] for row in rows.values()]
    assert usable == sorted(usable)


@pytest.mark.parametrize("card", ["rtx3060", "rtx3070", "rtx3080", "rtx3090", "rtx4090"])
def test_the_table_of_the_reference_page(rows: dict[str, dict[str, Any]], card: str) -> None:
    """The page says that the rtx3060 and the rtx3080 run batch 8: neither has the memory."""
    row = rows[card]
    runs = row["target"]["usable"] > LEAST_CAPACITY
    assert runs == (card in ("rtx3090", "rtx4090"))
    assert (row["verdict"] == "fits") == runs
    if runs:
        assert row["plan"] is None
    else:
        assert row["plan"]["safety"] == "safe"
        assert row["plan"]["device"] < row["target"]["usable"]


def test_the_largest_batch_keeps_the_effective_batch_and_grows_with_the_card(rows: dict[str, dict[str, Any]]) -> None:
    batches = [rows[card]["largest_batch"] for card in ("rtx3070", "rtx3060", "rtx3090", "a100-80gb")]
    assert all(batch["micro_batch"] * batch["gradient_accumulation_steps"] == 64 for batch in batches)
    sizes = [batch["micro_batch"] for batch in batches]
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0]


def test_a_card_without_bf16_is_given_a_plan_without_it(rows: dict[str, dict[str, Any]]) -> None:
    changes = {change["key"]: change["value"] for change in rows["t4"]["plan"]["changes"]}
    assert changes["bf16"] is False
    assert changes["fp16"] is True


def test_on_a_screen_only_the_cards_asked_for() -> None:
    code, text = targets(REFERENCE, "--target", "rtx3070", "--target", "rtx3090")
    assert code == 0
    assert [line.split()[0] for line in text.splitlines()[2:]] == ["rtx3070", "rtx3090"]


def test_without_an_estimate_it_says_why(tmp_path: Path) -> None:
    config = tmp_path / "train.yaml"
    config.write_text(
        "model_name_or_path: nobody/nothing\nper_device_train_batch_size: 2\ntrainer: trl-sft\nmax_length: 512\nbf16: true\n",
    )
    code, text = targets(str(config), "--target", "rtx3070")
    assert code == 1
    assert "no estimate" in text
    assert "nobody/nothing" in text


def test_a_file_that_is_no_config() -> None:
    code, text = targets("LICENSE")
    assert code == 2
    assert "Traceback" not in text
