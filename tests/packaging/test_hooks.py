"""Which files pre-commit hands to the hooks."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
import yaml
from identify.identify import tags_from_filename

ROOT = Path(__file__).parents[2]
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
CORPUS = ROOT.parent / "shared" / "corpus" / "INDEX.csv"

TAKEN = [
    "train.yaml", "train_qlora.yml", "conf/train/base.yaml", "configs/llama3/8b_lora_single_device.yaml",
    "examples/train_lora/llama3_lora_sft.yaml", "recipes/zephyr-7b-beta/dpo/config_qlora.yaml", "sft.toml",
    "finetune.json", "accelerate_config.yaml", "ds_config_zero2.json", "deepspeed/ds_zero3.json",
    "config/train_gpt2.py", "lora/a.yml",
    "src/finetune_lora.py", "examples/reference/train.yaml", "deepspeed_configs/zero3.json", "my-lora-run.yaml",
]
LEFT = [
    "package.json", "frontend/package-lock.json", "tsconfig.json", ".github/workflows/train.yml", "pyproject.toml",
    "docker-compose.yaml", "README.md", "notebooks/train.ipynb", "src/model.py", "tests/test_train.py", "mkdocs.yml",
    "out/trainer_state.json", "train.sh", "model/tokenizer_config.json", "datasets/train.json",
    "train.jsonl", "train.csv",
]


def taken(hook: dict[str, object], path: str) -> bool:
    """Whether pre-commit hands the file to the hook: by its names, and by what `identify` makes of its suffix."""
    tags = tags_from_filename(path)
    return (
        re.search(str(hook["files"]), path) is not None
        and re.search(str(hook["exclude"]), path) is None
        and bool(tags & set(hook["types_or"]))  # type: ignore[call-overload]
        and not tags & set(hook["exclude_types"])  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("path", TAKEN)
@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_training_configs_are_taken(hook: dict[str, object], path: str) -> None:
    assert taken(hook, path)


@pytest.mark.parametrize("path", LEFT)
@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_other_files_are_left(hook: dict[str, object], path: str) -> None:
    assert not taken(hook, path)


def test_both_hooks_are_there_and_take_the_same_files() -> None:
    assert set(HOOKS) == {"vramlint", "vramlint-fix"}
    check, fix = HOOKS["vramlint"], HOOKS["vramlint-fix"]
    differing = {key for key in check if check[key] != fix[key]}
    assert differing == {"id", "name", "description", "entry"}


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus of real configs is not beside this checkout")
def test_nearly_all_real_configs_are_taken() -> None:
    with CORPUS.open(newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    hook = HOOKS["vramlint"]
    matched = [path for path in paths if re.search(hook["files"], path) and not re.search(hook["exclude"], path)]
    assert len(matched) >= 0.95 * len(paths)
