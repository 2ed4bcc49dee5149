"""vramlint.monitor: negligible in cost, harmless without torch, and true where a CUDA build of torch is at hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vramlint.comparing.recording import RecordingError, recording_of

ROOT = Path(__file__).parents[2]
PHANTOM = ROOT / "lab" / "phantom"
VENV = Path(os.environ.get("VRAMLINT_PHANTOM_VENV", sys.prefix))
needs_cuda = pytest.mark.skipif(
    not list(VENV.glob("lib/python*/site-packages/torch/lib/libtorch_cuda.so")) or sys.platform != "linux",
    reason="no CUDA build of torch",
)
SCRIPT = """
import sys, torch
from vramlint.monitor import watch
size, fails = int(sys.argv[2]), len(sys.argv) > 3
model = torch.nn.Linear(size, size, bias=False, device="cuda")
optimizer = torch.optim.AdamW(model.parameters())
with watch(sys.argv[1], model=model) as memory:
    for _ in range(4):
        model(torch.ones(8, size, device="cuda")).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        if fails:
            raise ValueError("mid-way")
print(memory.peak_allocated)
"""


def test_asking_for_the_monitor_imports_no_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, vramlint.monitor as m; print('torch' in sys.modules, m.watch.__name__)"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )
    assert done.stdout.split() == ["False", "watch"]


def test_the_shipped_recordings_cost_next_to_nothing() -> None:
    for path in sorted((ROOT / "lab" / "data" / "recorded").glob("*.jsonl")):
        end = json.loads(path.read_text().splitlines()[-1])
        assert end["recording_seconds"] < 0.5
        assert path.stat().st_size < 20_000


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("phantom")
    subprocess.run([PHANTOM / "build.sh", VENV, out], check=True, capture_output=True)
    return {**os.environ, "PHANTOM_OUT": str(out), "PHANTOM_MEM": str(1 << 33), "PHANTOM_CC": "86", "PYTHONPATH": str(ROOT)}


def recorded(phantom: dict[str, str], path: Path, *more: str) -> list[dict[str, object]]:
    size = 1024
    subprocess.run(
        [PHANTOM / "phantom-python", VENV, "-c", SCRIPT, path, str(size), *more],
        env=phantom, check=not more, capture_output=True, text=True,
    )
    return [json.loads(line) for line in path.read_text().splitlines()]


@needs_cuda
def test_each_part_is_what_arithmetic_says(phantom: dict[str, str], tmp_path: Path) -> None:
    lines = recorded(phantom, tmp_path / "run.jsonl")
    weight = 1024 * 1024 * 4
    parts = [line["parts"] for line in lines if "parts" in line][-1]
    assert isinstance(parts, dict)
    assert parts["weights"] == weight
    assert parts["gradients"] == weight
    assert 2 * weight <= parts["optimizer"] <= 2 * weight + 1024
    phases = [line["phase"] for line in lines if "phase" in line]
    assert phases[1:4] == ["forward", "backward", "optimizer step"]
    assert lines[-1]["steps"] == 4
    assert lines[-1]["error"] is None


@needs_cuda
def test_an_exception_is_written_down_and_goes_on(phantom: dict[str, str], tmp_path: Path) -> None:
    assert recorded(phantom, tmp_path / "run.jsonl", "fails")[-1]["error"] == "ValueError"


@needs_cuda
def test_the_callback_is_a_trainers_callback_and_without_a_card_it_only_says_so(tmp_path: Path) -> None:
    code = """
import sys, types, warnings
from transformers import TrainerCallback
from vramlint.monitor import MemoryCallback
assert issubclass(MemoryCallback, TrainerCallback)
for path in sys.argv[1:]:
    callback = MemoryCallback(path)
    for event in ("on_train_begin", "on_step_begin", "on_pre_optimizer_step", "on_optimizer_step", "on_evaluate", "on_train_end"):
        getattr(callback, event)(types.SimpleNamespace(bf16=True), None, None)
"""
    path = tmp_path / "run.jsonl"
    done = subprocess.run(
        [VENV / "bin" / "python", "-c", code, path, tmp_path / "none" / "run.jsonl"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True, check=True,
    )
    assert "vramlint records nothing" in done.stderr
    assert json.loads(path.read_text().splitlines()[0])["device"] is None
    with pytest.raises(RecordingError, match="without a CUDA device"):
        recording_of("run.jsonl", path.read_bytes())
