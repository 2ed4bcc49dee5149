"""LLaMA-Factory: a whole file, defaults read off its source (ff6d4d12), what follows, and writing back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
BASE = "model_name_or_path: a/b\nstage: sft\ndo_train: true\ntemplate: qwen\ndataset: x\nfinetuning_type: lora\n"
LORA = """\
    ### model
    model_name_or_path: meta-llama/Meta-Llama-3-8B-Instruct
    quantization_bit: 4
    trust_remote_code: true

    ### method
    stage: sft
    do_train: true
    finetuning_type: lora
    lora_rank: 16
    lora_target: q_proj, v_proj

    ### dataset
    dataset: identity,alpaca_en_demo
    template: llama3
    cutoff_len: 1024
    overwrite_cache: true

    ### output
    output_dir: saves/llama3-8b/lora/sft
    overwrite_output_dir: true

    ### train
    per_device_train_batch_size: 1
    gradient_accumulation_steps: 8
    learning_rate: 1e-4
    warmup_ratio: 0.1
    bf16: true
    """


def test_a_whole_file(recognised: Recognise) -> None:
    found = recognised(LORA)
    (run,) = found.runs
    assert found.dialect == "llamafactory"
    assert found.problems == ()
    expected = {
        "model_name_or_path": "meta-llama/Meta-Llama-3-8B-Instruct", "trainer": "transformers", "dtype": "auto", "bf16": True,
        "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True,
        "bnb_4bit_compute_dtype": "bfloat16", "bnb_4bit_quant_storage": "bfloat16", "use_peft": True, "lora_r": 16,
        "lora_alpha": 32, "lora_target_modules": ("q_proj", "v_proj"), "per_device_train_batch_size": 1,
        "per_device_eval_batch_size": 8, "gradient_accumulation_steps": 8, "max_length": 1024, "learning_rate": 1e-4,
        "gradient_checkpointing": True, "use_reentrant": True, "prepare_model_for_kbit_training": False, "padding": True,
        "optim": "adamw_torch_fused", "attn_implementation": None,
    }
    assert {key: getattr(run, key) for key in expected} == expected
    assert dict(run.unknown) == {}


@pytest.mark.parametrize(("key", "value"), [  # hparams/{finetuning,model,data}_args.py; transformers' where they have none
    ("lora_r", 8), ("lora_alpha", 16), ("lora_dropout", 0.0), ("lora_target_modules", "all-linear"), ("max_length", 2048),
    ("gradient_checkpointing", True), ("use_reentrant", True), ("per_device_train_batch_size", 8), ("packing", False),
    ("use_liger_kernel", False), ("bf16", False), ("learning_rate", 5e-5),
])
def test_defaults(recognised: Recognise, key: str, value: object) -> None:
    assert getattr(recognised(BASE).runs[0], key) == value


@pytest.mark.parametrize(("lines", "key", "value"), [
    ("disable_gradient_checkpointing: true\n", "gradient_checkpointing", False),
    ("flash_attn: fa2\n", "attn_implementation", "flash_attention_2"),
    ("flash_attn: disabled\n", "attn_implementation", "eager"),
    ("enable_liger_kernel: true\n", "use_liger_kernel", True),
    ("quantization_bit: 8\n", "load_in_8bit", True),
    ("packing: true\n", "padding", False),
    ("neat_packing: true\nflash_attn: fa2\n", "padding", False),
    ("neat_packing: true\n", "packing", True),
    ("additional_target: embed_tokens,lm_head\n", "lora_modules_to_save", ("embed_tokens", "lm_head")),
    ("pure_bf16: true\n", "autocast_adapter_dtype", False),
])
def test_what_follows(recognised: Recognise, lines: str, key: str, value: object) -> None:
    assert getattr(recognised(BASE + lines).runs[0], key) == value


@pytest.mark.parametrize(("lines", "dtype"), [("bf16: true\n", "float32"), ("pure_bf16: true\n", "bfloat16")])
def test_full_training_keeps_weights_in_fp32_unless_pure(recognised: Recognise, lines: str, dtype: str) -> None:
    (run,) = recognised(BASE.replace("lora", "full") + lines).runs  # model/adapter.py, _setup_full_tuning
    assert (run.use_peft, run.dtype) == (False, dtype)


@pytest.mark.parametrize(("lines", "trainer"), [
    ("stage: dpo\n", "llamafactory"), ("stage: pt\n", "transformers"), ("use_unsloth: true\n", "unsloth"),
    ("use_galore: true\n", "llamafactory"), ("quantization_bit: 4\nquantization_method: hqq\n", "llamafactory"),
    ("finetuning_type: freeze\n", "llamafactory"), ("upcast_layernorm: true\n", "llamafactory"),
])
def test_which_trainer(recognised: Recognise, lines: str, trainer: str) -> None:
    keys = {line.partition(":")[0] for line in lines.splitlines()}
    base = "".join(f"{line}\n" for line in BASE.splitlines() if line.partition(":")[0] not in keys)
    assert recognised(base + lines).runs[0].trainer == trainer


@pytest.mark.parametrize("text", [
    "model_name_or_path: a/b\ntemplate: llama3\ninfer_backend: vllm\ntrust_remote_code: true\n",
    "model_name_or_path: a/b\nadapter_name_or_path: c\ntemplate: llama3\nexport_dir: out\nfinetuning_type: lora\nstage: sft\n",
    "model_name_or_path: a/b\nstage: sft\ndo_predict: true\nfinetuning_type: lora\ndataset: x\n",
])
def test_what_does_not_train(is_recognised: Callable[..., bool], text: str) -> None:
    assert not is_recognised(text)


def test_unknown_keys_are_refused_and_those_of_others_named(recognised: Recognise) -> None:
    problems = {p.path: p for p in recognised(BASE + "cutof_len: 1\nsequence_len: 4\nbnb_4bit_compute_dtype: x\n").problems}
    assert problems["cutof_len",].suggestion == "cutoff_len"
    assert (problems["sequence_len",].kind, problems["sequence_len",].suggestion) == ("foreign-key", "cutoff_len")
    assert problems["bnb_4bit_compute_dtype",].kind in ("unknown-key", "foreign-key")


@pytest.mark.parametrize(("change", "lines"), [
    (Change("per_device_train_batch_size", 2), ["per_device_train_batch_size: 2"]),
    (Change("gradient_checkpointing", False), ["disable_gradient_checkpointing: true"]),
    (Change("use_liger_kernel", True), ["enable_liger_kernel: true"]),
    (Change("max_length", 512), ["cutoff_len: 512"]),
    (Change("attn_implementation", "flash_attention_2"), ["flash_attn: fa2"]),
    (Change("load_in_4bit", False), []),
    (Change("lora_target_modules", "all-linear"), ["lora_target: all"]),
    (Change("lora_target_modules", ("k_proj",)), ["lora_target: [k_proj]"]),
    (Change("bnb_4bit_quant_type", "fp4"), ["quantization_type: fp4"]),
])
def test_write_back(changed: Callable[..., tuple[str, Recognised]], change: Change, lines: list[str]) -> None:
    text, again = changed(LORA, change)
    assert set(lines) <= set(text.splitlines())
    assert getattr(again.runs[0], change.key) == change.value


def test_quantising_is_one_word(changed: Callable[..., tuple[str, Recognised]]) -> None:
    text, again = changed(LORA.replace("    quantization_bit: 4\n", ""), Change("load_in_4bit", True))
    assert "quantization_bit: 4" in text.splitlines()
    assert again.runs[0].load_in_4bit
