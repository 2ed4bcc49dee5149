"""What is recognised and not simulated: said on the screen, and never a number."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

KOHYA = (
    "pretrained_model_name_or_path = 'x'\nresolution = '512,512'\nenable_bucket = true\nnetwork_module = 'networks.lora'\n"
    "train_batch_size = 2\nmixed_precision = 'bf16'\nmax_train_epochs = 10\n"
)
VERL = (
    "data: {max_prompt_length: 512, max_response_length: 512}\n"
    "actor_rollout_ref: {model: {path: Qwen/Qwen2.5-1.5B}, actor: {ppo_micro_batch_size_per_gpu: 2}}\n"
)


@pytest.mark.parametrize(("name", "text", "reason"), [
    ("a.toml", KOHYA, "the memory of image training comes later"), ("a.yaml", VERL, "the trainer verl is not simulated yet"),
])
def test_the_reason_is_said_and_no_verdict(
    vramlint: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, name: str, text: str, reason: str,
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    done = vramlint("--isolated", "--target", "a100-40gb", name)
    assert reason in done.stdout
    assert "fits" not in done.stdout
    assert "GiB" not in done.stdout
