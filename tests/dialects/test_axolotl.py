"""axolotl: whole files, defaults read off its source (067b021c), conditions between its keys, and writing back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
BASE = "base_model: a/b\nmicro_batch_size: 2\nsequence_len: 1024\nattn_implementation: flash_attention_2\n"
QLORA = """\
    base_model: NousResearch/Meta-Llama-3-8B
    load_in_8bit: false
    load_in_4bit: true
    datasets:
      - path: aaditya/alpaca_subset_1
        type: alpaca
    val_set_size: 0
    adapter: qlora
    lora_model_dir:
    sequence_len: 4096
    sample_packing: true
    lora_r: 32
    lora_alpha: 16
    lora_dropout: 0.05
    lora_target_modules:
    lora_target_linear: true
    gradient_accumulation_steps: 4
    micro_batch_size: 2
    optimizer: paged_adamw_32bit
    learning_rate: 2e-4
    bf16: auto
    fp16:
    tf32: false
    gradient_checkpointing: true
    xformers_attention:
    flash_attention: true
    deepspeed:
    """


def test_a_whole_file(recognised: Recognise) -> None:
    found = recognised(QLORA)
    (run,) = found.runs
    assert found.dialect == "axolotl"
    assert found.problems == ()
    expected = {
        "model_name_or_path": "NousResearch/Meta-Llama-3-8B", "trainer": "transformers", "dtype": "bfloat16", "bf16": True,
        "fp16": False, "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True,
        "bnb_4bit_compute_dtype": "bfloat16", "use_peft": True, "lora_r": 32, "lora_target_modules": "all-linear",
        "per_device_train_batch_size": 2, "per_device_eval_batch_size": 2, "gradient_accumulation_steps": 4,
        "max_length": 4096, "packing": True, "padding": False, "optim": "paged_adamw_32bit", "learning_rate": 2e-4,
        "gradient_checkpointing": True, "use_reentrant": True, "attn_implementation": "flash_attention_2",
        "prepare_model_for_kbit_training": False, "eval_strategy": "no", "tf32": False, "deepspeed": None,
    }
    assert {key: getattr(run, key) for key in expected} == expected
    assert dict(run.unknown) == {}
    assert any("LoRA kernels" in note for note in found.notes)


@pytest.mark.parametrize(("key", "value"), [  # schemas/{config,training,peft}.py, transformers where axolotl has null
    ("gradient_accumulation_steps", 1), ("gradient_checkpointing", False), ("optim", "adamw_torch_fused"), ("bf16", True),
    ("lora_dropout", 0.0), ("load_in_4bit", False), ("packing", False), ("lr_scheduler_type", "cosine"),
    ("max_grad_norm", 1.0), ("use_peft", False), ("dtype", "bfloat16"),
])
def test_defaults(recognised: Recognise, key: str, value: object) -> None:
    found = recognised(BASE)
    assert getattr(found.runs[0], key) == value
    assert found.origins[key].kind in ("default", "inferred")


def test_a_default_names_its_file(recognised: Recognise) -> None:
    found = recognised("base_model: a/b\nmicro_batch_size: 1\nval_set_size: 0\n")
    assert found.runs[0].max_length == 512
    assert "axolotl" in found.origins["max_length"].why


@pytest.mark.parametrize(("lines", "key", "value"), [
    ("adapter: lora\nload_in_4bit: true\nlora_r: 8\n", "load_in_4bit", False),  # loaders/model.py:712
    ("adapter: qlora\nload_in_4bit: true\nlora_r: 8\n", "load_in_4bit", True),
    ("adapter: lora\nload_in_8bit: true\nlora_r: 8\n", "load_in_8bit", True),
    ("adapter: qlora\nload_in_8bit: true\nlora_r: 8\n", "load_in_8bit", False),
    ("adapter:\nlora_r: 8\n", "use_peft", False),
    ("bf16: auto\nfp16: true\n", "dtype", "float16"),
    ("bf16: full\n", "bf16", True),
    ("bf16: false\nbfloat16: true\n", "dtype", "bfloat16"),
    ("bf16: false\n", "dtype", "float32"),
    ("gradient_checkpointing: true\n", "use_reentrant", True),  # utils/config/__init__.py:383
    ("gradient_checkpointing: true\ngradient_checkpointing_kwargs: {use_reentrant: false}\n", "use_reentrant", False),
    ("batch_size: 16\n", "gradient_accumulation_steps", 8),
    ("val_set_size: 0.1\n", "eval_strategy", "steps"),
    ("evals_per_epoch: 4\n", "eval_strategy", "no"),
])
def test_what_follows(recognised: Recognise, lines: str, key: str, value: object) -> None:
    assert getattr(recognised(BASE + lines).runs[0], key) == value


@pytest.mark.parametrize(("lines", "trainer"), [
    ("", "transformers"), ("rl: dpo\n", "trl-dpo"),
    ("rl: ipo\n", "trl-dpo"), ("rl: kto\n", "trl-kto"), ("rl: grpo\n", "trl-grpo"),
    ("rl: orpo\n", "trl-orpo"), ("rl: simpo\n", "trl-cpo"), ("reward_model: true\n", "trl-reward"), ("rl:\n", "transformers"),
    ("activation_offloading: true\ngradient_checkpointing: true\n", "axolotl"),
    ("gradient_checkpointing: offload\n", "axolotl"),
    ("qat: {group_size: 16}\n", "axolotl"), ("qat:\n", "transformers"), ("use_eaft: true\n", "axolotl"),
    ("flash_attn_rms_norm: false\nfused_attn_kernel: true\n", "axolotl"), ("fused_attn_kernel: false\n", "transformers"),
    ("chunked_cross_entropy: true\n", "axolotl"), ("adapter: llama-adapter\n", "axolotl"),
    ("rl: ${RL}\n", "other"),
])
def test_which_trainer(recognised: Recognise, lines: str, trainer: str) -> None:
    (run,) = recognised(BASE + lines).runs
    assert run.trainer == trainer


CUT = "plugins: [axolotl.integrations.cut_cross_entropy.CutCrossEntropyPlugin]\n"


@pytest.mark.parametrize(("lines", "loss"), [
    (CUT, "cut_cross_entropy"), (CUT + "cut_cross_entropy: true\n", "cut_cross_entropy"),
    (CUT + "cut_cross_entropy: false\n", None), ("cut_cross_entropy: true\n", None),  # the switch without its plugin does nothing
    (CUT + "sdp_attention: true\nadapter:\n", "cut_cross_entropy"),
])
def test_the_plugin_cuts_the_cross_entropy(recognised: Recognise, lines: str, loss: str | None) -> None:
    (run,) = recognised(BASE + lines).runs
    assert (run.trainer, run.loss_type) == ("transformers", loss)


def test_full_training_under_sdpa_keeps_embeddings_in_fp32(recognised: Recognise) -> None:
    text = "base_model: a/b\nmicro_batch_size: 2\nsequence_len: 1024\nsdp_attention: true\n"
    assert recognised(text).runs[0].float32_ends
    assert not recognised(text + "adapter: lora\nlora_r: 8\n").runs[0].float32_ends
    assert not recognised(text.replace("sdp_attention", "flash_attention")).runs[0].float32_ends
    assert not recognised(text + CUT).runs[0].float32_ends


def test_liger_with_all_its_kernels(recognised: Recognise) -> None:
    flags = "liger_rope: true\nliger_rms_norm: true\nliger_glu_activation: true\nliger_fused_linear_cross_entropy: true\n"
    plugin = "plugins:\n  - axolotl.integrations.liger.LigerPlugin\n"
    (run,) = recognised(BASE + plugin + flags).runs
    assert (run.use_liger_kernel, run.liger_kernel_config) == (True, None)
    assert not recognised(BASE + flags).runs[0].use_liger_kernel


def test_of_liger_s_kernels_only_those_named_are_on(recognised: Recognise) -> None:
    plugin = "plugins: [axolotl.integrations.liger.LigerPlugin]\nliger_rms_norm: true\nliger_cross_entropy: true\n"
    (run,) = recognised(BASE + plugin).runs  # integrations/liger/plugin.py: each switch goes to Liger's patch as it is
    assert (run.trainer, run.use_liger_kernel) == ("transformers", True)
    assert run.liger_kernel_config == ("rope=false", "swiglu=false", "fused_linear_cross_entropy=false", "cross_entropy=true")


@pytest.mark.parametrize(("key", "successor"), [
    ("per_device_train_batch_size", "micro_batch_size"), ("cutoff_len", "sequence_len"), ("optim", "optimizer"),
])
def test_names_of_others(recognised: Recognise, key: str, successor: str) -> None:
    (problem,) = [p for p in recognised(BASE + f"{key}: 4\n").problems if p.kind == "foreign-key"]
    assert problem.suggestion == successor


def test_a_model_is_required(recognised: Recognise) -> None:
    (problem,) = [p for p in recognised("micro_batch_size: 2\n", dialect="axolotl").problems if p.kind == "required"]
    assert "base_model" in problem.message


@pytest.mark.parametrize(("change", "line"), [
    (Change("per_device_train_batch_size", 1), "micro_batch_size: 1"),
    (Change("max_length", 2048), "sequence_len: 2048"),
    (Change("optim", "adamw_8bit"), "optimizer: adamw_8bit"),
    (Change("packing", False), "sample_packing: false"),
    (Change("gradient_checkpointing", False), "gradient_checkpointing: false"),
    (Change("attn_implementation", "sdpa"), "attn_implementation: sdpa"),
    (Change("lora_r", 16), "lora_r: 16"),
    (Change("per_device_eval_batch_size", 1), "eval_batch_size: 1"),
])
def test_write_back(changed: Callable[..., tuple[str, Recognised]], change: Change, line: str) -> None:
    text, again = changed(QLORA.replace("    flash_attention: true\n", ""), change)
    assert line in text.splitlines()
    assert getattr(again.runs[0], change.key) == change.value


def test_a_flag_cannot_hold_names(refusal: Callable[..., str]) -> None:
    assert "lora_target_modules" in refusal(QLORA, Change("lora_target_modules", ("q_proj",)))


@pytest.mark.parametrize("text", [
    "base_model: a/b\nproject_name: x\nbackend: local\ntask: llm-sft\nparams: {lr: 1e-5, batch_size: 2}\n",  # AutoTrain
    "base_model: a/b\nmodel_type: llm\nadapter: {type: lora}\ntrainer: {type: finetune, learning_rate: 0.0001}\n",  # Ludwig
    "base_model: a/b\nmerge_method: slerp\nslices: []\ndtype: bfloat16\n",  # mergekit
    "model: a/b\ntuner_type: lora\ndataset: [d]\nlearning_rate: 1e-4\n",
])
def test_near_neighbours(recognised: Recognise, is_recognised: Callable[..., bool], text: str) -> None:
    assert not is_recognised(text) or recognised(text).dialect != "axolotl"
