"""A plan that is written into a file is then read, recognised and estimated as the run that it promised, in every dialect."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from vramlint.catalog import Target, find_target
from vramlint.examine import Facts
from vramlint.findings import Fix, Safety
from vramlint.linter import Checked, Options, check_data, load_rules
from vramlint.rewriting.fixing import fix_data
from vramlint.source import Edited, apply

RULES = load_rules()
BATCH = "per_device_train_batch_size: 4\ngradient_accumulation_steps: 4\n"
HUGGING_FACE = f"model_name_or_path: meta-llama/Llama-3.1-8B\nmax_length: 4096\n{BATCH}dtype: bfloat16\nbf16: true\ntrainer: "
AXOLOTL = """\
base_model: NousResearch/Meta-Llama-3-8B
sequence_len: 4096
sample_packing: true
micro_batch_size: 4
gradient_accumulation_steps: 4
optimizer: adamw_torch
bf16: auto
flash_attention: true
datasets:
  - path: tatsu-lab/alpaca
    type: alpaca
"""
LLAMA_FACTORY = f"""\
model_name_or_path: meta-llama/Meta-Llama-3-8B-Instruct
stage: sft
do_train: true
dataset: identity
template: llama3
cutoff_len: 4096
{BATCH}bf16: true
finetuning_type: """
SWIFT = f"model: Qwen/Qwen2.5-7B-Instruct\ndataset: x\nmax_length: 4096\n{BATCH}torch_dtype: bfloat16\ntuner_type: "
OUMI = """\
model:
  model_name: meta-llama/Llama-3.1-8B-Instruct
  model_max_length: 4096
  torch_dtype_str: bfloat16
data:
  train:
    datasets:
      - dataset_name: yahma/alpaca-cleaned
training:
  trainer_type: TRL_SFT
  per_device_train_batch_size: 4
  gradient_accumulation_steps: 4
  optimizer: adamw_torch
"""
CONFIGS = {
    "huggingface sft": f"{HUGGING_FACE}trl-sft\n",
    "huggingface lora": f"{HUGGING_FACE}transformers\nuse_peft: true\nlora_r: 64\nlora_target_modules: all-linear\n",
    "axolotl full": AXOLOTL,
    "axolotl lora": f"{AXOLOTL}adapter: lora\nlora_r: 32\nlora_alpha: 16\nlora_target_linear: true\n",
    "axolotl qlora": f"{AXOLOTL}adapter: qlora\nload_in_4bit: true\nlora_r: 32\nlora_alpha: 16\nlora_target_linear: true\n",
    "llamafactory full": f"{LLAMA_FACTORY}full\n",
    "llamafactory lora": f"{LLAMA_FACTORY}lora\nlora_rank: 32\nlora_target: all\n",
    "ms-swift lora": f"{SWIFT}lora\n", "ms-swift full": f"{SWIFT}full\n",
    "oumi full": OUMI, "oumi lora": f"{OUMI}  use_peft: true\npeft:\n  lora_r: 32\n  lora_alpha: 64\n",
}


def options_for(card: str) -> Options:
    target = find_target(card)
    assert isinstance(target, Target)
    return Options((target,), Facts(isolated=True))


def fixes_of(checked: Checked) -> list[Fix]:
    return [fix for finding in checked.findings if finding.name == "does-not-fit" for fix in finding.fixes]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("card", ["rtx3090", "16GiB@7.5"])
def test_every_plan_said_to_fit_fits_when_the_file_is_read_again(name: str, card: str) -> None:
    options, data = options_for(card), CONFIGS[name].encode()
    before = check_data("train.yaml", data, options, RULES)
    assert before.file is not None
    promised = [fix for fix in fixes_of(before) if fix.outcome is not None and fix.outcome.verdict == "fits"]
    assert promised or card != "rtx3090" or name == "oumi full"  # which has no section for adapters
    for fix in promised:
        assert fix.refused is None, (fix.title, fix.refused)
        edited = apply(before.file, fix.operations)
        assert isinstance(edited, Edited), fix.title
        after = check_data("train.yaml", edited.text.encode(), options, RULES)
        (record,) = after.records
        assert record["verdict"] == "fits", fix.title
        assert fix.outcome is not None
        assert record["estimate"]["device"]["typical"] == pytest.approx(fix.outcome.device_typical, rel=0.02), fix.title


def test_axolotl_quantises_only_under_qlora_and_its_plan_says_so() -> None:
    options, data = options_for("16GiB@8.6"), CONFIGS["axolotl lora"].encode()
    fixed = fix_data("train.yaml", data, options, RULES, Safety.UNSAFE).data.decode()
    assert ("load_in_4bit: true" in fixed) == ("adapter: qlora" in fixed)


def test_liger_is_safe_where_the_project_names_it(tmp_path: Path) -> None:
    data = f"{HUGGING_FACE}transformers\nuse_peft: true\n".encode()
    target = find_target("a100-80gb")
    assert isinstance(target, Target)
    for installed, safety in ((frozenset[str](), Safety.UNSAFE), (frozenset({"liger-kernel"}), Safety.SAFE)):
        options = Options((target,), Facts(isolated=True, overrides={}, installed=installed))
        data_of = str(tmp_path / "train.yaml")
        small = Options((Target("x", "x", "nvidia", 30 << 30, 0, (8, 0), "a test"),), options.facts)
        found = [fix for fix in fixes_of(check_data(data_of, data, small, RULES)) if fix.title.startswith("Liger kernels")]
        assert found
        assert {fix.safety for fix in found} == {safety}


def corpus() -> list[Path]:
    named = os.environ.get("VRAMLINT_CORPUS")
    root = Path(named) if named else Path(__file__).parents[3] / "shared" / "corpus"
    files = sorted(p for p in root.rglob("*") if p.suffix in (".yaml", ".yml", ".json", ".toml") and p.stat().st_size < 20_000)
    return random.Random(5).sample(files, min(60, len(files)))  # noqa: S311 — the same each time


@pytest.mark.parametrize("part", range(2))
def test_fixing_real_configs_twice_changes_nothing_the_second_time(part: int) -> None:
    files = corpus()[part::2]
    if not files:
        pytest.skip("no corpus here: set VRAMLINT_CORPUS")
    options = options_for("rtx3090")
    for path in files:
        once = fix_data(path.name, path.read_bytes(), options, RULES, Safety.UNSAFE)
        again = fix_data(path.name, once.data, options, RULES, Safety.UNSAFE)
        assert (again.data, again.done) == (once.data, ()), path
