"""Configs built on others: `_base_` and Hydra's `defaults`."""

from __future__ import annotations

from pathlib import Path

import pytest

from vramlint.examine import Facts, Subject, subject_of
from vramlint.source import read

BASE = """\
data:
  train_batch_size: 64
  micro_batch_size_per_gpu: 4
  train_files: a.parquet
  max_length: 512
model:
  partial_pretrain: Qwen/Qwen2.5-0.5B
  enable_gradient_checkpointing: true
optim:
  lr: 1.0e-5
trainer:
  n_gpus_per_node: 8
"""
XTUNER = """\
from xtuner.dataset import process_hf_dataset
pretrained_model_name_or_path = 'internlm/internlm2-7b'
max_length = 2048
pack_to_max_length = True
batch_size = 2
accumulative_counts = 16
model = dict(type=SupervisedFinetune, llm=dict(type=AutoModelForCausalLM.from_pretrained,
    pretrained_model_name_or_path=pretrained_model_name_or_path))
train_dataloader = dict(batch_size=batch_size)
optim_wrapper = dict(accumulative_counts=accumulative_counts)
train_cfg = dict(max_epochs=1)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    return tmp_path


def subject(path: Path, text: str) -> Subject:
    path.write_text(text)
    file = read(str(path), path.read_bytes())
    found = subject_of(file, file.documents[0], Facts())
    assert found is not None
    return found


def test_hydra_s_defaults(project: Path) -> None:
    (project / "base.yaml").write_text(BASE)
    found = subject(project / "mine.yaml", "defaults:\n  - base\n  - _self_\ndata:\n  micro_batch_size_per_gpu: 2\n")
    (run,) = found.runs
    assert found.recognised.dialect == "verl"
    assert (run.model_name_or_path, run.per_device_train_batch_size, run.max_length) == ("Qwen/Qwen2.5-0.5B", 2, 512)
    assert run.num_processes == 8
    origin = found.recognised.origins["max_length"]
    assert origin.value_span is not None
    assert origin.value_span.path == str(project / "base.yaml")


def test_what_comes_after_self_wins(project: Path) -> None:
    (project / "base.yaml").write_text(BASE)
    found = subject(project / "mine.yaml", "defaults: [_self_, base]\ndata:\n  micro_batch_size_per_gpu: 2\n")
    assert found.runs[0].per_device_train_batch_size == 4


def test_a_group_stands_under_its_name(project: Path) -> None:
    (project / "base.yaml").write_text(BASE.replace("  max_length: 512\n", ""))
    (project / "data").mkdir()
    (project / "data" / "long.yaml").write_text("max_length: 8192\n")
    found = subject(project / "mine.yaml", "defaults: [base, {data: long}]\n")
    assert found.runs[0].max_length == 8192


def test_bases_of_a_script(project: Path) -> None:
    (project / "base.py").write_text(XTUNER)
    found = subject(project / "mine.py", "_base_ = ['./base.py']\nbatch_size = 1\n")
    (run,) = found.runs
    assert (run.model_name_or_path, run.per_device_train_batch_size, run.max_length) == ("internlm/internlm2-7b", 1, 2048)


def test_a_base_that_is_not_there_and_one_that_leads_back(project: Path) -> None:
    (project / "base.yaml").write_text("defaults: [mine]\n" + BASE)
    found = subject(project / "mine.yaml", "defaults: [base, gone]\n")
    said = " ".join(problem.message for problem in found.recognised.problems)
    assert "leads back to itself" in said
    assert "gone.yaml: there is no such file" in said
    assert {problem.kind for problem in found.recognised.problems} == {"unresolved-reference"}
