"""LitGPT's finetune and finetune_full commands under Lightning Fabric, on a case's model."""

from __future__ import annotations

import contextlib
import importlib.metadata
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning
import litgpt.finetune.full
import litgpt.finetune.lora
import torch
from lightning.fabric.plugins import BitsandbytesPrecision
from litgpt.args import EvalArgs, TrainArgs

from lab.case import architecture_fields

PRECISIONS = {("bfloat16", "none"): "bf16-true", ("float32", "bf16"): "bf16-mixed", ("float32", "none"): "32-true"}
FAMILIES = {"llama": ("RMSNorm", "LLaMAMLP"), "mistral": ("RMSNorm", "LLaMAMLP"), "qwen2": ("RMSNorm", "LLaMAMLP"),
            "gemma": ("RMSNorm", "GemmaMLP"), "gpt_neox": ("LayerNorm", "GptNeoxMLP")}
PROJECTIONS = {"q_proj": "lora_query", "k_proj": "lora_key", "v_proj": "lora_value", "o_proj": "lora_projection"}
MLP = ("gate_proj", "up_proj", "down_proj")


class Ready(Exception):  # noqa: N818 — no error
    """The model, optimizer and data are set up; `fit` would begin."""


class Rows(torch.utils.data.Dataset):  # type: ignore[misc]  # torch's data sets are generic in no type of ours
    """Rows of full length, all tokens scored."""

    def __init__(self, length: int, count: int) -> None:
        self.length, self.count = length, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, _index: int) -> dict[str, Any]:
        row = torch.full((self.length,), 5)
        return {"input_ids": row, "labels": row, "token_counts": {"raw": 1, "raw_plus_prompt_template": 1}}


def configured(case: Mapping[str, Any]) -> dict[str, Any]:
    """The case's model under LitGPT's names."""
    fields = architecture_fields(case)
    norm, mlp = FAMILIES[fields["model_type"]]
    heads, vocabulary = fields["num_attention_heads"], fields["vocab_size"]
    size = fields.get("head_dim") or fields["hidden_size"] // heads
    return {
        "name": "lab", "block_size": max(case["seq"], fields.get("max_position_embeddings", 4096)), "vocab_size": vocabulary,
        "padded_vocab_size": vocabulary, "n_layer": fields["num_hidden_layers"], "n_head": heads, "n_embd": fields["hidden_size"],
        "head_size": size, "n_query_groups": fields.get("num_key_value_heads", heads), "rotary_percentage": 1.0,
        "parallel_residual": fields["model_type"] == "gpt_neox", "bias": fields["model_type"] == "gpt_neox",
        "attn_bias": fields["model_type"] == "qwen2", "norm_class_name": norm, "mlp_class_name": mlp,
        "intermediate_size": fields["intermediate_size"], "scale_embeddings": fields["model_type"] == "gemma",
    }


def prepare(case: Mapping[str, Any]) -> tuple[Callable[[], None], Any, str]:
    """The command's `main` until it calls `fit`; what trains it, its model, and LitGPT's version."""
    tunes = case["method"] != "full"
    module: Any = litgpt.finetune.lora if tunes else litgpt.finetune.full
    kind: Any = module.Config
    adapters: dict[str, Any] = {}
    if tunes:
        targets = [*PROJECTIONS, *MLP] if case["lora_targets"] == "all-linear" else case["lora_targets"]
        adapters = {theirs: ours in targets for ours, theirs in PROJECTIONS.items()} | {
            "lora_mlp": any(name in targets for name in MLP), "lora_head": "lm_head" in targets,
            "lora_r": case["lora_r"], "lora_alpha": 2 * case["lora_r"],
            "lora_dropout": case["lora_dropout"],
        }
    precision: str | None = PRECISIONS[case["weights"], case["amp"]]
    plugins = None
    if case["method"] == "qlora":
        name = ("nf4-dq" if case["double_quant"] else "nf4") if case["bits"] == 4 else "int8-training"
        plugins, precision = BitsandbytesPrecision(name, getattr(torch, case["weights"])), None
    fabric = lightning.Fabric(devices=1, accelerator="cuda", precision=precision, plugins=plugins, loggers=[])
    rows = Rows(case["seq"], case["batch"] * case["grad_accum"] * (case["steps"] + 2))
    made: dict[str, Any] = {}

    def loaders(fabric: Any, *_: Any) -> Any:
        return fabric.setup_dataloaders(*(torch.utils.data.DataLoader(rows, batch_size=case["batch"]) for _ in range(2)))

    def ready(*_: Any, **named: Any) -> None:
        made.update(named)
        raise Ready

    fit, validate = module.fit, module.validate
    module.fit, module.get_dataloaders, module.load_checkpoint = ready, loaders, lambda *_, **__: None
    module.Tokenizer = lambda *_: None
    module.get_longest_seq_length = lambda *_: (case["seq"], 0)
    # Its last act writes an example, with a model that is no larger than before.
    module.generate_example = lambda *_: None
    module.validate = lambda fabric, model, loader, args, **_: validate(fabric, model, loader, args, verbose=False)
    arguments = {
        "fabric": fabric, "devices": 1, "seed": 1, "config": kind(**configured(case), **adapters), "data": None,
        "checkpoint_dir": Path(tempfile.mkdtemp()), "out_dir": Path(tempfile.mkdtemp()),
        "train": TrainArgs(
            save_interval=None, log_interval=1, global_batch_size=case["batch"] * case["grad_accum"],
            micro_batch_size=case["batch"], lr_warmup_steps=1, epochs=100, max_steps=case["steps"], max_seq_length=case["seq"],
        ),
        "eval": EvalArgs(interval=1000, max_new_tokens=1, max_iters=1, initial_validation=False), "optimizer": "AdamW",
    }
    if not tunes:
        arguments["resume"] = False
    with contextlib.suppress(Ready):
        module.main(**arguments)
    model = made["model"] if tunes else made["state"]["model"]
    return lambda: fit(**made), model, importlib.metadata.version("litgpt")
