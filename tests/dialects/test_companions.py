"""DeepSpeed's and accelerate's files: recognised, validated, and what they make of the run that names them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vramlint.dialects import Recognised
from vramlint.examine import Facts, Subject, subject_of
from vramlint.references import opened_file
from vramlint.source import SourceFile, read

Recognise = Callable[..., Recognised]
TRAIN = """\
model_name_or_path: Qwen/Qwen2.5-1.5B
trainer: transformers
max_length: 512
per_device_train_batch_size: 2
bf16: true
"""
ZERO_3 = """\
{
 "train_micro_batch_size_per_gpu": "auto",
 "bf16": {"enabled": "auto"},
 "zero_optimization": {"stage": 3, "overlap_comm": true, "reduce_bucket_size": 5e7, "offload_optimizer": {"device": "cpu"}}
}
"""
FSDP = """\
distributed_type: FSDP
num_processes: 4
mixed_precision: bf16
fsdp_config:
  fsdp_version: 2
  fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP
  fsdp_offload_params: true
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "conf").mkdir()
    return tmp_path


def subject(path: Path, *companions: Path) -> Subject:
    launched = [opened_file(str(companion)) for companion in companions]
    files = tuple(file for file in launched if isinstance(file, SourceFile))
    assert len(files) == len(companions)
    file = read(str(path), path.read_bytes())
    found = subject_of(file, file.documents[0], Facts(companions=files))
    assert found is not None
    return found


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_deepspeed_file(recognised: Recognise) -> None:
    found = recognised(ZERO_3, "json")
    assert (found.dialect, found.is_companion, found.problems) == ("deepspeed", True, ())
    (run,) = found.runs
    assert (run.zero_stage, run.offload_optimizer, run.zero_overlap_comm) == (3, True, True)
    assert (run.zero_reduce_bucket_size, run.zero_allgather_bucket_size) == (50_000_000, 500_000_000)  # zero/config.py


def test_an_accelerate_file(recognised: Recognise) -> None:
    found = recognised(FSDP)
    assert (found.dialect, found.is_companion, found.problems) == ("accelerate", True, ())
    (run,) = found.runs
    assert (run.fsdp, run.num_processes, run.fsdp_offload, run.fsdp_auto_wrap) == ("full_shard", 4, True, True)


def test_accelerate_wraps_nothing_and_takes_fsdp_1_by_default(recognised: Recognise) -> None:
    (run,) = recognised("distributed_type: FSDP\nnum_processes: 2\nmixed_precision: 'no'\n").runs
    assert (run.fsdp_version, run.fsdp_auto_wrap) == (1, False)  # utils/dataclasses.py of accelerate 1.15.0


@pytest.mark.parametrize(("text", "kind", "meant"), [
    ('{"zero_optimization": {"stage": 2, "overlap_com": true}}', "json", "overlap_comm"),
    ('{"zero_optimization": {"stage": 2}, "gradient_cliping": 1.0}', "json", "gradient_clipping"),
    ("distributed_type: MULTI_GPU\nnum_process: 2\nmixed_precision: bf16\n", "yaml", "num_processes"),
    ("distributed_type: MULTY_GPU\nnum_processes: 2\nmixed_precision: bf16\n", "yaml", "MULTI_GPU"),
])
def test_misspellings(recognised: Recognise, text: str, kind: str, meant: str) -> None:
    (problem,) = recognised(text, kind).problems
    assert problem.suggestion == meant


@pytest.mark.parametrize(("text", "kind"), [
    ("model_name_or_path: a/b\nper_device_train_batch_size: 1\ndeepspeed: {zero_optimization: {stage: 2}}\n", "yaml"),
    ("num_layers: 12\nhidden_size: 768\npipe_parallel_size: 1\nzero_optimization: {stage: 1}\ntrain_iters: 1\n", "yaml"),
    ('{"hidden_size": 64, "model_type": "llama", "architectures": ["X"], "train_batch_size": 1, "fp16": {}}', "json"),
    ("services: {a: {image: b}}\nversion: 3\n", "yaml"), ("debug: true\nnum_processes: 4\n", "yaml"),
])
def test_near_neighbours(
    recognised: Recognise, is_recognised: Callable[..., bool], text: str, kind: str,
) -> None:
    assert not is_recognised(text, kind) or not recognised(text, kind).is_companion


def test_what_a_named_file_says_is_the_run(project: Path) -> None:
    written(project / "conf" / "z3.json", ZERO_3)
    found = subject(written(project / "conf" / "train.yaml", TRAIN + "deepspeed: z3.json\n"))
    (run,) = found.runs
    assert (run.zero_stage, run.offload_optimizer, run.offload_param) == (3, True, False)
    assert "zero_stage" not in run.unknown
    origin = found.recognised.origins["zero_stage"]
    assert origin.value_span is not None
    assert origin.value_span.path == str(project / "conf" / "z3.json")


def test_names_count_from_the_project_s_root_too(project: Path) -> None:
    (project / "ds").mkdir()
    written(project / "ds" / "z3.json", ZERO_3)
    found = subject(written(project / "conf" / "train.yaml", TRAIN + "deepspeed: ds/z3.json\n"))
    assert found.runs[0].zero_stage == 3


def test_what_stands_in_the_config_itself(project: Path) -> None:
    inline = TRAIN + "deepspeed: {zero_optimization: {stage: 2, reduce_bucket_size: 7}}\n"
    run = subject(written(project / "train.yaml", inline)).runs[0]
    assert (run.zero_stage, run.zero_reduce_bucket_size) == (2, 7)


def test_what_the_launcher_names(project: Path) -> None:
    companion = written(project / "fsdp.yaml", FSDP)
    run = subject(written(project / "train.yaml", TRAIN), companion).runs[0]
    assert (run.fsdp, run.num_processes, run.fsdp_offload) == ("full_shard", 4, True)


def test_the_config_wins_over_the_launcher(project: Path) -> None:
    companion = written(project / "fsdp.yaml", FSDP)
    run = subject(written(project / "train.yaml", "# vramlint: num_processes=2\n" + TRAIN), companion).runs[0]
    assert run.num_processes == 2


def test_a_companion_may_name_another(project: Path) -> None:
    written(project / "z3.json", ZERO_3)
    text = "distributed_type: DEEPSPEED\nnum_processes: 8\ndeepspeed_config:\n  deepspeed_config_file: z3.json\n"
    companion = written(project / "accelerate.yaml", text)
    run = subject(written(project / "train.yaml", TRAIN), companion).runs[0]
    assert (run.num_processes, run.zero_stage, run.offload_optimizer) == (8, 3, True)


@pytest.mark.parametrize(("name", "why"), [
    ("gone.json", "no such file"), ("../../etc/z3.json", "outside the project"), ("/etc/hostname.json", "outside the project"),
    ("broken.json", "not valid JSON"), ("folder.json", "no regular file"), ("link.json", "outside the project"),
])
def test_a_file_that_cannot_be_had(project: Path, tmp_path_factory: pytest.TempPathFactory, name: str, why: str) -> None:
    outside = written(tmp_path_factory.mktemp("elsewhere") / "z3.json", ZERO_3)
    (project / "link.json").symlink_to(outside)
    (project / "folder.json").mkdir()
    written(project / "broken.json", "{")
    found = subject(written(project / "conf" / "train.yaml", TRAIN + f"deepspeed: {name}\n"))
    (problem,) = found.recognised.problems
    assert (problem.kind, problem.span is not None) == ("unresolved-reference", True)
    assert why in problem.message
    assert "zero_stage" in found.runs[0].unknown


def test_a_file_that_leads_back_to_itself(project: Path) -> None:
    text = "distributed_type: DEEPSPEED\nnum_processes: 8\ndeepspeed_config: {deepspeed_config_file: accelerate.yaml}\n"
    companion = written(project / "accelerate.yaml", text)
    found = subject(written(project / "train.yaml", TRAIN), companion)
    (problem,) = found.recognised.problems
    assert "leads back to itself" in problem.message


def test_values_that_must_agree(project: Path) -> None:
    text = ZERO_3.replace('"train_micro_batch_size_per_gpu": "auto"', '"train_micro_batch_size_per_gpu": 4')
    written(project / "z3.json", text)
    found = subject(written(project / "train.yaml", TRAIN + "deepspeed: z3.json\n"))
    (problem,) = found.recognised.problems
    assert problem.kind == "companion-disagrees"
    assert "per_device_train_batch_size is 2" in problem.message
    assert problem.span is not None
    assert problem.span.path.endswith("z3.json")
