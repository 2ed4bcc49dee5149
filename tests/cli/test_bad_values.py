"""Values that no run can have: a finding where they stand, never a traceback, a hang, or a number as if they were good."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vramlint.cli import main

Run = Callable[..., Any]
Put = Callable[..., Path]
HEAD = "model_name_or_path: Qwen/Qwen2.5-1.5B\ntrainer: transformers\noutput_dir: out\nbf16: true\n"
OTHERS = {"max_length": "512", "per_device_train_batch_size": "2", "gradient_checkpointing": "true"}
ADAPTER = {"use_peft": "true", "lora_r": "16"}
DECIDING = [
    *[("per_device_train_batch_size", v) for v in
      ("0", "-1", "1000000000", "1e400", "9" * 30, "true", "2.5", "two", ".nan", ".inf", "[]", "{}")],
    *[("max_length", v) for v in ("0", "-1", "1000000000000", ".nan", ".inf", "true", "[]")],
    *[("optim", v) for v in ("adamw_foo", "7", "[]", "true")],
    *[("dtype", v) for v in ("float17", "7", "[]")],
    *[("lora_r", v) for v in ("0", "-1", "1000000000", "true", ".nan", "much")],
    *[("lora_target_modules", v) for v in ("[nothing_such]", "7")],
    *[("load_in_4bit", v) for v in ("7", "maybe")],
    ("attn_implementation", "7"), ("attn_implementation", "flash_attention_9"),
    ("model_name_or_path", "[]"), ("model_name_or_path", "7"),
]
"""These decide what memory is needed: a finding in their line, and no number."""
OTHER = [
    *[("per_device_eval_batch_size", v) for v in ("0", "-3", "true")],
    *[("gradient_accumulation_steps", v) for v in ("0", "-1", "9" * 22, "true", "1.5")],
    *[("num_train_epochs", v) for v in ("three", "-1", ".inf", ".nan", "true")],
    *[("learning_rate", v) for v in ("-1", ".nan", ".inf", "-.inf", "1e400", "fast", "true")],
    *[("max_grad_norm", v) for v in ("-1", ".nan", "x")],
    *[("weight_decay", v) for v in ("-1", ".nan")],
    *[("lora_alpha", v) for v in ("0", "-1", "x", "true")],
    *[("lora_dropout", v) for v in ("-1", "2", "x", ".nan")],
    ("max_steps", "1.5"), ("max_steps", "true"), ("bnb_4bit_quant_type", "nf5"),
]
"""These do not, and are an error all the same."""


def text_with(key: str, value: str) -> str:
    """A run whose last line says `key`."""
    keys = {**OTHERS, **(ADAPTER if key.startswith("lora") else {})}
    head = "".join(line for line in HEAD.splitlines(keepends=True) if not line.startswith(f"{key}:"))
    return head + "".join(f"{k}: {v}\n" for k, v in keys.items() if k != key) + f"{key}: {value}\n"


def printed(*arguments: str) -> tuple[int, str]:
    """Exit code and standard output of the command, in this process."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            code = main(["--isolated", "--target", "rtx3090", *arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
    return code, out.getvalue()


@pytest.mark.parametrize(("key", "value"), [*DECIDING, *OTHER])
def test_it_is_found_in_its_line(tmp_path: Path, key: str, value: str) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(text := text_with(key, value))
    _, out = printed("--output-format", "concise", str(path))
    line = len(text.splitlines())
    told = [entry for entry in out.splitlines() if entry.startswith(f"{path}:{line}:")]
    assert any(": error " in entry or ": warning " in entry for entry in told), out


@pytest.mark.parametrize(("key", "value"), DECIDING)
def test_what_decides_gives_no_number(tmp_path: Path, key: str, value: str) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(text_with(key, value))
    _, out = printed("--output-format", "json", str(path))
    assert [record["verdict"] for record in json.loads(out)["files"] if record["estimate"]] == []


@pytest.mark.parametrize(("name", "text", "place"), [
    ("train.toml", ('model_name_or_path = "Qwen/Qwen2.5-1.5B"\ntrainer = "transformers"\noutput_dir = "o"\n'
     "per_device_train_batch_size = 0\nlearning_rate = nan\n"), ("4:", "5:")),
    ("train.json", ('{"model_name_or_path": "Qwen/Qwen2.5-1.5B", "trainer": "transformers", "output_dir": "o",\n'
     '"per_device_train_batch_size": 0,\n"learning_rate": -1}\n'), ("2:", "3:")),
    ("train.py", ("from transformers import TrainingArguments, Trainer\nargs = TrainingArguments(\n  output_dir='o',\n"
     "  per_device_train_batch_size=0,\n  learning_rate=-1.0,\n)\n"), ("4:", "5:")),
])
def test_in_every_format(tmp_path: Path, name: str, text: str, place: tuple[str, ...]) -> None:
    path = tmp_path / name
    path.write_text(text)
    code, out = printed("--output-format", "concise", str(path))
    assert code == 1
    for start in place:
        assert any(line.startswith(f"{path}:{start}") and "VRM104" in line for line in out.splitlines()), out


KEYS = sorted({key for key, _ in [*DECIDING, *OTHER]} | set(OTHERS) | {
    "padding", "packing", "use_liger_kernel", "bf16", "fp16", "lora_alpha", "use_peft", "deepspeed", "fsdp", "eval_strategy",
    "gradient_checkpointing_kwargs", "model_init_kwargs", "warmup_steps", "tf32", "torch_compile", "optim_args",
})
VALUES = st.one_of(
    st.integers(), st.floats(), st.booleans(), st.none(), st.text(max_size=12), st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2), st.sampled_from(["1e999", "2e-5", "auto", "${x}", "0x10"]),
    st.integers(min_value=10**20, max_value=10**40),
)


@settings(max_examples=80, deadline=None)
@given(values=st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=5))
def test_any_value_at_any_key_ends_well_and_soon(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("any") / "train.json"
    path.write_text(json.dumps({"model_name_or_path": "Qwen/Qwen2.5-1.5B", "output_dir": "o", "max_length": 512, **values}))
    start = time.process_time()
    code, out = printed("--output-format", "json", str(path))
    assert time.process_time() - start < 2
    assert code in (0, 1, 2)
    json.loads(out)
