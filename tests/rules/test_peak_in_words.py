"""The parts of the peak as a finding about the fit tells them: the largest first, and none that shows as 0.0."""

from __future__ import annotations

from vramlint.catalog import Target, find_target
from vramlint.examine import Facts
from vramlint.linter import Options, check_data, load_rules

FULL = """\
model_name_or_path: Qwen/Qwen2.5-7B
trainer: transformers
dtype: bfloat16
max_length: 512
padding: false
per_device_train_batch_size: 1
gradient_checkpointing: true
bf16: true
"""
PARAMETERS = 7_615_616_512
"""As the model's card has them: in bf16 14.2 GiB, as much in gradients, twice as much in AdamW's states."""


def label_of(text: str, card: str) -> str:
    target = find_target(card)
    assert isinstance(target, Target)
    checked = check_data("train.yaml", text.encode(), Options((target,), Facts(isolated=True)), load_rules())
    (finding,) = [finding for finding in checked.findings if finding.name == "does-not-fit"]
    return finding.label or ""


def test_of_a_full_run_it_is_the_optimizer_and_the_gradients_are_told() -> None:
    told = label_of(FULL, "rtx4090").partition(": ")[2]
    weights = f"{PARAMETERS * 2 / 2**30:.1f}"
    assert told.startswith(f"optimizer {PARAMETERS * 4 / 2**30:.1f}, ")
    assert f"weights {weights}" in told
    assert f"gradients {weights}" in told
    assert " 0.0" not in told


def test_no_more_than_four_parts() -> None:
    adapted = FULL + "use_peft: true\nlora_r: 256\nlora_target_modules: all-linear\n"
    assert len(label_of(adapted, "12GiB@8.6").partition(": ")[2].split(", ")) == 4
