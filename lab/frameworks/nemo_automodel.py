"""NeMo Automodel's recipe for next-token prediction (36044ad3, from a checkout on the path) on a case's model."""

from __future__ import annotations

import contextlib
import importlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.utils._triton as triton_support
import transformers

from lab.case import architecture_fields
from lab.sharding import start


@contextlib.contextmanager
def triton_is_there() -> Iterator[None]:
    """torchao asks for it as it is imported, and the device with it, which imports must not open."""
    asked = triton_support.has_triton
    triton_support.has_triton = lambda: True
    yield
    triton_support.has_triton = asked


with triton_is_there():
    nemo: Any = importlib.import_module("nemo_automodel")
    recipes: Any = importlib.import_module("nemo_automodel.recipes.llm.train_ft")
    loader: Any = importlib.import_module("nemo_automodel.components.config.loader")
    answers: Any = importlib.import_module("lab.phantom_answers")
    meshes: Any = importlib.import_module("nemo_automodel.components.distributed.mesh_utils")
    signals: Any = importlib.import_module("nemo_automodel.components.training.signal_handler")

ROWS = "lab.frameworks.nemo_automodel.rows"
COMPONENTS = "nemo_automodel.components."
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adamw_torch": {"_target_": "torch.optim.AdamW"}, "adamw_torch_fused": {"_target_": "torch.optim.AdamW", "fused": True},
    "adam": {"_target_": "torch.optim.Adam"}, "sgd": {"_target_": "torch.optim.SGD"},
    "adamw_8bit": {"_target_": "bitsandbytes.optim.AdamW8bit"}, "flash_adamw": {"_target_": "flashoptim.FlashAdamW"},
}
LOSSES: dict[str | None, dict[str, Any]] = {
    None: {"_target_": f"{COMPONENTS}loss.masked_ce.MaskedCrossEntropy"},
    "nll": {"_target_": f"{COMPONENTS}loss.masked_ce.MaskedCrossEntropy", "fp32_upcast": False},
    "chunked_cross_entropy": {"_target_": f"{COMPONENTS}loss.chunked_ce.ChunkedCrossEntropy"},
    "linear_cross_entropy": {"_target_": f"{COMPONENTS}loss.linear_ce.FusedLinearCrossEntropy"},
}


class Rows(torch.utils.data.Dataset):  # type: ignore[misc]  # torch's data sets are generic in no type of ours
    """Rows of full length, all tokens scored; masks as the collator makes them."""

    def __init__(self, length: int, count: int) -> None:
        self.length, self.count = length, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, _index: int) -> dict[str, Any]:
        row = [5] * self.length
        return {"input_ids": row, "labels": row, "attention_mask": [1] * self.length}


def rows(length: int, count: int, tokenizer: None = None) -> Rows:  # noqa: ARG001 — the recipe passes one
    """Named in the config."""
    return Rows(length, count)


def config_of(case: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The recipe's whole config; the model's own is written beside it."""
    options, ways = case["options"] or {}, int(case["processes"])
    fields = architecture_fields(case)
    hf = transformers.AutoConfig.for_model(fields.pop("model_type"), **fields)
    hf.architectures = [transformers.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[hf.model_type]]
    hf.save_pretrained(folder)
    pairs = [part.split("=") for part in (case["optim_args"] or "").split(",") if part]
    of_step = case["batch"] * case["grad_accum"] * ways
    found: dict[str, Any] = {
        "step_scheduler": {
            "global_batch_size": of_step, "local_batch_size": case["batch"], "max_steps": case["steps"], "num_epochs": 1,
            "ckpt_every_steps": 1000, "val_every_steps": 1000,
        },
        "dist_env": {"backend": "nccl", "timeout_minutes": 1},
        "model": {
            "_target_": "nemo_automodel.NeMoAutoModelForCausalLM.from_config", "config": str(folder),
            "torch_dtype": case["weights"], "attn_implementation": case["attn"], "use_liger_kernel": bool(case["liger"]),
            **options.get("model", {}),
        },
        "checkpoint": {"enabled": False, "checkpoint_dir": str(folder / "checkpoints")},
        "distributed": {"strategy": "fsdp2", "activation_checkpointing": bool(case["checkpointing"])},
        "loss_fn": LOSSES[case["loss_type"]],
        "dataset": {"_target_": ROWS, "length": case["seq"], "count": of_step * case["steps"], "tokenizer": None},
        "packed_sequence": {"packed_sequence_size": 0},
        "dataloader": {
            "_target_": "torchdata.stateful_dataloader.StatefulDataLoader", "shuffle": False,
            "collate_fn": f"{COMPONENTS}datasets.utils.default_collater",
        },
        "optimizer": {**OPTIMIZERS[case["optim"]], "lr": 1e-5, **{key: value == "True" for key, value in pairs}},
        "clip_grad_norm": {"max_norm": case["max_grad_norm"]},
    }
    if case["method"] == "qlora":  # only what is loaded is quantised
        zeros(folder)
        found["model"] |= {"_target_": "nemo_automodel.NeMoAutoModelForCausalLM.from_pretrained"}
        found["model"]["pretrained_model_name_or_path"] = found["model"].pop("config")
        found["quantization"] = {
            f"load_in_{case['bits']}bit": True, "bnb_4bit_compute_dtype": "bfloat16", "bnb_4bit_quant_type": case["quant_type"],
            "bnb_4bit_use_double_quant": bool(case["double_quant"]), "bnb_4bit_quant_storage": options.get("storage", "bfloat16"),
        }
    if case["method"] != "full":
        targets = case["lora_targets"]
        every = {"exclude_modules": ["*lm_head*"]}
        found["peft"] = {
            "_target_": f"{COMPONENTS}_peft.lora.PeftConfig", "dim": case["lora_r"], "alpha": 2 * case["lora_r"],
            "dropout": case["lora_dropout"], "use_dora": bool(case["dora"]), "use_triton": bool(options.get("triton")),
            **(every if targets == "all-linear" else {"target_modules": [f"*{name}" for name in targets]}),
        }
    return found


def zeros(folder: Path) -> None:
    """A checkpoint beside the model's config: zeros that take no room on the disk."""
    with torch.device("meta"):
        state = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(folder)).state_dict()
    header, end = {}, 0
    for name, tensor in state.items():
        begin, end = end, end + 2 * tensor.numel()
        header[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def prepare(case: Mapping[str, Any]) -> tuple[Callable[[], None], Any, str]:
    """The recipe set up, as its `main` does it; what trains it, its model, and NeMo Automodel's version."""
    if torch.cuda.get_device_name(0) == "Phantom GPU" and not case["padded"]:
        answers.masks_are_all_ones()
    if case["processes"] > 1:
        several(case)
    folder = Path(tempfile.mkdtemp())
    recipe = recipes.TrainFinetuneRecipeForNextTokenPrediction(loader.ConfigNode(config_of(case, folder)))
    recipe.setup()
    return recipe.run_train_validation_loop, recipe.model_parts[0], version()


def several(case: Mapping[str, Any]) -> None:
    """The first process of a group that sends nothing; nor do the groups that the recipe makes besides."""
    start(case)
    plain = torch.distributed.new_group
    torch.distributed.new_group = lambda *given, **named: plain(*given, **named | {"backend": "fake"})
    meshes._mesh_device_type = lambda: "cuda"  # noqa: SLF001 — it is the CPU's where the back end is not nccl
    meshes._nccl_backend_override = lambda *_, **__: None  # noqa: SLF001
    signals.DistributedSignalHandler.signals_received = lambda _: [False]  # it asks for nccl or gloo by name


def version() -> str:
    """Of the checkout: its version and commit, as far as they are known."""
    commit = Path(nemo.__file__).parent.parent / "COMMIT"
    return "-".join([nemo.__version__, *([commit.read_text().strip()] if commit.exists() else [])])
