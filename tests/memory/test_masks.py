"""Which masks a model builds (transformers 5.17, masking_utils.py), and that estimates with them meet measured runs."""

from __future__ import annotations

import json

import pytest

from lab.cases import architecture_of, capability_of, run_of
from vramlint.catalog import Architecture
from vramlint.dataclass import replace
from vramlint.memory import Estimate, estimate
from vramlint.memory.masks import NO_MASKS, masks_of

LLAMA = architecture_of({"arch": "llama-3.2-1b"})
WINDOWED = replace(LLAMA, model_type="mistral", sliding_window=512)
BOTH = replace(LLAMA, model_type="gemma2", sliding_window=512)


def of(a: Architecture, **said: object) -> tuple[int, str, bool, bool]:
    given = {
        "length": 256, "attention": "sdpa", "dtype": "bfloat16", "padded": False, "flat": False, "facts": frozenset(), **said,
    }
    made = masks_of(a, **given)  # type: ignore[arg-type]
    return made.count, made.dtype, made.per_row, made.used


def test_flash_takes_none() -> None:
    assert masks_of(
        BOTH, length=4096, attention="flash", dtype="bfloat16", padded=True, flat=False, facts=frozenset(),
    ) == NO_MASKS


def test_sdpa_builds_what_padding_and_windows_need() -> None:
    assert of(LLAMA)[0] == 0
    assert of(LLAMA, padded=True) == (1, "bool", True, True)
    assert of(LLAMA, flat=True) == (1, "bool", False, True)
    assert of(WINDOWED)[0] == 0
    assert of(WINDOWED, length=512) == (1, "bool", False, True)  # kv_length >= local_attention_size: no skip
    assert of(BOTH, length=1024)[0] == 1
    assert of(BOTH, padded=True)[0] == 2


def test_eager_always_adds_one_of_each_kind_in_the_models_dtype() -> None:
    assert of(LLAMA, attention="eager") == (1, "bfloat16", True, True)
    assert of(BOTH, attention="eager", dtype="float32") == (2, "float32", True, True)


def test_layer_types_count_before_what_a_model_type_usually_has() -> None:
    assert of(replace(BOTH, layer_types=("sliding_attention",) * 4), padded=True)[0] == 1
    assert of(replace(WINDOWED, layer_types=("sliding_attention", "full_attention")), padded=True)[0] == 2


def test_earlier_versions_build_one_in_the_models_dtype() -> None:
    facts = frozenset({"additive-mask"})
    assert of(BOTH, padded=True, facts=facts) == (1, "bfloat16", True, True)
    assert of(BOTH, length=1024, facts=facts)[0] == 0


SMALL_MISTRAL = {
    "model_type": "mistral", "hidden_size": 1024, "intermediate_size": 2048, "num_hidden_layers": 6, "num_attention_heads": 16,
    "num_key_value_heads": 4, "vocab_size": 32000, "sliding_window": 512,
}
MEASURED = [  # on the phantom, torch 2.11, transformers 5.17: max_memory_allocated
    ({"arch": SMALL_MISTRAL, "batch": 4, "seq": 1024, "checkpointing": False, "capability": "8.9"}, 3.163),
    ({"arch": "gemma-3-270m", "attn": "eager", "double_quant": True, "grad_accum": 2, "lora_r": 64, "max_grad_norm": 0.0,
      "method": "qlora", "padding_free": True, "seq": 3072, "trainer": "sft"}, 1.684),
]


@pytest.mark.parametrize(("case", "gibibytes"), MEASURED, ids=lambda value: json.dumps(value)[:40])
def test_measured_runs(case: dict[str, object], gibibytes: float) -> None:
    made = estimate(run_of(case), architecture_of(case), capability=capability_of(case))
    assert isinstance(made, Estimate)
    assert made.allocated.typical == pytest.approx(gibibytes * 2**30, rel=0.01)
