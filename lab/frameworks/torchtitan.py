"""torchtitan's trainer (238fa995, from a checkout) on a case's model, one card alone or the first of several."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torchtitan
import torchtitan.train
from torchtitan.config import ConfigManager
from torchtitan.protocols import train_spec

from lab.case import architecture_fields

FAMILIES = {"llama": "llama3", "qwen3": "qwen3"}
DTYPES = {"bf16": "bfloat16", "none": "float32"}
IMPLEMENTATIONS = {"adamw_torch_fused": ("AdamW", "fused"), "adamw_torch": ("AdamW", "foreach")}
FLAVOR = "lab"


class Rows:
    """Rows of full length without end, all tokens scored."""

    def __init__(self, batch: int, length: int) -> None:
        self.batch, self.length = batch, length

    def __iter__(self) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
        while True:
            yield {"input": torch.full((self.batch, self.length), 5)}, torch.full((self.batch, self.length), 5)


def words(case: Mapping[str, Any]) -> list[str]:
    """The command line, by which a TOML file's keys can be said as well."""
    fields, options = architecture_fields(case), case["options"] or {}
    name, implementation = IMPLEMENTATIONS[case["optim"]]
    selected = options.get("selective")
    mode = "none" if not case["checkpointing"] else "selective" if selected else "full"
    replicas = case["processes"] if case["parallel"] == "ddp" else 1
    keys: dict[str, Any] = {
        "model.name": FAMILIES[fields["model_type"]], "model.flavor": FLAVOR, "optimizer.name": name,
        "optimizer.implementation": implementation, "training.local_batch_size": case["batch"],
        "training.global_batch_size": case["batch"] * case["grad_accum"] * case["processes"], "training.seq_len": case["seq"],
        "training.steps": case["steps"], "training.max_norm": case["max_grad_norm"], "training.dtype": case["weights"],
        "training.mixed_precision_param": DTYPES[case["amp"]], "activation_checkpoint.mode": mode,
        "activation_checkpoint.selective_ac_option": selected or "2", "comm.mode": "fake_backend",
        "parallelism.data_parallel_replicate_degree": replicas, "job.dump_folder": tempfile.mkdtemp(),
        "parallelism.data_parallel_shard_degree": case["processes"] // replicas,
        "parallelism.fsdp_reshard_after_forward": options.get("reshard", "default"),
    }
    flags = {
        "compile.enable": bool(options.get("compile")), "optimizer.early_step_in_backward": bool(options.get("optimizer_in_bwd")),
    }
    return [f"--{key}={value}" for key, value in keys.items()] + [f"--{key}" for key, value in flags.items() if value]


def model_of(case: Mapping[str, Any], spec: train_spec.TrainSpec) -> Any:
    """The model's arguments with the case's sizes."""
    fields = architecture_fields(case)
    cls = type(spec.model_args["debugmodel"])
    common = {
        "dim": fields["hidden_size"], "n_layers": fields["num_hidden_layers"], "n_heads": fields["num_attention_heads"],
        "n_kv_heads": fields["num_key_value_heads"], "vocab_size": fields["vocab_size"],
    }
    if fields["model_type"] == "llama":  # a width below one step of rounding is rounded up to it
        return cls(**common, multiple_of=fields["intermediate_size"], ffn_dim_multiplier=1 / 16)
    return cls(
        **common, hidden_dim=fields["intermediate_size"], enable_weight_tying=bool(fields.get("tie_word_embeddings")),
        head_dim=fields.get("head_dim") or fields["hidden_size"] // fields["num_attention_heads"],
    )


def prepare(case: Mapping[str, Any]) -> tuple[Callable[[], None], Any, str]:
    """The trainer set up as `torchtitan.train` does; what trains, its model, and torchtitan's commit."""
    os.environ.update(LOCAL_RANK="0", RANK="0", WORLD_SIZE=str(case["processes"]), NGPU=str(case["processes"]))
    if torch.cuda.get_device_name(0) == "Phantom GPU":
        torch.nn.init.trunc_normal_ = lambda tensor, *_, **__: tensor  # a kernel that is compiled when it is first run
    family = FAMILIES[architecture_fields(case)["model_type"]]
    spec = train_spec.get_train_spec(family)
    spec.model_args[FLAVOR] = model_of(case, spec)
    spec.build_tokenizer_fn = None
    spec.build_dataloader_fn = lambda **_: Rows(case["batch"], case["seq"])
    train_spec.register_train_spec(family, spec)
    trainer = torchtitan.train.Trainer(ConfigManager().parse_args(words(case)))
    commit = Path(torchtitan.__file__).parent.parent / "COMMIT"
    return trainer.train, trainer.model_parts[0], commit.read_text().strip() if commit.exists() else "unknown"
