"""`vramlint compare`: recordings of the phantom GPU beside their configurations, and files that are no recordings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vramlint.comparing.recording import Recording, RecordingError, recording_of

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "lab" / "data" / "recorded"
PAIRS = [("reference.yaml", "reference.jsonl"), ("sft-lora.yaml", "sft-lora.jsonl"), ("full-watch.yaml", "full-watch.jsonl")]


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "vramlint", "compare", "--isolated", *arguments], cwd=ROOT, capture_output=True, encoding="utf-8",
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def compared(config: Path | str, recording: Path | str, *more: str) -> dict[str, Any]:
    done = ran("--output-format", "json", *more, str(RECORDED / config), str(RECORDED / recording))
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["version"] == 1
    assert done.returncode == (0 if found["agrees"] else 1)
    return found


def changed(tmp_path: Path, name: str, **values: Any) -> Path:
    """A recording whose first line says something else."""
    first, *rest = (RECORDED / name).read_text().splitlines()
    path = tmp_path / name
    path.write_text("\n".join([json.dumps({**json.loads(first), **values}), *rest]) + "\n")
    return path


@pytest.mark.parametrize(("config", "recording"), PAIRS)
def test_a_recorded_run_agrees_with_its_estimate(config: str, recording: str) -> None:
    found = compared(config, recording)
    assert found["agrees"], found["report"]
    assert found["report"] == []
    allocated = next(figure for figure in found["figures"] if figure["figure"] == "allocated")
    assert abs(allocated["error"]) < 0.02
    for part in found["parts"]:
        assert part["error"] == pytest.approx(0, abs=0.05), part


@pytest.mark.parametrize(("config", "recording"), PAIRS)
def test_what_was_measured_is_what_the_file_says(config: str, recording: str) -> None:
    lines = [json.loads(line) for line in (RECORDED / recording).read_text().splitlines()]
    highest = max(line["peak_allocated"] for line in lines if "peak_allocated" in line)
    allocated = next(figure for figure in compared(config, recording)["figures"] if figure["figure"] == "allocated")
    assert allocated["measured"] == highest


def test_a_run_that_ran_out_agrees_with_an_estimate_that_does_not_fit() -> None:
    found = compared("reference.yaml", "reference-8gib.jsonl")
    assert found["agrees"]
    assert found["figures"][0]["estimated"]["low"] > found["total"]
    assert "OutOfMemoryError" in found["notes"][-1]


def test_a_run_that_ran_out_where_the_estimate_fits_differs(tmp_path: Path) -> None:
    found = compared("reference.yaml", changed(tmp_path, "reference-8gib.jsonl", total=24 << 30))
    assert not found["agrees"]


def test_other_settings_are_named_before_anything_else() -> None:
    done = ran(str(RECORDED / "reference.yaml"), str(RECORDED / "reference.jsonl"), "--set", "per_device_train_batch_size=4")
    assert done.returncode == 1
    assert "per_device_train_batch_size 8 (the file: 4)" in done.stdout
    assert "Compare the file that was run" in done.stdout


def test_a_dropout_that_the_run_did_not_have_is_found() -> None:
    found = compared("sft-lora.yaml", "sft-lora.jsonl", "--set", "lora_dropout=0.05")
    assert [each["key"] for each in found["settings"]] == ["lora_dropout"]
    assert not found["agrees"]


def test_another_number_of_trained_parameters_is_told(tmp_path: Path) -> None:
    text = (RECORDED / "reference.jsonl").read_text().replace('"trainable": 36929536', '"trainable": 1')
    path = tmp_path / "run.jsonl"
    path.write_text(text)
    found = compared("reference.yaml", path)
    assert found["trainable_parameters"] == {"estimated": 36_929_536, "measured": 1}
    assert "target modules" in found["report"][0]


def test_a_difference_says_where_it_is_and_what_to_report(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in (RECORDED / "reference.jsonl").read_text().splitlines()]
    for line in lines:
        if "parts" in line:
            line["parts"]["weights"] += 4 << 30
        for key in ("peak_allocated", "peak_reserved"):
            if key in line:
                line[key] += 4 << 30
    path = tmp_path / "run.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = " ".join(compared("reference.yaml", path)["report"])
    assert "most of it is in weights" in report
    assert "--output-format json" in report


def test_shorter_batches_than_the_file_allows_are_estimated_as_they_were(tmp_path: Path) -> None:
    text = (RECORDED / "reference.jsonl").read_text().replace("[8, 512]", "[8, 256]")
    path = tmp_path / "run.jsonl"
    path.write_text(text)
    found = compared("reference.yaml", path)
    assert any("8×256" in note for note in found["notes"])
    assert found["figures"][0]["estimated"]["typical"] < found["configured"]["typical"]


def test_nvidia_smi_gives_the_context(tmp_path: Path) -> None:
    lines = (RECORDED / "reference.jsonl").read_text().splitlines()
    smi = {"step": 1, "nvidia_smi": {"process": (13 << 30) + (400 << 20), "device": None}, "reserved": 13 << 30}
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join([*lines[:-1], json.dumps(smi), lines[-1]]) + "\n")
    context = [figure for figure in compared("reference.yaml", path)["figures"] if figure["figure"] == "context"]
    assert [figure["measured"] for figure in context] == [400 << 20]


def test_a_recording_without_its_end_is_read(tmp_path: Path) -> None:
    lines = (RECORDED / "reference.jsonl").read_text().splitlines()
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join(lines[:-1]) + "\n")
    assert any("no end" in note for note in compared("reference.yaml", path)["notes"])


HEADER = '{"vramlint_run": 1, "device": "x", "total": 1, "capability": "8.6"}\n'


@pytest.mark.parametrize(("text", "said"), [
    ("", "run.jsonl:1:1: the file is empty"),
    ('{"a": 1}\n', "run.jsonl:1:1: not written by vramlint.monitor"),
    ("model: x\n", "run.jsonl:1:1: not JSON"),
    ("[1]\n", "run.jsonl:1:1: not an object"),
    ('{"vramlint_run": 99}\n', "run.jsonl:1:1: written in form 99"),
    ('{"vramlint_run": 1, "device": null}\n', "without a CUDA device"),
    (HEADER, "run.jsonl:1:1: the recording ends before"),
    (HEADER + '{"phase": "forward", "step": 0, "pea',
     "run.jsonl:2:33: the file ends in the middle of a line"),
    (HEADER + '\n{"phase": "forward", "step": 0, "peak_allocated": -1}\n',
     "run.jsonl:3:1: 'peak_allocated' is -1"),
])
def test_what_is_no_recording_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "run.jsonl").write_text(text)
    done = ran(str(RECORDED / "reference.yaml"), str(tmp_path / "run.jsonl"))
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_files_that_are_not_there_and_configurations_that_are_none(tmp_path: Path) -> None:
    recording = str(RECORDED / "reference.jsonl")
    (tmp_path / "other.yaml").write_text("a: 1\n")
    (tmp_path / "open.yaml").write_text("model_name_or_path: ${m}\nper_device_train_batch_size: 1\ntrainer: transformers\n")
    for config, said in (("none.yaml", "cannot be read"), ("other.yaml", "no training config"), ("open.yaml", "no estimate")):
        done = ran(str(tmp_path / config), recording)
        assert done.returncode == 2
        assert said in done.stderr
    assert ran(str(RECORDED / "reference.yaml"), str(tmp_path / "none.jsonl")).returncode == 2


WHOLE = (RECORDED / "sft-lora.jsonl").read_bytes()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(WHOLE)), st.binary(max_size=6))
def test_a_damaged_recording_is_read_or_refused(at: int, inserted: bytes) -> None:
    for damaged in (WHOLE[:at] + inserted, WHOLE[:at] + inserted + WHOLE[at:]):
        found = read_or_refused(damaged)
        assert found.startswith("run.jsonl:") if isinstance(found, str) else found.peak_allocated > 0


def read_or_refused(data: bytes) -> Recording | str:
    try:
        return recording_of("run.jsonl", data)
    except RecordingError as error:
        return str(error)
