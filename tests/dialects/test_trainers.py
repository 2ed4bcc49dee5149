"""Which trainer: stated, called, told by keys, else open with every candidate kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised

Recognise = Callable[..., Recognised]
BARE = "model_name_or_path: a/b\nper_device_train_batch_size: 2\nmax_length: 128\n"


@pytest.mark.parametrize(("line", "trainers"), [
    ("", ["transformers", "trl-sft"]),
    ("trainer: transformers", ["transformers"]),
    ("# vramlint: trainer=trl-dpo", ["trl-dpo"]),
    ("packing: true", ["trl-sft"]),
    ("dataset_text_field: text", ["trl-sft"]),
    ("max_seq_length: 2048", ["trl-sft"]),
    ("loss_type: dft", ["trl-sft"]),
    ("dataset_train_split: train", ["trl-sft"]),
    ("beta: 0.1\nloss_type: ipo", ["trl-dpo"]),
    ("beta: 0.1\nloss_type: [sigmoid, sft]", ["trl-dpo"]),
    ("f_divergence_type: reverse_kl", ["trl-dpo"]),
    ("beta: 0.1\nprecompute_ref_log_probs: false", ["trl-dpo", "trl-kto"]),
    ("desirable_weight: 1.0", ["trl-kto"]),
    ("center_rewards_coefficient: 0.01", ["trl-reward"]),
    ("num_generations: 8\nscale_rewards: group", ["trl-grpo"]),
    ("num_generations: 4", ["trl-grpo", "trl-rloo"]),
    ("normalize_advantages: true", ["trl-rloo"]),
])
def test_by_what_is_written(recognised: Recognise, line: str, trainers: list[str]) -> None:
    found = recognised(BARE + line + "\n")
    assert [run.trainer for run in found.runs] == trainers
    assert (found.trainer_open is None) == (len(trainers) == 1)
    if found.trainer_open:
        assert all(f"trainer: {name}" in found.trainer_open for name in trainers)


def test_each_candidate_has_its_own_defaults(recognised: Recognise) -> None:
    plain, sft = recognised(BARE).runs
    assert (plain.gradient_checkpointing, sft.gradient_checkpointing) == (False, True)
    assert (plain.dtype, sft.dtype) == ("auto", "float32")


def test_the_command_line_settles_it(recognised: Recognise) -> None:
    found = recognised(BARE + "packing: true\n", overrides={"trainer": "transformers", "max_length": 64})
    (run,) = found.runs
    assert (run.trainer, run.max_length) == ("transformers", 64)
    assert found.origins["trainer"].kind == found.origins["max_length"].kind == "set"


def test_an_unstated_call_stays_open(recognised: Recognise) -> None:
    quantised = BARE + "trainer: transformers\nload_in_4bit: true\nuse_peft: true\n"
    found = recognised(quantised)
    assert [run.prepare_model_for_kbit_training for run in found.runs] == [False, True]
    assert found.trainer_open is not None
    assert "prepare_model_for_kbit_training" in found.trainer_open
    assert len(recognised(quantised + "prepare_model_for_kbit_training: false\n").runs) == 1


@pytest.mark.parametrize(("script", "trainer"), [
    ("TrainingArguments(output_dir='o')\nTrainer(model=m)", "transformers"),
    ("TrainingArguments(output_dir='o')", "transformers"),
    ("Seq2SeqTrainingArguments('o')\nSeq2SeqTrainer(m)", "transformers"),
    ("SFTConfig(output_dir='o')", "trl-sft"),
    ("TrainingArguments('o')\nSFTTrainer(model=m)", "trl-sft"),
    ("DPOConfig('o')\nDPOTrainer(m)", "trl-dpo"),
    ("trl.GRPOConfig('o')", "trl-grpo"),
])
def test_by_the_class_called(recognised: Recognise, script: str, trainer: str) -> None:
    assert [run.trainer for run in recognised(script, "python").runs] == [trainer]


def test_training_arguments_keep_their_values_in_a_trl_trainer(recognised: Recognise) -> None:
    # SFTTrainer makes SFTConfig(**args.to_dict()) of them: gradient_checkpointing and bf16 stay False.
    (run,) = recognised("TrainingArguments('o')\nSFTTrainer(model='a/b')", "python").runs
    assert (run.gradient_checkpointing, run.bf16, run.max_length) == (False, False, 1024)
    assert (run.model_name_or_path, run.dtype) == ("a/b", "float32")
