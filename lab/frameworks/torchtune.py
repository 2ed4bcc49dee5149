"""torchtune's single-device recipes (bd2a0fc7 and later, from a checkout beside its `recipes` folder) on a case's model."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:False")  # torchtune turns them on; the phantom has none
import torchtune
from omegaconf import OmegaConf

from lab.case import architecture_fields

BUILDERS = {
    "llama": "llama3_2.{}llama3_2", "mistral": "mistral.{}mistral", "qwen2": "qwen2.{}qwen2",
    "qwen3": "qwen3._component_builders.{}qwen3",
    "gemma": "gemma.{}gemma", "gemma2": "gemma2.{}gemma2", "phi3": "phi3.{}phi3",
}
SCALED = 131072
"""Positions of llama since 3.1, whose builders make one table of cosines and sines for all layers."""
SCHEDULE = "torchtune.training.lr_schedulers.get_cosine_schedule_with_warmup"
DTYPES = {"bfloat16": "bf16", "float32": "fp32"}
OPTIMIZERS = {
    "adamw_torch": ("torch.optim.AdamW", {}), "adamw_torch_fused": ("torch.optim.AdamW", {"fused": True}),
    "paged_adamw_32bit": ("bitsandbytes.optim.PagedAdamW", {}), "paged_adamw_8bit": ("bitsandbytes.optim.PagedAdamW8bit", {}),
    "adamw_8bit": ("bitsandbytes.optim.AdamW8bit", {}), "sgd": ("torch.optim.SGD", {}),
}
LOSSES = {
    None: "torchtune.modules.loss.LinearCrossEntropyLoss",
    "chunked_cross_entropy": "torchtune.modules.loss.CEWithChunkedOutputLoss",
    "nll": "torch.nn.CrossEntropyLoss",
}
ATTENTION = {"q_proj": "q_proj", "k_proj": "k_proj", "v_proj": "v_proj", "o_proj": "output_proj"}
MLP = ("gate_proj", "up_proj", "down_proj")


class Tokenizer:
    """All that the recipes ask of a tokenizer."""

    pad_id = 0
    vocab_size = 100


def tokenizer() -> Tokenizer:
    """Named in the config."""
    return Tokenizer()


class Rows(torch.utils.data.Dataset):  # type: ignore[misc]  # torch's data sets are generic in no type of ours
    """Rows of full length, all tokens scored; packed ones hold two examples."""

    def __init__(self, length: int, count: int, packed: bool) -> None:
        self.length, self.count, self.packed = length, count, packed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, _index: int) -> dict[str, Any]:
        tokens = [5] * self.length
        if not self.packed:
            return {"tokens": tokens, "labels": tokens}
        half = self.length // 2
        return {
            "tokens": torch.tensor(tokens), "labels": torch.tensor(tokens), "seq_lens": torch.tensor([half, half]),
            "input_pos": torch.tensor([*range(half)] * 2),
        }


def rows(_tokenizer: Tokenizer, length: int, count: int, packed: bool = False) -> Rows:
    """Named in the config."""
    return Rows(length, count, packed)


def model_of(case: Mapping[str, Any]) -> dict[str, Any]:
    """The `model` part of the config: the component builder of the model's family with the case's sizes."""
    fields = architecture_fields(case)
    kind, tied = fields["model_type"], bool(fields.get("tie_word_embeddings"))
    positions = fields.get("max_position_embeddings", 4096)
    name = BUILDERS[kind]
    if kind == "llama" and not tied:
        name = "llama3_1.{}llama3_1" if positions >= SCALED else "llama3.{}llama3"
    found: dict[str, Any] = {
        "_component_": "torchtune.models." + name.format("" if case["method"] == "full" else "lora_"),
        "vocab_size": fields["vocab_size"], "num_layers": fields["num_hidden_layers"],
        "num_heads": fields["num_attention_heads"], "num_kv_heads": fields["num_key_value_heads"],
        "embed_dim": fields["hidden_size"], "intermediate_dim": fields["intermediate_size"],
        "max_seq_len": max(case["seq"], positions),
    }
    if kind in ("qwen2", "qwen3"):
        found["tie_word_embeddings"] = tied
    if kind in ("gemma", "gemma2", "qwen3"):
        found["head_dim"] = fields.get("head_dim") or fields["hidden_size"] // fields["num_attention_heads"]
    if kind == "qwen3":
        found |= {"q_proj_bias": False, "k_proj_bias": False, "v_proj_bias": False, "q_norm": True, "k_norm": True}
    if kind == "gemma2":
        found |= {"sliding_window_size": fields.get("sliding_window", 4096)}
    if case["method"] != "full":
        targets = case["lora_targets"]
        named = [*ATTENTION, *MLP] if targets == "all-linear" else targets
        found |= {
            "lora_attn_modules": [theirs for ours, theirs in ATTENTION.items() if ours in named],
            "apply_lora_to_mlp": any(name in named for name in MLP),
            "apply_lora_to_output": "lm_head" in named, "lora_rank": case["lora_r"],
            "lora_alpha": 2 * case["lora_r"], "lora_dropout": case["lora_dropout"], "use_dora": bool(case["dora"]),
            "quantize_base": case["method"] == "qlora",
        }
    return found


def config_of(case: Mapping[str, Any]) -> Any:
    """The recipe's whole config."""
    options = case["options"] or {}
    optimizer, arguments = OPTIMIZERS[case["optim"]]
    count = case["batch"] * case["grad_accum"] * case["steps"]
    here = "lab.frameworks.torchtune."
    return OmegaConf.create({
        "model": model_of(case),
        "tokenizer": {"_component_": here + "tokenizer"},
        "checkpointer": {"_component_": here + "tokenizer", "model_type": "LLAMA3", "checkpoint_files": []},
        "dataset": {"_component_": here + "rows", "length": case["seq"], "count": count, "packed": bool(case["packing"])},
        "optimizer": {"_component_": optimizer, "lr": 1e-5, **arguments},
        "optimizer_in_bwd": bool(options.get("optimizer_in_bwd")),
        "loss": {"_component_": LOSSES[case["loss_type"]]},
        "lr_scheduler": {"_component_": SCHEDULE, "num_warmup_steps": 1},
        "batch_size": case["batch"], "gradient_accumulation_steps": case["grad_accum"], "epochs": 1,
        "max_steps_per_epoch": case["steps"], "clip_grad_norm": case["max_grad_norm"] if options.get("clip") else None,
        "compile": bool(options.get("compile")), "device": "cuda", "dtype": DTYPES[case["weights"]],
        "enable_activation_checkpointing": bool(case["checkpointing"]), "enable_activation_offloading": bool(case["offload"]),
        "metric_logger": {"_component_": "torchtune.training.metric_logging.DiskLogger", "log_dir": tempfile.mkdtemp()},
        "output_dir": tempfile.mkdtemp(), "seed": 1, "shuffle": False, "resume_from_checkpoint": False,
        "log_every_n_steps": 1, "log_peak_memory_stats": False, "log_level": "ERROR",
    })


def tokens_are_scored() -> None:
    """What the phantom cannot answer: which labels are not ignored. All but the last of each row."""
    from torchtune.modules.loss import LinearCrossEntropyLoss

    plain: Any = torch.where
    count = [0]
    forward = LinearCrossEntropyLoss.forward

    def where(condition: Any, *rest: Any) -> Any:
        if rest or not condition.is_cuda:
            return plain(condition, *rest)
        return (torch.zeros(count[0], dtype=torch.long, device=condition.device),)

    def counted(self: Any, outputs: Any, targets: Any) -> Any:
        count[0] = targets.shape[0] * (targets.shape[1] - 1)
        return forward(self, outputs, targets)

    torch.where = where
    LinearCrossEntropyLoss.forward = counted


def prepare(case: Mapping[str, Any]) -> tuple[Callable[[], None], Any, str]:
    """The recipe set up, as `tune run` does it; what trains it, its model, and torchtune's version."""
    if torch.cuda.get_device_name(0) == "Phantom GPU":
        tokens_are_scored()
    name = "full_finetune_single_device" if case["method"] == "full" else "lora_finetune_single_device"
    cls = {"full": "FullFinetuneRecipeSingleDevice"}.get(case["method"], "LoRAFinetuneRecipeSingleDevice")
    root = Path(torchtune.__file__).parent.parent
    spec = importlib.util.spec_from_file_location(name, root / "recipes" / f"{name}.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{root}/recipes/{name}.py: torchtune has to be a checkout")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = config_of(case)
    recipe = getattr(module, cls)(cfg=config)
    client = recipe._checkpoint_client  # noqa: SLF001 — no public way to hand weights in
    client.load_base_checkpoint = lambda: {torchtune.training.MODEL_KEY: Zeros(config)}
    recipe.save_checkpoint = lambda *_, **__: None
    recipe.setup(cfg=config)
    return recipe.train, recipe._model, version(root)  # noqa: SLF001


class Zeros(dict[str, Any]):
    """A checkpoint of the model: zeros that take no memory on the host."""

    def __init__(self, config: Any) -> None:
        plain = OmegaConf.to_container(config.model)
        if not isinstance(plain, dict):
            raise TypeError("the model part of the config is no mapping")
        if "lora_rank" in plain:
            plain["quantize_base"] = False
        with torch.device("meta"):
            model = torchtune.config.instantiate(OmegaConf.create(plain))
        super().__init__(
            (name, torch.zeros((), dtype=torch.bfloat16).expand(tensor.shape))
            for name, tensor in model.state_dict().items() if "lora_" not in name and "magnitude" not in name
        )


def version(root: Path) -> str:
    """Of the checkout: its version file and commit, as far as they are known."""
    file = root / "version.txt"
    commit = root / "COMMIT"
    return "-".join(each.read_text().strip() for each in (file, commit) if each.exists())
