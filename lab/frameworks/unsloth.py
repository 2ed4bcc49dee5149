"""A case under unsloth's FastLanguageModel and its patched SFTTrainer, as its notebooks call them.

unsloth has PyTorch's allocator use expandable segments, patches the training libraries at its import and opens the device
there, so it is imported in the measuring child, and the allocator is told before. The weights are made, not read:
`lab.loading.build` stands in for `AutoModelForCausalLM.from_pretrained`. Options of a case: `gradient_checkpointing`
("unsloth", true or false) and `card`, the GiB that the card says it has (24 where nothing is said), which unsloth's loss
asks for.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import torch
import transformers

from lab import phantom_answers
from lab.case import architecture_fields
from lab.loading import build
from lab.trainers import arguments, tokenizer

CLASSES = {
    "llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM", "mistral": "MistralForCausalLM",
    "gemma": "GemmaForCausalLM", "gemma2": "Gemma2ForCausalLM", "granite": "GraniteForCausalLM", "cohere": "CohereForCausalLM",
}


def folder_of(case: Mapping[str, Any]) -> str:
    """A directory with the model's config and a tokenizer, and no weights."""
    folder = tempfile.mkdtemp()
    fields = architecture_fields(case)
    config = transformers.AutoConfig.for_model(fields.pop("model_type"), **fields)
    config.architectures = [CLASSES[config.model_type]]
    config.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def loads(case: Mapping[str, Any], folder: str) -> Callable[..., Any]:
    """What stands in for `from_pretrained`."""

    def load(_: str, **given: Any) -> Any:
        model = build(case)
        quantization = given.get("quantization_config")
        if quantization is not None:
            model.config.quantization_config = quantization
            model.is_loaded_in_4bit = True
            model.hf_quantizer = transformers.quantizers.AutoHfQuantizer.from_config(quantization)
            model.quantization_method = "bitsandbytes"
        model.hf_device_map = {"": 0}
        model.name_or_path = model.config._name_or_path = folder  # noqa: SLF001 — from_pretrained writes it
        return model

    return load


def scored_tokens_are_found(case: Mapping[str, Any]) -> None:
    """`nonzero` of a mask over the tokens of a batch finds all but the last of each row, whose label is the next row's first."""
    plain: Any = torch.Tensor.nonzero
    tokens = case["batch"] * case["seq"]
    ends = case["batch"] * (2 if case["packing"] else 1)

    def found(self: torch.Tensor, **named: Any) -> Any:
        if self.is_cuda and self.dtype is torch.bool and self.shape == (tokens,) and not named:
            plain(self)
            return torch.zeros((tokens - ends, 1), dtype=torch.long, device=self.device)
        return plain(self, **named)

    torch.Tensor.nonzero = found
    # PyTorch compiles exp2 on the card when it is first asked for; what it allocates is what exp does.
    torch.exp2 = torch.exp
    torch.Tensor.exp2 = torch.Tensor.exp
    torch.Tensor.exp2_ = torch.Tensor.exp_


def card_has(gib: float) -> None:
    """What the card says of its memory; the phantom's own is without end."""
    plain = torch.cuda.get_device_properties

    def properties(*named: Any) -> Any:
        found = plain(*named)
        fields = {name: getattr(found, name) for name in dir(found) if not name.startswith("_")}
        return SimpleNamespace(**fields | {"total_memory": int(gib * 2**30)})

    torch.cuda.get_device_properties = properties


def prepare(case: Mapping[str, Any]) -> tuple[Callable[[], None], Any, str]:
    """The trainer's `train`, the model, and unsloth's version."""
    os.chdir(tempfile.mkdtemp())  # its generated trainers go where it runs
    torch.cuda.memory._set_allocator_settings("expandable_segments:True")  # noqa: SLF001 — unsloth says so before torch is there
    import unsloth  # it opens the device

    options = case["options"] or {}
    folder = folder_of(case)
    for name in CLASSES:
        module = getattr(unsloth.models, name, None)
        if module is not None and hasattr(module, "AutoModelForCausalLM"):
            module.AutoModelForCausalLM = SimpleNamespace(from_pretrained=loads(case, folder))
    full = case["method"] == "full"
    recompute = options.get("gradient_checkpointing", "unsloth")
    model, _ = unsloth.FastLanguageModel.from_pretrained(
        folder, max_seq_length=case["seq"], load_in_4bit=case["method"] == "qlora", dtype=getattr(torch, case["weights"]),
        full_finetuning=full, use_gradient_checkpointing=recompute,
    )
    if not full:
        model = unsloth.FastLanguageModel.get_peft_model(
            model, r=case["lora_r"], target_modules=case["lora_targets"], lora_alpha=case["lora_r"],
            lora_dropout=case["lora_dropout"], bias=case["lora_bias"], use_gradient_checkpointing=recompute, random_state=1,
        )
    if torch.cuda.get_device_name(0) == "Phantom GPU":
        phantom_answers.masks_select(case)
        scored_tokens_are_found(case)
        card_has(options.get("card", 24))
        if not case["padded"]:
            phantom_answers.masks_are_all_ones()
    import datasets
    from trl import SFTConfig, SFTTrainer

    count = case["batch"] * case["grad_accum"] * case["steps"]
    text = " ".join(["w5"] * (case["seq"] + 8))  # longer than what is kept, so that every row is full
    rows = datasets.Dataset.from_list([{"text": text}] * count)
    case = {**case, "checkpointing": recompute is not False}
    settings = arguments(case, SFTConfig, max_length=case["seq"], packing=case["packing"], dataset_text_field="text")
    trainer = SFTTrainer(model=model, args=settings, processing_class=tokenizer(), train_dataset=rows)
    return trainer.train, model, str(unsloth.__version__)
