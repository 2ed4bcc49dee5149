"""verl: a whole file, defaults read off its generated configs (b178a3cd), and writing back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
GRPO = """\
    defaults:
      - ppo_trainer
      - _self_
    data:
      train_batch_size: 1024
      max_prompt_length: 512
      max_response_length: 1024
    actor_rollout_ref:
      model:
        path: Qwen/Qwen2.5-7B-Instruct
        lora_rank: 32
        use_liger: true
      actor:
        ppo_micro_batch_size_per_gpu: 4
        optim:
          lr: 1e-6
        fsdp_config:
          param_offload: true
      rollout:
        name: vllm
        n: 5
    trainer:
      n_gpus_per_node: 8
    """
SFT = """\
    data: {train_batch_size: 256, micro_batch_size_per_gpu: 4, max_length: 1024, train_files: a.parquet}
    model: {partial_pretrain: google/gemma-2b, lora_rank: 0}
    optim: {lr: 1e-5}
    trainer: {n_gpus_per_node: 1}
    """


def test_a_whole_file(recognised: Recognise) -> None:
    found = recognised(GRPO)
    (run,) = found.runs
    assert (found.dialect, found.problems, dict(run.unknown)) == ("verl", (), {})
    expected = {
        "trainer": "verl", "model_name_or_path": "Qwen/Qwen2.5-7B-Instruct", "use_peft": True, "lora_r": 32, "lora_alpha": 16,
        "per_device_train_batch_size": 4, "max_length": 1536, "use_liger_kernel": True, "learning_rate": 1e-6,
        "offload_param": True, "offload_optimizer": False, "num_processes": 8,
    }
    assert {key: getattr(run, key) for key in expected} == expected


def test_sft(recognised: Recognise) -> None:
    (run,) = recognised(SFT).runs
    assert (run.model_name_or_path, run.max_length, run.per_device_train_batch_size) == ("google/gemma-2b", 1024, 4)
    assert (run.use_peft, run.trainer) == (False, "verl")


def test_defaults(recognised: Recognise) -> None:
    (run,) = recognised("actor_rollout_ref: {model: {path: gpt2}}\n").runs  # _generated_ppo_trainer.yaml
    assert (run.gradient_checkpointing, run.use_peft, run.use_liger_kernel, run.padding_free) == (True, False, False, True)
    assert (run.offload_param, run.max_grad_norm, run.vllm_gpu_memory_utilization) == (False, 1.0, 0.5)
    assert {"per_device_train_batch_size", "max_length"} <= set(run.unknown)  # null, and no length is stated here


@pytest.mark.parametrize("text", [
    "data: {path: x.parquet, prompt_key: p}\ncustom_reward_function: {path: null}\n",
    "_target_: verl.workers.config.Actor\nstrategy: fsdp\n",
    "model: {path: x}\nrollout: {name: vllm}\ndata: {path: y}\ntrainer: {nnodes: 1}\n",
])
def test_near_neighbours(is_recognised: Callable[..., bool], text: str) -> None:
    assert not is_recognised(text)


@pytest.mark.parametrize(("change", "line"), [
    (Change("per_device_train_batch_size", 2), "    ppo_micro_batch_size_per_gpu: 2"), (Change("lora_r", 8), "    lora_rank: 8"),
    (Change("use_liger_kernel", False), "    use_liger: false"),
])
def test_write_back(changed: Callable[..., tuple[str, Recognised]], change: Change, line: str) -> None:
    text, again = changed(GRPO, change)
    assert line in text.splitlines()
    assert getattr(again.runs[0], change.key) == change.value


def test_a_length_that_is_a_sum_is_not_written(refusal: Callable[..., str]) -> None:
    assert "max_prompt_length" in refusal(GRPO, Change("max_length", 256))
