"""The list of cases of encoders and encoder-decoders: every family under every head that is simulated, full and with LoRA."""

from __future__ import annotations

import random
from collections.abc import Iterator

from lab.draw import Case

ENCODERS = (
    "bert-base", "bert-large", "roberta-base", "roberta-large", "xlm-roberta-base", "distilbert-base", "electra-small",
    "electra-base", "modernbert-base", "modernbert-large", "deberta-v3-base",
)
ENCODER_DECODERS = ("t5-small", "t5-base", "flan-t5-base", "flan-t5-large", "mt5-small", "bart-base", "bart-large")
TARGETS = {
    "bert": (["query", "value"], ["query", "key", "value", "dense"]), "roberta": (["query", "value"],),
    "xlm-roberta": (["query", "value"],), "electra": (["query", "value"],),
    "distilbert": (["q_lin", "v_lin"], ["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"]),
    "modernbert": (["Wqkv"], ["Wqkv", "Wo"]), "deberta": (["query_proj", "value_proj"],),
    "t5": (["q", "v"], ["q", "k", "v", "o", "wo"]), "flan": (["q", "v"], ["q", "v"]), "mt5": (["q", "v"],),
    "bart": (["q_proj", "v_proj"],),
}
PRECISIONS = (
    ("float32", "bf16"), ("float32", "bf16"), ("float32", "fp16"), ("float32", "none"), ("bfloat16", "none"),
    ("bfloat16", "bf16"),
)
OPTIMIZERS = ("adamw_torch_fused", "adamw_torch_fused", "adamw_torch", "adamw_8bit", "adafactor", "sgd")


def encoders(seed: int = 21) -> Iterator[Case]:
    """Each model under its heads, drawn: precision, attention, checkpointing, masks, cards."""
    draw = random.Random(seed)  # noqa: S311 — drawn alike each time
    for index in range(9 * len(ENCODERS)):
        arch = ENCODERS[index % len(ENCODERS)]
        head = ("seq-cls", "masked-lm", "token-cls")[index // len(ENCODERS) % 3]
        yield _case(draw, arch, head, index)
    for index in range(8 * len(ENCODER_DECODERS)):
        arch = ENCODER_DECODERS[index % len(ENCODER_DECODERS)]
        yield {**_case(draw, arch, "seq2seq-lm", index), "target": draw.choice((None, 64, 128, 256))}


def _case(draw: random.Random, arch: str, head: str, index: int) -> Case:
    weights, amp = draw.choice(PRECISIONS)
    method = "lora" if draw.random() < 0.35 else "full"
    rows = draw.choice(((4, 512), (8, 128), (8, 384), (16, 128), (16, 256), (32, 128)))
    family = next(name for name in TARGETS if arch.startswith(name) or name == arch.partition("-")[0])
    case: Case = {
        "arch": arch, "head": head, "batch": rows[0], "seq": rows[1], "weights": weights, "amp": amp, "method": method,
        "attn": "eager" if arch.startswith("deberta") or draw.random() < 0.2 else "sdpa",
        "checkpointing": draw.random() < 0.4, "padded": draw.random() < 0.5, "capability": draw.choice(("8.0", "8.6", "9.0")),
        "optim": draw.choice(OPTIMIZERS), "grad_accum": 2 if draw.random() < 0.2 else 1, "capacity": index % 4 == 0,
    }
    if method == "lora":
        targets = draw.choice((*TARGETS[family], "all-linear"))
        case |= {"lora_targets": targets, "lora_r": draw.choice((8, 16, 32)), "lora_dropout": draw.choice((0.0, 0.1))}
    if head.endswith("cls"):
        case["labels"] = draw.choice((2, 2, 3, 9, 20))
    if draw.random() < 0.1:
        case["eval_batch"] = 2 * rows[0]
    return case
