"""What a script lets the card decide: bf16 where the card has it, fp16 where it has not."""

from __future__ import annotations

from pathlib import Path

import pytest

from vramlint.catalog import Target, find_target
from vramlint.examine import Facts, numbers_of, subjects_of
from vramlint.linter import Options, check_data, load_rules

SCRIPT = """\
from transformers import AutoModelForCausalLM, TrainingArguments
from unsloth import is_bfloat16_supported
max_seq_length = 256
model = AutoModelForCausalLM.from_pretrained("Qwen/Qwen2.5-0.5B")
args = TrainingArguments("o", per_device_train_batch_size=1, bf16=is_bfloat16_supported(), fp16=not is_bfloat16_supported())
"""
WRITTEN = SCRIPT.replace("bf16=is_bfloat16_supported(), fp16=not is_bfloat16_supported()", "bf16=True")


@pytest.mark.parametrize(("card", "half"), [("t4", "fp16"), ("rtx3090", "bf16")])
def test_the_card_decides(card: str, half: str) -> None:
    target = find_target(card)
    assert isinstance(target, Target)
    (subject,) = subjects_of("train.py", SCRIPT.encode(), Facts(isolated=True))
    run = numbers_of(subject, target).worst.run
    assert (run.bf16, run.fp16) == (half == "bf16", half == "fp16")


@pytest.mark.parametrize(("text", "fires"), [(SCRIPT, False), (WRITTEN, True)])
def test_only_what_is_written_is_an_error_on_a_card_without_bf16(tmp_path: Path, text: str, fires: bool) -> None:
    target = find_target("t4")
    assert isinstance(target, Target)
    checked = check_data(
        str(tmp_path / "train.py"), text.encode(), Options((target,), Facts(isolated=True), plans=False), load_rules(),
    )
    assert ("VRM301" in {finding.code for finding in checked.findings}) is fires
