"""NeMo Automodel: a whole file, defaults read off its source (36044ad3), and writing back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
LORA = """\
    recipe: TrainFinetuneRecipeForNextTokenPrediction
    step_scheduler:
      global_batch_size: 64
      local_batch_size: 8
      max_steps: 100
    dist_env:
      backend: nccl
    model:
      _target_: nemo_automodel.NeMoAutoModelForCausalLM.from_pretrained
      pretrained_model_name_or_path: meta-llama/Llama-3.2-1B
      torch_dtype: bf16
    peft:
      _target_: nemo_automodel.components._peft.lora.PeftConfig
      match_all_linear: true
      dim: 16
    distributed:
      strategy: fsdp2
      tp_size: 1
      activation_checkpointing: true
    packed_sequence:
      packed_sequence_size: 4096
    loss_fn:
      _target_: nemo_automodel.components.loss.masked_ce.MaskedCrossEntropy
    optimizer:
      _target_: torch.optim.Adam
      lr: 1.0e-5
    """
FINETUNES = "TrainFinetuneRecipeForNextTokenPrediction"
BARE = f"recipe: {FINETUNES}\nstep_scheduler: {{global_batch_size: 8}}\nmodel: {{pretrained_model_name_or_path: gpt2}}\n"


def test_a_whole_file(recognised: Recognise) -> None:
    found = recognised(LORA)
    (run,) = found.runs
    assert (found.dialect, found.problems, dict(run.unknown)) == ("nemo-automodel", (), {})
    expected = {
        "trainer": "nemo-automodel", "model_name_or_path": "meta-llama/Llama-3.2-1B", "dtype": "bfloat16", "use_peft": True,
        "lora_r": 16, "lora_alpha": 32, "lora_target_modules": ("all-linear", "lm_head"), "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 8, "loss_type": "masked_cross_entropy", "use_reentrant": False,
        "max_length": 4096,
        "packing": True, "padding": False, "gradient_checkpointing": True, "optim": "adam", "learning_rate": 1e-5,
    }
    assert {key: getattr(run, key) for key in expected} == expected


def test_defaults(recognised: Recognise) -> None:
    (run,) = recognised(BARE).runs  # step_scheduler.py: local_batch_size 1
    assert (run.per_device_train_batch_size, run.use_peft, run.gradient_checkpointing) == (1, False, False)
    assert (run.packing, "max_length" in run.unknown) == (False, True)
    (run,) = recognised(BARE + "peft: {target_modules: ['*.q_proj']}\n").runs  # _peft/lora.py: dim 8, alpha 32
    assert (run.use_peft, run.lora_r, run.lora_alpha, run.lora_dropout) == (True, 8, 32, 0.0)
    assert (run.dtype, run.max_grad_norm, run.transformers_model) == ("bfloat16", 1.0, False)  # auto_model.py, train_ft.py


@pytest.mark.parametrize(("peft", "names"), [
    ("target_modules: '*_proj'", ("*_proj",)),
    ("dim: 8", ("*_proj",)),  # module_matcher.py: so where nothing is named
    ("target_modules: ['*.q_proj', '*v_proj', 'model.layers.*.self_attn.o_proj']", ("q_proj", "v_proj", "o_proj")),
    ("match_all_linear: true", ("all-linear", "lm_head")),
    ("target_modules: ['*']", ("all-linear", "lm_head")),
    ("exclude_modules: ['*lm_head*']", ("all-linear",)),
])
def test_the_modules_that_lora_s_patterns_mean(recognised: Recognise, peft: str, names: tuple[str, ...]) -> None:
    assert recognised(BARE + f"peft: {{{peft}}}\n").runs[0].lora_target_modules == names


def test_rows_that_are_full_have_nothing_to_pad(recognised: Recognise) -> None:
    mock = "dataset: {_target_: nemo_automodel.components.datasets.llm.mock_iterable_dataset.MockIterableDataset}\n"
    wide = BARE.replace("{global_batch_size: 8}", "{global_batch_size: 8, local_batch_size: 4}")
    assert (recognised(wide + mock).runs[0].padding, recognised(wide + mock).runs[0].max_length) == (False, 1024)
    squad = "dataset: {_target_: nemo_automodel.components.datasets.llm.squad.make_squad_dataset, seq_length: 512}\n"
    assert (recognised(wide + squad).runs[0].padding, recognised(BARE + squad).runs[0].padding) == (True, False)
    assert recognised(BARE + squad.replace("512", "512, padding: max_length")).runs[0].padding is True


def test_the_cards_that_share_the_batch(recognised: Recognise) -> None:
    (run,) = recognised(BARE + "distributed: {dp_size: 4}\n").runs
    assert (run.num_processes, run.gradient_accumulation_steps) == (4, 2)
    (run,) = recognised(BARE + "distributed: {dp_size: none}\n").runs
    assert (run.num_processes, run.gradient_accumulation_steps) == (1, 8)


def test_the_benchmark_recipe_does_not_clip(recognised: Recognise) -> None:
    text = BARE.replace(FINETUNES, "BenchmarkingRecipeForNextTokenPrediction")
    assert recognised(text).runs[0].max_grad_norm == 0.0


@pytest.mark.parametrize(("text", "why"), [
    ("", "X is another training"),
    ("fp8: {enabled: true}", "fp8"),
    ("qat: {enabled: true}", "qat"),
    ("distributed: {ep_size: 8}", "experts are shared out over 8 cards"),
    ("distributed: {strategy: megatron_fsdp}", "megatron_fsdp"),
    ("distributed: {dp_size: 8, dp_replicate_size: 2}", "in 2 groups of cards"),
])
def test_a_step_that_is_another_one_gives_no_number(recognised: Recognise, text: str, why: str) -> None:
    bare = BARE if text else BARE.replace(FINETUNES, "X")
    found = recognised(bare + text + "\n")
    assert found.runs[0].trainer == "other"
    assert why in str(found.origins["trainer"].why)


@pytest.mark.parametrize("word", ["bf16", "bfloat16", "torch.bfloat16"])
def test_three_spellings_of_a_dtype(recognised: Recognise, word: str) -> None:
    assert recognised(LORA.replace("torch_dtype: bf16", f"torch_dtype: {word}")).runs[0].dtype == "bfloat16"


def test_what_a_free_mapping_holds_is_no_finding(recognised: Recognise) -> None:
    text = BARE + "distributed: {dp_size: none, ep_size: 8, dp_replicate_size: 2, whatever: 1}\nci: {time: '1'}\n"
    assert recognised(text).problems == ()


@pytest.mark.parametrize("text", [
    "model: {pretrained_model_name_or_path: gpt2}\nseed: 1\n",
    "inference: {}\noutput: {}\nmodel: {_target_: nemo_automodel.X}\ndist_env: {}\n",
    "policy: {model_name: x}\ngrpo: {num_prompts_per_step: 3}\n",
])
def test_near_neighbours(is_recognised: Callable[..., bool], text: str) -> None:
    assert not is_recognised(text)


@pytest.mark.parametrize(("change", "line"), [
    (Change("per_device_train_batch_size", 4), "  local_batch_size: 4"), (Change("lora_r", 8), "  dim: 8"),
    (Change("gradient_checkpointing", False), "  activation_checkpointing: false"),
])
def test_write_back(changed: Callable[..., tuple[str, Recognised]], change: Change, line: str) -> None:
    text, again = changed(LORA, change)
    assert line in text.splitlines()
    assert getattr(again.runs[0], change.key) == change.value
