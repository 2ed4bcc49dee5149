"""docs/reference-page.md: each command on it is run, and what it says of the tool is what the tool says."""

from __future__ import annotations

import functools
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference-page.md").read_text(encoding="utf-8")
FILE = "examples/reference/train.yaml"
GIB = 1 << 30
MEASURED = {"allocated": 11.1, "required": 12.8}
"""What the phantom gave (the last rows of lab/data/measured/first.jsonl), not what vramlint says."""


@functools.cache
def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vramlint", *arguments], cwd=ROOT, capture_output=True, encoding="utf-8", check=False,
    )


def estimated(*settings: str, target: str = "rtx3070") -> dict[str, Any]:
    more = [word for setting in settings for word in ("--set", setting)]
    done = ran("estimate", "--isolated", "--target", target, "--output-format", "json", *more, FILE)
    found: dict[str, Any] = json.loads(done.stdout)["files"][0]
    return found


def typical(record: dict[str, Any], figure: str) -> float:
    return float(record["estimate"][figure]["typical"]) / GIB


@pytest.mark.parametrize("command", sorted({
    " ".join(text.split()) for text in re.findall(r"`(vramlint (?!targets` )[^`]*)`", PAGE) if "train.yaml run.jsonl" not in text
}))
def test_every_command_on_the_page_runs(command: str) -> None:
    program, *arguments = shlex.split(command)
    assert program == "vramlint"
    done = ran(*arguments) if len(arguments) > 1 else ran(*arguments, "--help")
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("figure", ["allocated", "required"])
def test_the_total_is_what_was_measured(figure: str) -> None:
    assert typical(estimated(), figure) == pytest.approx(MEASURED[figure], rel=0.02)


def test_the_parts_are_as_the_page_says() -> None:
    parts, record = estimated()["estimate"]["peak"]["parts"], estimated()
    logits, table, trained = 8 * 512 * 151936 * 4, 151936 * 1536 * 4, 36_929_536
    assert record["estimate"]["trainable_parameters"] == trained
    assert parts["adapters"] == pytest.approx(4 * trained, rel=0.001)
    assert parts["gradients"] == pytest.approx(4 * trained, rel=0.001)
    assert parts["optimizer"] == pytest.approx(8 * trained, rel=0.001)
    assert parts["weights"] > 2 * table
    assert 3 * logits <= parts["logits"] < 3.3 * logits
    assert parts["activations"] < 1 * GIB
    assert record["estimate"]["peak"]["phase"].startswith("backward of the loss")
    assert typical(record, "context") == pytest.approx(0.5, abs=0.1)


def test_under_trls_trainer_the_pages_sum_would_do() -> None:
    assert typical(estimated("trainer=trl-sft", "use_peft=true"), "allocated") == pytest.approx(4.4, abs=0.1)


@pytest.mark.parametrize(("setting", "least", "most"), [
    ("per_device_train_batch_size=4", 3.0, 4.5),
    ("max_length=256", 3.0, 4.5),
    ("lora_r=16", 0.1, 0.6),
    ("use_liger_kernel=true", 6.0, 7.5),
    ("gradient_checkpointing=false", -20.0, -12.0),
    ("lora_r=64", -1.0, -0.1),
    ("max_length=1024", -10.0, -5.0),
])
def test_what_each_tip_saves(setting: str, least: float, most: float) -> None:
    """Of the live tensors; the measured rows say 11.1, 7.3 with batch 4, 4.5 with Liger, 28.4 without checkpointing."""
    assert f"--set {setting}" in PAGE
    assert least <= typical(estimated(), "allocated") - typical(estimated(setting), "allocated") <= most


def test_no_tip_alone_but_the_fused_loss_makes_it_fit_8_gib() -> None:
    for setting in ("per_device_train_batch_size=4", "max_length=256", "lora_r=16"):
        assert estimated(setting)["verdict"] != "fits"
    assert estimated("use_liger_kernel=true")["verdict"] == "fits"


def test_fp16_saves_nothing_and_a_rule_says_so() -> None:
    changed = estimated("bf16=false", "fp16=true", "bnb_4bit_compute_dtype=float16")
    assert typical(changed, "allocated") == pytest.approx(typical(estimated(), "allocated"), rel=0.01)
    fp16 = ("--set", "bf16=false", "--set", "fp16=true")
    done = ran("--isolated", "--target", "rtx3090", *fp16, "--output-format", "concise", FILE)
    assert "VRM408 [fp16-saves-nothing]" in done.stdout


def test_16_gib_are_the_least() -> None:
    assert estimated(target="16GiB@8.6")["verdict"] == "fits"
    assert estimated(target="12GiB@8.6")["verdict"] == "does-not-fit"


CARDS = {"RTX 3060": "rtx3060", "RTX 3070": "rtx3070", "RTX 3080": "rtx3080", "RTX 3090": "rtx3090", "RTX 4090": "rtx4090",
         "A100": "a100-40gb"}
WORDS = {"fits": "fits", "does-not-fit": "does not fit", "tight": "tight"}


@pytest.mark.parametrize(("card", "target"), CARDS.items())
def test_each_card_is_judged_as_the_page_says(card: str, target: str) -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| {card},")]
    assert len(rows) == 1
    done = ran("targets", "--isolated", "--target", target, "--output-format", "json", FILE)
    found = json.loads(done.stdout)["files"][0]["targets"][0]
    assert f"| {WORDS[found['verdict']]}, {found['largest_batch']['micro_batch']} |" in rows[0]


def test_the_run_that_the_page_calls_tight_ran_out_and_the_estimate_said_so() -> None:
    done = ran("compare", "lab/data/recorded/reference.yaml", "lab/data/recorded/reference-8gib.jsonl")
    assert done.returncode == 0
    assert "the run ran out of memory" in done.stdout
