"""Scripts as people write them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised

Recognise = Callable[..., Recognised]
QLORA = """\
    import torch
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, Trainer, TrainingArguments
    MODEL = "a/b"
    MAX_LENGTH = 256
    bnb = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.bfloat16)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForCausalLM.from_pretrained(MODEL, quantization_config=bnb, dtype=torch.float16)
    model = prepare_model_for_kbit_training(model)
    model = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear"))
    args = TrainingArguments("out", per_device_train_batch_size=2)
    Trainer(model=model, args=args).train()
    """


def test_a_qlora_script(recognised: Recognise) -> None:
    (run,) = recognised(QLORA, "python").runs
    assert (run.model_name_or_path, run.dtype, run.max_length) == ("a/b", "float16", 256)
    assert (run.load_in_4bit, run.bnb_4bit_quant_type, run.bnb_4bit_compute_dtype) == (True, "fp4", "bfloat16")
    assert (run.use_peft, run.lora_r, run.lora_alpha, run.lora_target_modules) == (True, 4, 8, "all-linear")
    assert run.prepare_model_for_kbit_training


def test_preparing_turns_checkpointing_on(recognised: Recognise) -> None:
    found = recognised(QLORA, "python")
    assert (found.runs[0].gradient_checkpointing, found.runs[0].use_reentrant) == (True, True)
    assert "prepare_model_for_kbit_training" in found.origins["gradient_checkpointing"].why
    off = QLORA.replace("training(model)\n", "training(model, use_gradient_checkpointing=False)\n")
    assert not recognised(off, "python").runs[0].gradient_checkpointing
    positional = QLORA.replace("training(model)\n", "training(model, False)\n")
    assert not recognised(positional, "python").runs[0].gradient_checkpointing
    unquantised = QLORA.replace("load_in_4bit=True, ", "")
    assert not recognised(unquantised, "python").runs[0].gradient_checkpointing


def test_the_trainer_turns_it_on_its_own_way(recognised: Recognise) -> None:
    text = QLORA.replace("batch_size=2", "batch_size=2, gradient_checkpointing=True")
    assert recognised(text, "python").runs[0].use_reentrant is False


@pytest.mark.parametrize(("code", "length"), [
    ("tokenizer(text, truncation=True, max_length=64)", 64),
    ("DataCollatorForSeq2Seq(tokenizer, max_length=96)", 96),
    ("AutoTokenizer.from_pretrained('a/b', model_max_length=80)", 80),
    ("max_seq_length = 32", 32),
    ("BLOCK_SIZE = 16 * 4", 64),
    ("MAX_LEN = 32\nlabels = tokenizer(text, max_length=16)", 16),
    ("tokenizer(a, max_length=16)\ntokenizer(b, max_length=32)", None),
    ("tokenizer(a, max_length=args.length)", None),
    ("MAX_LEN = int(os.environ['L'])", None),
    ("", None),
])
def test_the_length_that_reaches_the_tokenizer(recognised: Recognise, code: str, length: int | None) -> None:
    script = f"m = AutoModelForCausalLM.from_pretrained('a/b')\nTrainer(m, TrainingArguments('o'))\n{code}\n"
    (run,) = recognised(script, "python").runs
    assert (None if "max_length" in run.unknown else run.max_length) == length


def test_the_length_of_a_trl_config_counts(recognised: Recognise) -> None:
    script = "MAX_LENGTH = 99\ntokenizer(x, max_length=8)\nSFTConfig('o', max_length=300)\nSFTTrainer('a/b')"
    assert recognised(script, "python").runs[0].max_length == 300
    assert recognised(script.replace(", max_length=300", ""), "python").runs[0].max_length == 1024


@pytest.mark.parametrize(("code", "bf16", "fp16"), [
    ("bf16=is_bfloat16_supported(), fp16=not is_bfloat16_supported()", True, False),
    ("bf16=torch.cuda.is_bf16_supported(), fp16=not torch.cuda.is_bf16_supported()", True, False),
])
def test_a_probe_is_taken_as_a_card_with_bf16(recognised: Recognise, code: str, bf16: bool, fp16: bool) -> None:
    found = recognised(f"TrainingArguments('o', {code})", "python")
    assert (found.runs[0].bf16, found.runs[0].fp16) == (bf16, fp16)
    assert not {"bf16", "fp16"} & set(found.runs[0].unknown)
    assert "bf16" in found.notes[0]


def test_what_a_call_may_also_take_is_not_known(recognised: Recognise) -> None:
    (run,) = recognised("TrainingArguments('o', learning_rate=1e-4, **options)", "python").runs
    assert "options" in run.unknown["per_device_train_batch_size"]
    assert "learning_rate" not in run.unknown


def test_values_from_elsewhere_are_not_known(recognised: Recognise) -> None:
    script = "TrainingArguments('o', per_device_train_batch_size=cli.batch)\nAutoModel.from_pretrained(cli.name)"
    (run,) = recognised(script, "python").runs
    assert {"per_device_train_batch_size", "model_name_or_path"} <= set(run.unknown)


def test_two_configurations_that_differ_are_not_known(recognised: Recognise) -> None:
    script = "".join(f"TrainingArguments('o', per_device_train_batch_size={size}, bf16=True)\n" for size in (2, 4))
    (run,) = recognised(script, "python").runs
    assert "2, 4" in run.unknown["per_device_train_batch_size"]
    assert run.bf16


def test_a_model_loaded_after_training_is_another_matter(recognised: Recognise) -> None:
    script = QLORA.rstrip(" ") + "    merged = AutoModelForCausalLM.from_pretrained('c/d', dtype=torch.float32)\n"
    (run,) = recognised(script, "python").runs
    assert (run.model_name_or_path, run.dtype) == ("a/b", "float16")


def test_two_models_before_training_are_not_known(recognised: Recognise) -> None:
    script = "DPOConfig('o')\na = AutoModel.from_pretrained('a/b')\nb = AutoModel.from_pretrained('c/d')"
    assert "model_name_or_path" in recognised(script, "python").runs[0].unknown


@pytest.mark.parametrize(("ref", "held"), [("", False), (", ref_model=None", False), (", ref_model=other", True)])
def test_a_given_reference_model_is_held(recognised: Recognise, ref: str, held: bool) -> None:
    script = f"DPOConfig('o')\nDPOTrainer(m{ref}, peft_config=LoraConfig(r=8))"
    assert recognised(script, "python").runs[0].reference_model is held


def test_the_plain_trainer_prepares_nothing(recognised: Recognise) -> None:
    script = QLORA.replace("    model = prepare_model_for_kbit_training(model)\n", "")
    found = recognised(script, "python")
    assert [run.prepare_model_for_kbit_training for run in found.runs] == [False]


def test_what_the_card_decides_is_known(recognised: Callable[..., Recognised]) -> None:
    text = "from transformers import TrainingArguments\nTrainingArguments('o', bf16={0}, fp16=not {0})\n"
    assert recognised(text.format("is_bfloat16_supported()"), "python").asks_card == {"bf16", "fp16"}
    assert not recognised(text.format("torch.cuda.is_bf16_supported()"), "python").asks_card  # it counts emulation
