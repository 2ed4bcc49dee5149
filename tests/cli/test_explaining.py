"""What `vramlint estimate` says beyond the number: facts that turn the verdict, and the receipt."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vramlint.catalog.measured import measured_runs
from vramlint.explaining.receipt import receipt_of
from vramlint.memory import Estimate, estimate
from vramlint.run import Run

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "examples" / "reference" / "train.yaml"
OPEN = """\
model_name_or_path: Qwen/Qwen2.5-0.5B
max_length: {length}
use_peft: true
per_device_train_batch_size: 4
learning_rate: 2.0e-4
"""


def ran(*arguments: str, cwd: Path = ROOT) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "vramlint", "estimate", "--isolated", *arguments], cwd=cwd, capture_output=True, encoding="utf-8",
        check=False, env={"PYTHONPATH": str(ROOT), "PATH": "", "PYTHONIOENCODING": "utf-8"},
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


def record_of(path: Path, *arguments: str) -> dict[str, Any]:
    _, text = ran("--output-format", "json", *arguments, str(path))
    found: dict[str, Any] = json.loads(text)["files"][0]
    return found


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "train.yaml"
    path.write_text(OPEN.format(length=1024))
    return path


def test_the_trainer_that_nobody_named_turns_the_verdict_and_naming_it_does(written: Path) -> None:
    turning = record_of(written, "--target", "rtx3070")["turning"]
    said = {fact["other"]: fact for fact in turning if fact["key"] == "trainer"}
    assert said["trl-sft"]["verdict"] == "fits"
    stated = record_of(written, "--target", "rtx3070", "--set", "trainer=trl-sft")
    assert stated["verdict"] == "fits"
    assert stated["estimate"]["device"] == said["trl-sft"]["device"]
    assert not any(fact["key"] == "trainer" for fact in stated["turning"])


@pytest.mark.parametrize("target", ["12GiB@8.6", "6GiB@8.6", "18GiB@9.0"])
def test_each_fact_that_is_said_to_turn_the_verdict_does_when_it_is_stated(written: Path, target: str) -> None:
    stated = ("--set", "trainer=transformers", "--target", target)
    before = record_of(written, *stated)
    for fact in before["turning"]:
        if fact["key"] in ("stack", "max_length", "dtype"):
            continue  # not settable as one key, or said as a sentence
        after = record_of(written, *stated, "--set", f"{fact['key']}={fact['other']}")
        assert after["verdict"] == fact["verdict"] != before["verdict"], fact
        assert after["estimate"]["device"] == fact["device"]


def test_what_is_stated_turns_nothing(written: Path) -> None:
    before = record_of(written, "--set", "trainer=transformers", "--target", "12GiB@8.6")
    assert "gradient_checkpointing" in {fact["key"] for fact in before["turning"]}
    after = record_of(written, "--set", "trainer=transformers", "--set", "gradient_checkpointing=false", "--target", "12GiB@8.6")
    assert after["verdict"] == before["verdict"]
    assert "gradient_checkpointing" not in {fact["key"] for fact in after["turning"]}


def test_a_length_that_nobody_stated_is_tried(written: Path) -> None:
    written.write_text(OPEN.format(length="${length}"))
    code, text = ran("--target", "rtx3070", "--set", "trainer=transformers", str(written))
    assert code == 1
    assert "no estimate" in text
    needs = [fact["device"]["typical"] for fact in record_of(written, "--set", "trainer=transformers")["turning"]]
    assert len(needs) >= 3
    assert needs == sorted(needs)


def test_without_a_target_no_verdict_can_turn(written: Path) -> None:
    assert record_of(written, "--set", "trainer=transformers")["turning"] == []


def test_the_screen_has_the_moment_the_tensors_the_next_peak_and_the_receipt() -> None:
    code, text = ran("--target", "rtx3070", str(REFERENCE))
    assert code == 0
    assert "at the peak, backward of the loss, step 2" in text
    assert "2.3 GiB  log-softmax of the logits 8×512×151936 fp32" in text
    assert "without it the peak would be" in text
    assert "receipt, the nearest measured run: r1-distill-qwen-1.5b, transformers" in text


def test_the_reference_is_nearest_to_the_run_that_measured_it() -> None:
    """The measured figures of DESIGN's standing example: 11.1 GiB allocated, 12.8 GiB required."""
    receipt = record_of(REFERENCE, "--target", "rtx3070")["receipt"]
    assert {each["key"] for each in receipt["differs"]} <= {"padding", "compute capability"}
    assert receipt["measured"]["allocated"] / 2**30 == pytest.approx(11.1, abs=0.05)
    assert receipt["measured"]["required"] / 2**30 == pytest.approx(12.8, rel=0.01)  # the search for it ends within 1 %
    for figure in ("allocated", "required"):
        assert receipt["error"][figure] == pytest.approx(receipt["estimated"][figure] / receipt["measured"][figure] - 1, abs=1e-5)


def test_a_measured_run_is_its_own_receipt() -> None:
    tried = 0
    for measured in measured_runs()[::60]:
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in measured.run.items()}
        receipt = receipt_of(Run(**values), measured.architecture, measured.capability)
        assert receipt is not None
        assert receipt["differs"] == [], measured
        tried += 1
    assert tried >= 5


def test_a_receipt_is_as_far_off_as_the_estimate_of_its_run() -> None:
    measured = measured_runs()[0]
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in measured.run.items()}
    made = estimate(Run(**values), measured.architecture, capability=measured.capability)
    assert isinstance(made, Estimate)
    receipt = receipt_of(Run(**values), measured.architecture, measured.capability)
    assert receipt is not None
    assert receipt["estimated"]["allocated"] == made.allocated.typical


def test_checking_a_file_explains_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "vramlint", "--target", "rtx3070", str(REFERENCE)],
        cwd=ROOT, capture_output=True, encoding="utf-8", check=False,
    )
    assert "vramlint.explaining.receipt" not in done.stderr
    assert "vramlint.explaining.turning" not in done.stderr
