"""unsloth's step: its loss against recorded peaks of it, its checkpoints on the host, expandable segments, what has no number."""

from __future__ import annotations

import pytest

from vramlint.catalog import Architecture, architecture_from_config
from vramlint.dataclass import replace
from vramlint.memory import Estimate, NoEstimate, estimate
from vramlint.memory.autograd import Graph
from vramlint.memory.expandable import PAGE, most_in_use
from vramlint.memory.masks import NO_MASKS
from vramlint.memory.operations import Setting
from vramlint.memory.tape import Tape
from vramlint.memory.unsloth.loss import loss_of_unsloth
from vramlint.run import Run

MIB = 1 << 20
LLAMA = architecture_from_config({
    "model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
    "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 8192, "tie_word_embeddings": True,
})
SEVEN = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
NOTEBOOK = Run(
    trainer="unsloth", dtype="bfloat16", bf16=True, load_in_4bit=True, bnb_4bit_use_double_quant=True, use_peft=True, lora_r=16,
    lora_target_modules=SEVEN, gradient_checkpointing=True, activation_offloading=True, use_reentrant=True, padding_free=True,
    max_length=2048, per_device_train_batch_size=2, gradient_accumulation_steps=4, optim="adamw_8bit", loss_type="nll",
)


def number(run: Run, a: Architecture = LLAMA, *, capability: tuple[int, int] = (8, 6), small_card: bool = True) -> Estimate:
    result = estimate(run, a, capability=capability, small_card=small_card)
    assert isinstance(result, Estimate), result
    return result


@pytest.mark.parametrize(("words", "width", "tokens", "capability", "small_card", "peak"), [
    # MiB above what was there, recorded on the phantom: unsloth's loss called by itself, a frozen head, unsloth 2026.10.9.
    (128256, 2048, 4096, (7, 5), True, 276.56), (151936, 896, 4096, (7, 5), True, 308.18),
    (32000, 4096, 4096, (8, 6), True, 362.03), (32000, 2048, 16384, (8, 0), False, 354.23),
    (128256, 2048, 4096, (8, 6), True, 320.97), (128256, 2048, 16384, (8, 6), True, 385.32),
    (256000, 2048, 4096, (8, 6), True, 321.97), (256000, 2048, 4096, (8, 0), False, 526.06),
    (49152, 2048, 4096, (8, 6), True, 320.42), (100352, 3072, 4096, (8, 0), False, 235.06),
    (128256, 4096, 65536, (8, 0), False, 898.11), (131072, 5120, 2048, (8, 6), True, 208.47),
    (128256, 2048, 256, (8, 0), False, 129.75), (36000, 512, 4000, (8, 0), False, 294.95),
])
def test_the_loss_takes_what_it_was_seen_to_take(
    words: int, width: int, tokens: int, capability: tuple[int, int], small_card: bool, peak: float,
) -> None:
    setting = Setting(
        batch=1, length=tokens, autocast="bfloat16", weight="bfloat16", norm_weight="bfloat16", trained=False, adapter="float32",
        rank=16, dropout=0.0, bits=4, compute="bfloat16", attention="sdpa", masks=NO_MASKS, liger=False, capability=capability,
        small_card=small_card,
    )
    tape = Tape()
    graph = Graph(tape)
    hidden = graph.tensor((1, tokens, width), "bfloat16", "last hidden states")
    there = tape.current
    loss_of_unsloth(graph, setting, hidden, words, lambda: None)
    assert (tape.peak.total - there) / MIB == pytest.approx(peak, rel=0.012)


def test_the_host_keeps_the_inputs_of_all_layers_but_the_last() -> None:
    run = replace(NOTEBOOK, per_device_train_batch_size=8)
    each = 8 * 2048 * 2048 * 2
    saved = number(replace(run, activation_offloading=False)).allocated.typical - number(run).allocated.typical
    assert saved == (16 - 1 - 2 - 1) * each  # two buffers for the way back; the embedded tokens are there in any case


def test_short_rows_and_small_models_go_to_the_host_only_above_two_mebibytes() -> None:
    run = replace(NOTEBOOK, max_length=256, per_device_train_batch_size=2)  # 2 MiB a layer
    assert number(run).allocated == number(replace(run, activation_offloading=False)).allocated


def test_a_large_card_computes_the_loss_otherwise_and_one_below_8_0_does_not_ask() -> None:
    run = replace(NOTEBOOK, max_length=512, per_device_train_batch_size=1)
    assert number(run).allocated.typical < number(run, small_card=False).allocated.typical
    half = replace(run, dtype="float16", bf16=False, fp16=True)
    assert number(half, capability=(7, 5)) == number(half, capability=(7, 5), small_card=False)


def test_what_is_free_in_whole_pages_needs_no_card() -> None:
    # Two pages are filled, the first is freed; what comes then lies in it, and the next behind both.
    events = [(1, PAGE), (2, PAGE), (1, 0), (3, PAGE // 2), (4, PAGE)]
    assert most_in_use(events) == (5 * PAGE // 2, 3 * PAGE)


def test_one_block_across_pages_keeps_all_of_them() -> None:
    assert most_in_use([(1, PAGE // 2), (2, PAGE), (1, 0)]) == (3 * PAGE // 2, 2 * PAGE)


@pytest.mark.parametrize(("keys", "key"), [
    ({"use_peft": False, "load_in_4bit": False}, "use_peft"),
    ({"padding_free": False}, "padding_free"),
    ({"lora_dropout": 0.1}, "lora_dropout"),
    ({"lora_bias": "all"}, "lora_bias"),
    ({"lora_target_modules": ("q_proj", "v_proj")}, "lora_target_modules"),
    ({"lora_modules_to_save": ("lm_head",)}, "lora_modules_to_save"),
    ({"attn_implementation": "flash_attention_2"}, "attn_implementation"),
    ({"dtype": "float32"}, "dtype"),
    ({"num_processes": 2}, "num_processes"),
    ({"load_in_8bit": True, "load_in_4bit": False}, "load_in_8bit"),
    ({"use_dora": True}, "use_dora"),
    ({"loss_type": "dft"}, "loss_type"),
])
def test_what_is_not_simulated_is_said_with_its_key(keys: dict[str, object], key: str) -> None:
    result = estimate(replace(NOTEBOOK, **keys), LLAMA)
    assert isinstance(result, NoEstimate)
    assert key in result.keys


def test_a_window_that_ends_within_a_row_has_no_number() -> None:
    a = replace(LLAMA, model_type="mistral", sliding_window=1024)
    assert isinstance(estimate(NOTEBOOK, a), NoEstimate)
    assert isinstance(estimate(replace(NOTEBOOK, max_length=1024), a), Estimate)
