"""Whether the real libraries do what rules say they do: `PHANTOM_MEM=… phantom-python VENV -m lab.rule_facts` (lab/phantom).

For a rule that claims a failure, the run that it warns of must raise what the rule's `seen` quotes, and the same run without
the mistake must pass. For a rule that claims wasted memory, the run must take more than the one without.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"}
warnings.simplefilter("ignore")

import yaml  # noqa: E402  # the libraries read the environment when they are imported

RULES = Path(__file__).resolve().parents[1] / "rules"
LENGTH, ROWS, VOCABULARY = 256, 16, 32_000
QUOTED = 90
"""How much of an error must be word by word: what follows may name versions and paths."""
SPECIAL = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
Make = Callable[[], Any]


class Runs:
    """One tiny model, its data, and one step of each trainer with whatever arguments a claim is about."""

    def __init__(self, directory: str) -> None:
        import datasets
        import tokenizers
        import torch
        import transformers

        self.out = directory
        self.torch, self.transformers = torch, transformers
        words = {word: number for number, word in enumerate(
            (*(f"w{number}" for number in range(VOCABULARY - len(SPECIAL))), *SPECIAL.values()),
        )}
        plain = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token=SPECIAL["unk_token"]))
        plain.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        self.tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=plain, **SPECIAL,
        )
        self.config = transformers.Qwen2Config(
            hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            vocab_size=VOCABULARY, tie_word_embeddings=False,
        )
        self.stored = os.path.join(directory, "model")
        self.model("bfloat16", "cpu").save_pretrained(self.stored)
        self.tokenizer.save_pretrained(self.stored)
        rows = [list(range(LENGTH))] * ROWS
        self.ids = datasets.Dataset.from_dict({"input_ids": rows, "labels": rows})
        text = " ".join(f"w{i}" for i in range(LENGTH))
        self.texts = datasets.Dataset.from_dict({"text": [text] * ROWS})
        self.pairs = datasets.Dataset.from_dict({"prompt": ["w1 w2"] * ROWS, "chosen": [text] * ROWS, "rejected": [text] * ROWS})

    def model(self, dtype: str = "bfloat16", device: str = "cuda") -> Any:
        """The model, made anew."""
        made = self.transformers.AutoModelForCausalLM.from_config(self.config, dtype=getattr(self.torch, dtype))
        return made.to(device)

    def plain(self, dtype: str = "bfloat16", **arguments: Any) -> int:
        """One step of the transformers Trainer; its peak in bytes."""
        from transformers import Trainer, TrainingArguments

        model = self.model(dtype)
        args = TrainingArguments(self.out, max_steps=1, report_to=[], save_strategy="no", disable_tqdm=True, **arguments)
        return self._peak(Trainer(model, args, train_dataset=self.ids))

    def trl(self, kind: str = "SFT", *, adapters: dict[str, Any] | None = None, bits: int = 0, **arguments: Any) -> int:
        """One step of a TRL trainer; its peak in bytes."""
        import trl
        from peft import LoraConfig

        model: dict[str, Any] = {"dtype": "bfloat16"}
        if bits:
            model["quantization_config"] = self.transformers.BitsAndBytesConfig(**{f"load_in_{bits}bit": True})
        args = getattr(trl, f"{kind}Config")(
            self.out, max_steps=1, report_to=[], save_strategy="no", disable_tqdm=True, model_init_kwargs=model, **arguments,
        )
        return self._peak(getattr(trl, f"{kind}Trainer")(
            self.stored, args=args, train_dataset=self.pairs if kind == "DPO" else self.texts, processing_class=self.tokenizer,
            peft_config=LoraConfig(**adapters) if adapters is not None else None,
        ))

    def arguments(self, name: str, **arguments: Any) -> Any:
        """A config class of transformers or TRL, made."""
        import trl

        made = getattr(self.transformers, name, None) or getattr(trl, name)
        return made(**arguments) if name == "BitsAndBytesConfig" else made(self.out, **arguments)

    def quantised(self) -> int:
        """Training a 4-bit model as it is."""
        from transformers import Trainer, TrainingArguments

        bits = self.transformers.BitsAndBytesConfig(load_in_4bit=True)
        model = self.transformers.AutoModelForCausalLM.from_pretrained(self.stored, quantization_config=bits)
        return self._peak(Trainer(model, TrainingArguments(self.out, max_steps=1, report_to=[]), train_dataset=self.ids))

    def _peak(self, trainer: Any) -> int:
        self.torch.cuda.reset_peak_memory_stats()
        trainer.train()
        return int(self.torch.cuda.max_memory_allocated())


def failures(it: Runs) -> dict[str, tuple[Make, Make | None]]:
    """By code: the run that fails, and the one that passes."""
    lora = {"target_modules": ["q_proj", "v_proj"]}
    galore: dict[str, Any] = {"optim_target_modules": "all-linear"}
    eight = {"per_device_train_batch_size": 8}
    best: dict[str, Any] = {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 100}
    return {
        "VRM501": (lambda: it.arguments("TrainingArguments", bf16=True, fp16=True), lambda: it.plain(bf16=True)),
        "VRM502": (
            lambda: it.arguments("BitsAndBytesConfig", load_in_4bit=True, load_in_8bit=True),
            lambda: it.arguments("BitsAndBytesConfig", load_in_4bit=True),
        ),
        "VRM503": (it.quantised, lambda: it.trl(adapters=lora, bits=4)),
        "VRM510": (lambda: it.trl(adapters={"target_modules": ["q_proj", "lm_head"]}), lambda: it.trl(adapters=lora)),
        "VRM511": (
            lambda: it.arguments("GRPOConfig", auto_find_batch_size=True, **eight),
            lambda: it.arguments("GRPOConfig", **eight),
        ),
        "VRM514": (
            lambda: it.trl(adapters=lora, bits=4, fp16=True, bf16=False), lambda: it.trl(adapters=lora, bits=4, bf16=True),
        ),
        "VRM515": (lambda: it.plain("float16", fp16=True), lambda: it.plain("float32", fp16=True)),
        "VRM523": (
            lambda: it.arguments("GRPOConfig", generation_batch_size=32, steps_per_generation=4, **eight),
            lambda: it.arguments("GRPOConfig", generation_batch_size=32, **eight),
        ),
        "VRM524": (
            lambda: it.arguments("GRPOConfig", generation_batch_size=24, num_generations=16, **eight),
            lambda: it.arguments("GRPOConfig", generation_batch_size=32, num_generations=16, **eight),
        ),
        "VRM525": (
            lambda: it.arguments("TrainingArguments", bf16_full_eval=True, fp16_full_eval=True),
            lambda: it.arguments("TrainingArguments", bf16_full_eval=True),
        ),
        "VRM526": (
            lambda: it.arguments("TrainingArguments", lr_scheduler_type="reduce_lr_on_plateau"),
            lambda: it.arguments("TrainingArguments", lr_scheduler_type="cosine"),
        ),
        "VRM527": (lambda: it.trl(padding_free=True, max_length=LENGTH), lambda: it.trl(packing=True, max_length=LENGTH)),
        "VRM530": (
            lambda: it.plain(optim="galore_adamw_layerwise", gradient_accumulation_steps=2, **galore), None,
        ),
        "VRM531": (lambda: it.plain(optim="galore_adamw"), None),
        "VRM534": (
            lambda: it.arguments("TrainingArguments", load_best_model_at_end=True, eval_strategy="epoch"),
            lambda: it.arguments("TrainingArguments", load_best_model_at_end=True, eval_strategy="epoch", save_strategy="best"),
        ),
        "VRM535": (
            lambda: it.arguments("TrainingArguments", save_steps=250, **best),
            lambda: it.arguments("TrainingArguments", save_steps=200, **best),
        ),
        "VRM537": (
            lambda: it.arguments("TrainingArguments", dataloader_prefetch_factor=2),
            lambda: it.arguments("TrainingArguments", dataloader_prefetch_factor=2, dataloader_num_workers=2),
        ),
        "VRM533": (
            lambda: it.trl(use_liger_kernel=True, liger_kernel_config={"fused_linear_cross_entropy": True}),
            lambda: it.trl(use_liger_kernel=True, liger_kernel_config={"rms_norm": True}),
        ),
    }


def wastes(it: Runs) -> dict[str, tuple[Callable[[], int], Callable[[], int]]]:
    """By code: the run that wastes memory, and the one that does not."""
    lora = {"target_modules": "all-linear"}
    plain: dict[str, Any] = {"gradient_checkpointing": False}
    one: dict[str, Any] = {"per_device_train_batch_size": 1}
    return {
        "VRM405": (lambda: it.plain(optim="adamw_torch", **one), lambda: it.plain(optim="adamw_torch_fused", **one)),
        "VRM410": (lambda: it.trl("DPO"), lambda: it.trl("DPO", precompute_ref_log_probs=True)),
        "VRM411": (
            lambda: it.trl(adapters={**lora, "modules_to_save": ["embed_tokens", "lm_head"]}), lambda: it.trl(adapters=lora),
        ),
        "VRM412": (
            lambda: it.trl(adapters={**lora, "lora_dropout": 0.05}, **plain), lambda: it.trl(adapters=lora, **plain),
        ),
        "VRM413": (
            lambda: it.plain(bf16=True, use_liger_kernel=True, label_smoothing_factor=0.1),
            lambda: it.plain(bf16=True, use_liger_kernel=True),
        ),
        "VRM414": (lambda: it.plain("float32"), lambda: it.plain("float32", bf16=True)),
    }


def error_of(make: Make) -> str | None:
    """What a run raises, in a line; None if it passes."""
    try:
        make()
    except Exception as error:  # noqa: BLE001  # what is raised is what is asked
        return " ".join(f"{type(error).__name__}: {error}".split())
    return None


def main() -> int:
    """Print each claim beside what happened; 1 if one of them does not hold."""
    seen = {path.name[:6]: yaml.safe_load(path.read_text(encoding="utf-8")).get("seen") for path in RULES.glob("*.yaml")}
    held = True
    with tempfile.TemporaryDirectory() as directory:
        it = Runs(directory)
        for code, (bad, good) in failures(it).items():
            raised, passed = error_of(bad), error_of(good) if good else None
            holds = raised is not None and passed is None and str(seen[code])[:QUOTED] == raised[:QUOTED]
            held &= holds
            print(f"{code} {'holds' if holds else 'DIFFERS'}: {raised}" + (f"; without it: {passed}" if passed else ""))
        for code, (wasting, sparing) in wastes(it).items():
            more, less = wasting(), sparing()
            held &= more > less
            print(f"{code} {'holds' if more > less else 'DIFFERS'}: {more / 2**20:.1f} MiB rather than {less / 2**20:.1f}")
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())
