"""The lists of cases that were measured: `python -m lab.grid NAME` prints one, a case a line.

Each list is drawn with its own fixed seed, so that printing it again gives the same cases.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

from lab.case import short
from lab.draw import (
    CAPABILITIES,
    DECODERS,
    DTYPES,
    LIGER_SMALL,
    METHODS,
    OLDER,
    OPTIMIZERS,
    SHAPES,
    SMALL,
    Case,
    anything,
    family,
    mixture,
    preference,
)
from lab.draw_encoders import encoders


def decoders() -> Iterator[Case]:
    """Every dense decoder, each method, checkpointed and not, at three capabilities, plain Trainer and AdamW."""
    draw = random.Random(1)  # noqa: S311 — drawn alike each time
    for arch in DECODERS:
        for method in METHODS:
            for checkpointing in (True, False):
                batch, seq = draw.choice(SHAPES)
                yield {
                    "arch": arch,
                    "method": method,
                    "checkpointing": checkpointing,
                    "batch": batch,
                    "seq": seq,
                    "capability": draw.choice(("8.0", "8.6", "9.0")),
                    "padded": draw.random() < 0.3,
                }


def optimizers() -> Iterator[Case]:
    """Every optimizer of transformers that runs on one card, on full models and on adapters."""
    draw = random.Random(2)  # noqa: S311 — drawn alike each time
    for optim in OPTIMIZERS:
        projected = optim.startswith(("galore", "apollo"))
        layerwise = optim.endswith("layerwise") or optim in {"lomo", "adalomo"}
        for arch, method in (
            ("smollm2-135m", "full"),
            ("qwen2.5-0.5b", "full"),
            ("pythia-410m", "full"),
            ("llama-3.2-1b", "lora"),
        ):
            case: dict[str, Any] = {
                "arch": arch,
                "method": method,
                "optim": optim,
                "capability": draw.choice(CAPABILITIES),
                "weights": draw.choice(("bfloat16", "bfloat16", "float32")),
                "batch": draw.choice((1, 2)),
                "seq": draw.choice((256, 512)),
                "max_grad_norm": 0.0 if layerwise else draw.choice((1.0, 1.0, 0.0)),
                "grad_accum": 1 if layerwise else draw.choice((1, 1, 2)),
            }
            if projected:
                case["optim_targets"] = draw.choice((["attn", "mlp"], "all-linear"))
                case["optim_args"] = draw.choice((None, "rank=64, update_proj_gap=100, scale=0.10"))
            yield case


def trainers() -> Iterator[Case]:
    """TRL's trainers: each method, with and without padding, checkpointing, a reference model, Liger, packing."""
    draw = random.Random(3)  # noqa: S311 — drawn alike each time
    for trainer, count in (("sft", 70), ("dpo", 60), ("reward", 36), ("kto", 36), ("grpo", 48)):
        for _ in range(count):
            yield preference(draw, trainer)


def precision() -> Iterator[Case]:
    """Dtypes × mixed precision × attention × masks × capability × head sizes.

    Which kernels run and what autocast keeps.
    """
    draw = random.Random(4)  # noqa: S311 — drawn alike each time
    archs = (
        "qwen2.5-0.5b",
        "phi-2",
        "gemma-3-270m",
        "phi-3-mini",
        "gpt2",
        "llama-3.2-1b",
        "opt-125m",
        "gemma-2-2b",
        "qwen3-0.6b",
    )
    for capability in CAPABILITIES:
        for padded in (False, True):
            for weights, amp in DTYPES:
                batch, seq = draw.choice(SHAPES)
                yield {
                    "arch": draw.choice(archs),
                    "capability": capability,
                    "padded": padded,
                    "weights": weights,
                    "amp": amp,
                    "attn": draw.choice(("sdpa", "sdpa", "sdpa", "eager")),
                    "checkpointing": draw.random() < 0.4,
                    "batch": batch,
                    "seq": seq,
                    "method": draw.choice(METHODS),
                    "lora_dropout": draw.choice((0.0, 0.0, 0.1)),
                    "reentrant": draw.random() < 0.3,
                }


def adapters() -> Iterator[Case]:
    """What peft and bitsandbytes can be told."""
    draw = random.Random(5)  # noqa: S311 — drawn alike each time
    choices: tuple[Case, ...] = (
        {"dora": True},
        {"rslora": True},
        {"modules_to_save": ["lm_head"]},
        {"modules_to_save": ["embed_tokens", "lm_head"]},
        {"lora_bias": "all"},
        {"lora_bias": "lora_only"},
        {"lora_dropout": 0.05},
        {"lora_targets": ["q_proj", "v_proj"]},
        {"lora_targets": ["q_proj", "k_proj", "v_proj", "o_proj"]},
        {"lora_targets": ["down_proj"]},
        {"lora_r": 256},
        {"autocast_adapters": False},
        {"quant_type": "fp4"},
        {"double_quant": True},
        {"kbit_prepare": False},
        {"bits": 8},
        {"bits": 8, "kbit_prepare": False},
        {"lora_targets": ["gate_proj", "up_proj"], "lora_dropout": 0.1},
        {"lora_r": 1},
        {"dora": True, "lora_dropout": 0.05},
    )
    for changes in choices:
        for _ in range(6):
            batch, seq = draw.choice(SHAPES)
            quantized = {"quant_type", "double_quant", "kbit_prepare", "bits"} & set(changes)
            yield {
                "arch": draw.choice(
                    ("qwen2.5-0.5b", "qwen3-0.6b", "llama-3.2-1b", "smollm2-360m", "olmo2-1b", "qwen2.5-1.5b")
                ),
                "method": "qlora" if quantized else draw.choice(("lora", "qlora")),
                "batch": batch,
                "seq": seq,
                "trainer": draw.choice(("hf", "hf", "sft")),
                "checkpointing": draw.random() < 0.5,
                "capability": draw.choice(CAPABILITIES),
                "padded": draw.random() < 0.3,
                **changes,
            }


def step() -> Iterator[Case]:
    """Liger and its parts, smoothing, noise, clipping, accumulation, cache release, frozen parts, evaluation."""
    draw = random.Random(6)  # noqa: S311 — drawn alike each time
    choices: tuple[Case, ...] = (
        {"liger": True},
        {"liger": True, "liger_parts": {"fused_linear_cross_entropy": False, "cross_entropy": True}},
        {"liger": True, "liger_parts": {"rms_norm": False}},
        {"liger": True, "liger_parts": {"swiglu": False, "rope": False}},
        {"label_smoothing": 0.1},
        {"neftune": 5.0},
        {"max_grad_norm": 0.0},
        {"grad_accum": 4},
        {"empty_cache_steps": 1},
        {"unfrozen": ["lm_head.*", "model.layers.[0-3]\\."]},
        {"unfrozen": [".*norm.*"]},
        {"reentrant": True},
        {"eval_batch": 1},
        {"eval_batch": 4},
        {"eval_batch": 2, "eval_rows": 8},
        {"eval_batch": 2, "eval_rows": 8, "eval_accumulation": 1},
        {"eval_batch": 4, "loss_only": True},
        {"eval_batch": 2, "trainer": "sft"},
        {"eval_batch": 2, "trainer": "dpo"},
    )
    for changes in choices:
        for _ in range(6):
            batch, seq = draw.choice(SHAPES)
            liger = "liger" in changes
            yield {
                "arch": draw.choice(LIGER_SMALL if liger else SMALL),
                "method": "full" if "unfrozen" in changes else draw.choice(METHODS),
                "batch": batch,
                "seq": seq,
                "checkpointing": draw.random() < 0.5,
                "capability": draw.choice(CAPABILITIES),
                "padded": draw.random() < 0.3,
                **changes,
            }


def families() -> Iterator[Case]:
    """Encoders, encoder-decoders, old decoders, mixtures of experts, latent attention."""
    draw = random.Random(7)  # noqa: S311 — drawn alike each time
    encoders = ("bert-base", "bert-large", "roberta-base", "modernbert-base")
    for arch in encoders:
        for head in ("seq-cls", "masked-lm"):
            for method in ("full", "full", "lora"):
                yield family(draw, arch, head, method, draw.choice(((8, 128), (4, 256), (2, 500))))
    for arch in ("t5-base", "flan-t5-base"):
        for method in ("full", "full", "full", "lora", "qlora"):
            yield family(draw, arch, "seq2seq-lm", method, draw.choice(((4, 128), (2, 512), (1, 300))))
    for arch in (
        "falcon-7b",
        "bloom-560m",
        "aya-23-8b",
        "phi-tiny-moe",
        "moonlight-16b-a3b",
        "mixtral-8x7b",
        "qwen3-30b-a3b",
    ):
        for method in METHODS:
            for _ in range(3):
                case = family(draw, arch, "causal-lm", method, draw.choice(((1, 512), (2, 512), (1, 1024))))
                if arch == "bloom-560m":
                    case["attn"] = "eager"
                if method != "full" and arch in {"mixtral-8x7b", "qwen3-30b-a3b", "phi-tiny-moe", "moonlight-16b-a3b"}:
                    case["lora_targets"] = ["q_proj", "v_proj"] if arch != "moonlight-16b-a3b" else ["q_proj", "o_proj"]
                yield case


def capacities() -> Iterator[Case]:
    """Drawn over everything, with the least capacity searched for."""
    draw = random.Random(8)  # noqa: S311 — drawn alike each time
    for index in range(220):
        case = anything(draw)
        if index % 2:
            case["arch"] = draw.choice(DECODERS)
        yield {**case, "capacity": True}


def older() -> Iterator[Case]:
    """The libraries of January 2025: plain Trainer, SFT, DPO, reward, KTO."""
    draw = random.Random(10)  # noqa: S311 — drawn alike each time
    for trainer, count in (("hf", 27), ("sft", 12), ("dpo", 9), ("reward", 4), ("kto", 4)):
        for index in range(count):
            batch, seq = draw.choice(SHAPES)
            yield {
                "stack": "2025-01",
                "trainer": trainer,
                "arch": draw.choice(OLDER),
                "method": METHODS[index % 3],
                "batch": max(2, batch) if trainer in {"dpo", "kto"} else batch,
                "seq": seq,
                "checkpointing": draw.random() < 0.6,
                "reentrant": draw.random() < 0.5,
                "padded": draw.random() < 0.4,
                "capability": draw.choice(("7.5", "8.0", "9.0")),
                "optim": draw.choice(("adamw_torch", "adamw_torch", "adamw_torch_fused", "adamw_8bit", "paged_adamw_8bit")),
                "double_quant": draw.random() < 0.5,
                "capacity": index % 3 == 1,
            }


def wide() -> Iterator[Case]:
    """More drawn over everything, larger models among them."""
    draw = random.Random(9)  # noqa: S311 — drawn alike each time
    for index in range(400):
        case = anything(draw)
        if index % 3 == 0:
            case["arch"] = draw.choice((*DECODERS, "qwen3-8b", "qwen3-4b", "llama-2-7b", "llama-3.2-3b", "qwen2.5-3b"))
        yield case


def mixtures(seed: int = 11, count: int = 80) -> Iterator[Case]:
    """Drawn over everything, every optimizer, kind of adapter and part of a step among it."""
    draw = random.Random(seed)  # noqa: S311 — drawn alike each time
    for _ in range(count):
        yield mixture(draw)


def least() -> Iterator[Case]:
    """Drawn anew, with the least capacity searched for: how `required` does on what it was not made from."""
    draw = random.Random(31)  # noqa: S311 — drawn alike each time
    for index in range(90):
        case = anything(draw)
        if index % 3 == 0:
            case["arch"] = draw.choice(DECODERS)
        yield {**case, "capacity": True}


def edges() -> Iterator[Case]:
    """Drawn anew with the least capacity searched for, wider models and encoders among them."""
    draw = random.Random(41)  # noqa: S311 — drawn alike each time
    for _ in range(32):
        yield {**anything(draw), "capacity": True}
    for _ in range(18):
        yield {**mixture(draw), "capacity": True}
    wider = ("llama-3.1-8b", "qwen2.5-7b", "mistral-7b-v0.3", "phi-3-mini", "gemma-2-2b", "starcoder2-3b", "qwen3-8b", "phi-2")
    for arch in wider:
        case = family(draw, arch, "causal-lm", draw.choice(("lora", "qlora")), draw.choice(SHAPES))
        yield {**case, "checkpointing": draw.random() < 0.8, "capacity": True}
    yield from ({**case, "capacity": True} for index, case in enumerate(encoders(seed=42)) if index % 10 == 0)


def sharded() -> Iterator[Case]:
    """What one of several cards holds: DDP, FSDP2, ZeRO 2 and 1, three small models."""
    cards = {"qwen2.5-0.5b": 4, "llama-3.2-1b": 8, "tinyllama-1.1b": 2}
    plain: list[Case] = [
        {"batch": 1, "seq": 512}, {"batch": 4, "seq": 1024}, {"batch": 2, "checkpointing": False},
        {"method": "lora", "batch": 4, "seq": 1024}, {"grad_accum": 2}, {"batch": 2, "weights": "float32"},
        {"batch": 2, "seq": 1024, "trainer": "sft"},
    ]
    own: dict[str, list[Case]] = {
        "ddp": [{"method": "qlora"}],
        "fsdp2": [{"reshard": False}, {"offload_param": True}, {"arch": "tinyllama-1.1b", "capacity": True}],
        "zero2": [{"reduce_bucket": 50_000_000}, {"overlap_comm": True}, {"offload_optimizer": True}],
    }
    own["zero2"].append({"arch": "tinyllama-1.1b", "reduce_bucket": 200_000_000})
    own["zero1"] = own["zero2"]
    for kind, more in own.items():
        for arch, processes in cards.items():
            yield from ({"capability": "8.0", "parallel": kind, "arch": arch, "processes": processes, **one} for one in plain)
        wide: list[Case] = [{"liger": True, "processes": 8}, {"optim": "adamw_torch", "processes": 16}, *more]
        for one in wide:
            yield {"capability": "8.0", "parallel": kind, "arch": "qwen2.5-0.5b", "processes": 4, "batch": 2, **one}


def again() -> Iterator[Case]:
    """Drawn anew as `mixtures` is, once those were simulated; less what does not start."""
    for case in mixtures(12, 90):
        trl = case.get("trainer", "hf") != "hf"
        two = case.get("trainer") in {"dpo", "kto", "grpo"}
        if not (trl and case["capability"] == "7.5") and not (two and case.get("lora_bias", "none") != "none"):
            yield case


LISTS: dict[str, Callable[[], Iterator[Case]]] = {
    "decoders": decoders,
    "optimizers": optimizers,
    "trainers": trainers,
    "precision": precision,
    "adapters": adapters,
    "step": step,
    "families": families,
    "capacities": capacities,
    "wide": wide,
    "older": older,
    "mixtures": mixtures,
    "again": again,
    "encoders": encoders,
    "least": least,
    "edges": edges,
    "sharded": sharded,
}


def main() -> None:
    """Print the named list."""
    if len(sys.argv) != 2 or sys.argv[1] not in LISTS:
        sys.exit(f"usage: python -m lab.grid NAME, one of {', '.join(LISTS)}")
    seen = set()
    for case in LISTS[sys.argv[1]]():
        line = json.dumps(short(case))
        if line not in seen:
            seen.add(line)
            print(line)


if __name__ == "__main__":
    main()
