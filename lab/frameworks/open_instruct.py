"""open-instruct's finetune.py (e6c3044a, from a checkout on the path) on a case's model, launched as accelerate does for one GPU.

What it imports for clusters and logging alone (ray, deepspeed, beaker, wandb, olmo_core) is stood in for by empty modules.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import torch

from lab import phantom_answers
from lab.loading import build

os.environ["ACCELERATE_MIXED_PRECISION"] = "bf16"
UNUSED = ("beaker", "ray", "wandb", "deepspeed", "olmo_core", "open_instruct.ground_truth_utils")


class Unused(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds empty modules under the names of those that a run on one GPU does not use."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """A spec where the name is one of the unused."""
        del path, target
        if fullname in UNUSED or fullname.startswith(tuple(f"{name}." for name in UNUSED)):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """A module that has whatever is asked of it."""
        module: Any = MagicMock(name=spec.name)
        module.__path__ = []
        module.__spec__ = spec
        return module  # type: ignore[no-any-return]  # stands in for one

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


sys.meta_path.insert(0, Unused())

from open_instruct import finetune  # noqa: E402


class Rows(torch.utils.data.Dataset):  # type: ignore[misc]  # torch's data sets are generic in no type of ours
    """Rows of full length, all tokens scored; in a padded batch every second one ends early."""

    def __init__(self, case: Mapping[str, Any]) -> None:
        self.length, self.padded = case["seq"], case["padded"]
        self.count = int(case["batch"] * case["grad_accum"] * case["steps"])

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        mask = torch.ones(self.length, dtype=torch.long)
        if self.padded and index % 2:
            mask[self.length // 2 :] = 0
        tokens = torch.full((self.length,), 5)
        return {"input_ids": tokens, "labels": tokens.clone(), "attention_mask": mask}

    def shuffle(self, **_: Any) -> Rows:
        """What a data set of the library has."""
        return self

    def set_format(self, **_: Any) -> None:
        """What a data set of the library has."""


class Tokenizer:
    """All that is asked of a tokenizer before the run is saved."""

    def __len__(self) -> int:
        return 1


def prepare(case: Mapping[str, Any]) -> tuple[Callable[[], None], Any, str]:
    """The script's `main`, the model that it will load, and the checkout's commit."""
    if case["liger"] or case["packing"] or case["optim"] == "adamw_torch":
        raise ValueError("this launcher measures neither Liger nor packing, and finetune.py has no foreach AdamW")
    if torch.cuda.get_device_name(0) == "Phantom GPU":
        phantom_answers.give(case)
    model = build(case)
    module: Any = finetune
    module.get_cached_dataset_tulu = lambda **_: Rows(case)
    module.visualize_token = module.snapshot_download = module.save_with_accelerate = lambda *_, **__: None
    module.clean_last_n_checkpoints = lambda *_, **__: None
    module.AutoConfig = MagicMock()
    module.AutoModelForCausalLM = MagicMock()
    module.AutoModelForCausalLM.from_pretrained = lambda *_, **__: model
    module.DataCollatorForSeq2Seq = lambda **_: torch.utils.data.default_collate
    module.deepspeed.zero.GatheredParameters = MagicMock()
    adapted = case["method"] != "full"
    arguments = finetune.FlatArguments(
        model_name_or_path="case", dataset_mixer_list=["none", "1.0"], max_seq_length=case["seq"],
        per_device_train_batch_size=case["batch"], gradient_accumulation_steps=case["grad_accum"],
        max_train_steps=case["steps"], gradient_checkpointing=case["checkpointing"], use_lora=adapted,
        use_qlora=case["method"] == "qlora", lora_rank=case["lora_r"], lora_dropout=case["lora_dropout"],
        clip_grad_norm=case["max_grad_norm"] or -1, use_8bit_optimizer=case["optim"] == "paged_adamw_8bit",
        output_dir=tempfile.mkdtemp(), push_to_hub=False,
        try_launch_beaker_eval_jobs=False, logging_steps=1,
    )
    root = Path(finetune.__file__).parent.parent
    commit = root / "COMMIT"
    settings = MagicMock(tokenizer=Tokenizer(), tokenizer_revision=None, tokenizer_name_or_path=None)

    def train() -> None:
        finetune.main(arguments, settings)

    return train, model, commit.read_text().strip() if commit.exists() else "unknown"
