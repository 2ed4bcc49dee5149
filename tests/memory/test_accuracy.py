"""The simulation against runs measured on the phantom GPU: plain Trainer, dense decoders, torch's AdamW."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from lab.case import complete
from lab.cases import architecture_of, capability_of, run_of
from vramlint.memory import Estimate, estimate

DATA = Path(__file__).parents[2] / "lab" / "data" / "measured"


def rows(name: str) -> list[dict]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def errors(name: str) -> list[float]:
    found = []
    for row in rows(name):
        if "error" in row["measured"] or row.get("trainer", "hf") != "hf":
            continue
        if not row.get("optim", "adamw_torch_fused").startswith("adamw_torch"):
            continue
        result = estimate(run_of(row), architecture_of(row), capability=capability_of(row))
        if isinstance(result, Estimate):
            truth = row["measured"]["peak_allocated"]
            found.append(abs(result.allocated.typical - truth) / truth)
    return sorted(found)


def test_dense_decoders_are_right_within_two_percent_in_the_median() -> None:
    found = errors("decoders")
    assert len(found) > 80
    assert statistics.median(found) < 0.02
    assert found[int(0.9 * len(found))] < 0.07


def test_the_reference_run_is_what_was_measured() -> None:
    wanted = {
        "arch": "r1-distill-qwen-1.5b", "method": "qlora", "batch": 8, "seq": 512, "liger": False, "trainer": "hf",
        "checkpointing": True, "grad_accum": 8, "lora_r": 32,
    }
    measured = next(row for row in rows("first") if wanted.items() <= complete(row).items())
    result = estimate(run_of(measured), architecture_of(measured), capability=capability_of(measured))
    assert isinstance(result, Estimate)
    assert result.allocated.typical == pytest.approx(measured["measured"]["peak_allocated"], rel=0.02)


def test_the_parts_add_up_and_the_bands_are_in_order() -> None:
    for row in rows("decoders")[:40]:
        result = estimate(run_of(row), architecture_of(row), capability=capability_of(row))
        if not isinstance(result, Estimate):
            continue
        parts = result.peak.parts
        total = sum(getattr(parts, name) for name in type(parts).__dataclass_fields__)
        assert total == result.allocated.typical
        for band in (result.allocated, result.required, result.context, result.device):
            assert 0 < band.low <= band.typical <= band.high


def test_trainable_and_total_parameters_are_those_of_the_real_model() -> None:
    for row in rows("decoders"):
        result = estimate(run_of(row), architecture_of(row), capability=capability_of(row))
        if isinstance(result, Estimate) and row.get("method", "full") == "full" and "trainable" in row["measured"]:
            assert result.trainable_parameters == row["measured"]["trainable"], row["arch"]
