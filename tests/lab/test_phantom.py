"""The phantom GPU, where an environment with a CUDA build of torch is at hand: VRAMLINT_PHANTOM_VENV, or this one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.case import complete
from lab.measure import Worker, least_capacity

PHANTOM = Path(__file__).parents[2] / "lab" / "phantom"
VENV = Path(os.environ.get("VRAMLINT_PHANTOM_VENV", sys.prefix))
TINY = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 8192,
    "tie_word_embeddings": False,
}

pytestmark = [
    pytest.mark.skipif(
        not list(VENV.glob("lib/python*/site-packages/torch/lib/libtorch_cuda.so")), reason="no CUDA build of torch"
    ),
    pytest.mark.skipif(sys.platform != "linux", reason="the phantom is built for Linux"),
]

SCRIPT = """
import json, torch
asked = []
try:
    while True:
        asked.append(torch.ones(64 << 20, dtype=torch.uint8, device="cuda"))
except torch.OutOfMemoryError:
    pass
print(json.dumps({"capability": torch.cuda.get_device_capability(), "blocks": len(asked),
                  "total": torch.cuda.get_device_properties(0).total_memory, "reads": asked[0][:1].item()}))
"""


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantom")
    subprocess.run([PHANTOM / "build.sh", VENV, out], check=True, capture_output=True)
    return out


def test_it_has_the_memory_and_the_capability_it_is_told_and_runs_out(libraries: Path) -> None:
    environment = {**os.environ, "PHANTOM_OUT": str(libraries), "PHANTOM_MEM": str(1 << 30), "PHANTOM_CC": "86"}
    done = subprocess.run(
        [PHANTOM / "phantom-python", VENV, "-c", SCRIPT], env=environment, check=True, capture_output=True, text=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "capability": [8, 6],
        "blocks": 16,
        "total": 1 << 30,
        "reads": 0,
    }


def test_without_libraries_it_says_how_to_build_them(tmp_path: Path) -> None:
    environment = {**os.environ, "PHANTOM_OUT": str(tmp_path)}
    done = subprocess.run(
        [PHANTOM / "phantom-python", VENV, "-c", ""], env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "build.sh" in done.stderr


@pytest.fixture(scope="module")
def worker(libraries: Path) -> Iterator[Worker]:
    os.environ["PHANTOM_OUT"] = str(libraries)
    try:
        served = Worker("8.0", VENV)
        yield served
        served.close()
    finally:
        del os.environ["PHANTOM_OUT"]


def parameters(fields: Mapping[str, Any]) -> int:
    hidden, kv = (
        fields["hidden_size"],
        fields["hidden_size"] * fields["num_key_value_heads"] // fields["num_attention_heads"],
    )
    layer = 2 * hidden * hidden + 2 * hidden * kv + 3 * hidden * fields["intermediate_size"] + 2 * hidden
    return fields["num_hidden_layers"] * layer + 2 * fields["vocab_size"] * hidden + hidden


def test_a_run_takes_what_arithmetic_says_of_weights_gradients_and_optimizer(worker: Worker) -> None:
    measured = worker.run(complete({"arch": TINY, "batch": 1, "seq": 64, "checkpointing": False}))
    count = parameters(TINY)
    assert measured["trainable"] == count
    assert measured["static"] == pytest.approx(2 * count, rel=0.01)
    # two moments in bf16, and cuBLAS's 8.125 MiB of work space for each of the two threads that multiply
    assert measured["before_step_1"] - measured["static"] == pytest.approx(4 * count + 2 * 8_519_680, rel=0.01)


def test_a_padded_batch_has_a_mask_and_an_unpadded_one_has_none(worker: Worker) -> None:
    case = {"arch": TINY, "batch": 2, "seq": 2048, "checkpointing": False, "attn": "sdpa"}
    padded = worker.run(complete({**case, "padded": True}))["peak_allocated"]
    assert padded - worker.run(complete(case))["peak_allocated"] >= 2 * 2048 * 2048


def test_trl_scores_every_token(worker: Worker) -> None:
    """Its loss takes only what a mask selects, and has tiles of 4096 tokens × 32768 words of two bytes at most."""
    case = {"arch": TINY, "trainer": "sft", "batch": 4, "seq": 512, "checkpointing": True}
    measured = worker.run(complete(case))
    tile = 4 * 511 * 32768 * 2
    assert measured["peak_allocated"] >= measured["static"] + tile


def test_the_least_capacity_is_bracketed_by_runs(worker: Worker) -> None:
    case = complete({"arch": TINY, "batch": 2, "seq": 256, "capacity": True})
    measured = worker.run(case)
    expected = measured.pop("expected_capacity")
    found = least_capacity(worker, case, measured, ())
    assert [found["too_little"], found["least_capacity"]] == list(expected)
    assert measured["peak_allocated"] <= found["least_capacity"] <= measured["peak_reserved"] + (32 << 20)
    assert worker.run(case, found["too_little"] / measured["device_bytes"])["error"] == "oom"


def test_expandable_segments_take_only_what_is_mapped(libraries: Path) -> None:
    script = (
        "import torch; a = [torch.empty(300 << 20, dtype=torch.uint8, device='cuda') for _ in range(5)]; del a[1]; del a[2]; "
        "b = torch.empty(700 << 20, dtype=torch.uint8, device='cuda'); grown = torch.cuda.memory_reserved() >> 20; "
        "torch.cuda.empty_cache(); print(grown, torch.cuda.memory_reserved() >> 20)"
    )
    environment = {
        **os.environ, "PHANTOM_OUT": str(libraries), "PHANTOM_MEM": str(4 << 30), "PHANTOM_CC": "80",
        "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
    }
    done = subprocess.run(
        [PHANTOM / "phantom-python", VENV, "-c", script], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["2200", "1600"]  # five of 300 and one of 700 in a row; two holes given back
