"""What torchtitan's schema cannot say: the model behind a flavour, accumulation from two batches, degrees of parallelism.

Read off torchtitan 238fa995 (2026-02-23, TOML) and b5bcd76c (2026-08-21, Python): config/, trainer.py, models/*/__init__.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from vramlint.dataclass import replace
from vramlint.dialects.adaptor import Adaptor
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.steps import resized, settle_step
from vramlint.dialects.trainers import Trainers
from vramlint.dialects.walk import Reading
from vramlint.run import Change, Run, Value

VARIANT = re.compile(r"_(flex|varlen)(_attn)?$")
"""A flavour with another attention kernel."""
NO_LANGUAGE_MODEL = ("flux",)
PYTHON = "python_defaults"
RECOMPUTES = {"FullAC": "full", "MemoryBudgetAC": "memory_budget", "SelectiveAC": "selective"}
MODES = {True: "full", False: "none"}


class Torchtitan(Adaptor):
    """torchtitan's own loop, in TOML or as a function that returns a `Trainer.Config`."""

    def classes_for(self, reading: Reading, trainer: str) -> list[str]:
        """Today's Python has defaults of its own."""
        return [PYTHON] if reading.python else super().classes_for(reading, trainer)

    def trainers(self, reading: Reading, facts: Mapping[str, Value]) -> Trainers | None:
        """The loop behind the Python configs is half a year younger than the one that is simulated."""
        if reading.python and "trainer" not in facts:
            return Trainers(("other",), "torchtitan's loop as its Python configs have it is another than that of its TOML files")
        return super().trainers(reading, facts)

    def settle(self, it: Settlement, reading: Reading) -> None:
        """Model, batch, optimizer and degrees."""
        self._model(it, reading)
        if reading.python:
            self._called(it, reading)
        replicas, shards = _whole(it.mark("_data_parallel_replicate"), 1), _whole(it.mark("_data_parallel_shard"), -1)
        ranks = replicas * max(1, shards)
        if shards > 1:
            it.infer("fsdp", "full_shard", "data_parallel_shard_degree is above 1")
        degrees = ("tensor_parallel_size", "pipeline_parallel_size", "context_parallel_size")
        others = 1
        for key in degrees:
            others *= _whole(it.values[key], 1)
        it.infer("num_processes", ranks * others, "the degrees of parallelism, multiplied")
        whole, each = _whole(it.mark("_global_batch_size"), -1), _whole(it.values["per_device_train_batch_size"], 1)
        it.infer("gradient_accumulation_steps", max(1, whole // (each * ranks)), "global over local batch size")
        self._optimizer(it)
        if it.mark("_validates"):
            it.infer("eval_strategy", "steps", "validation is enabled")
        if it.mark("_converters"):
            it.doubt("dtype", "model.converters names a conversion of the weights, which is not simulated yet")
        option = it.values.get("selective_checkpointing")
        it.values["selective_checkpointing"] = None if option is None else str(option)
        settle_step(it)

    def _model(self, it: Settlement, reading: Reading) -> None:
        family, flavor = it.mark("_family"), it.mark("_flavor")
        if reading.python:
            family = next((f for f in map(_family_of, _targets(reading, "model_registry()")) if f), None)
        name = VARIANT.sub("", str(flavor))
        if family in NO_LANGUAGE_MODEL:
            it.doubt("model_name_or_path", f"{family} is an image model: this config is validated, its memory comes later")
            return
        model = reading.tables.about["models"].get(f"{family}/{name}")
        if model is None:
            why = f"which model the flavour {flavor} of {family} is, is not known: state model_name_or_path in a comment"
            it.doubt("model_name_or_path", it.said.unknown.get("_flavor", why))
            return
        it.infer("model_name_or_path", model, f"it is the flavour {flavor} of {family}")
        place = it.said.origins.get("_flavor")
        if place is not None and not it.said.is_said("model_name_or_path"):
            it.origins["model_name_or_path"] = replace(place, kind="inferred", why=f"it is the flavour {flavor} of {family}")
        if VARIANT.search(str(flavor)):
            kernel = "flex_attention" if "flex" in str(flavor) else "flash_attention_2"
            it.infer("attn_implementation", kernel, f"the flavour {flavor} names it")

    def _called(self, it: Settlement, reading: Reading) -> None:
        """What the function's calls say: rows from tokens, and the class of checkpointing."""
        tokens, length = it.mark("_tokens"), it.values["max_length"]
        if isinstance(tokens, int) and isinstance(length, int) and length > 0:
            it.infer("per_device_train_batch_size", max(1, tokens // length), "tokens of a micro batch over max_context_length")
        named = [target.split(".")[-2] for target in _targets(reading, "Config()") if target.endswith("AC.Config")]
        mode = RECOMPUTES.get(named[0]) if len(set(named)) == 1 else None
        if len(set(named)) > 1:
            it.doubt("gradient_checkpointing", "several classes of activation checkpointing are called")
        elif mode == "full":
            it.infer("selective_checkpointing", None, "FullAC is called")
        elif mode == "memory_budget":
            it.doubt("gradient_checkpointing", "torch.compile chooses what is recomputed for a memory budget")

    def _optimizer(self, it: Settlement) -> None:
        if it.mark("_fused") or it.mark("_implementation") == "fused":
            it.values["optim"] = "adamw_torch_fused" if it.values["optim"] == "adamw_torch" else it.values["optim"]
        elif it.mark("_implementation") == "for-loop":
            it.doubt("optim", "an optimizer that goes parameter by parameter (for-loop) is not simulated yet")
        if it.mark("_in_backward"):
            it.doubt("optim", "an optimizer that steps in the backward pass is not simulated yet")

    def rewritten(self, reading: Reading, run: Run, changes: Sequence[Change]) -> Sequence[Change] | str:
        """Accumulation is the global batch; checkpointing and the optimizer have words of their own."""
        if reading.python:
            return "a function that returns a Trainer.Config is only read"
        refused = ("use_peft", "load_in_4bit", "load_in_8bit", "bf16", "fp16", "model_name_or_path", "attn_implementation")
        if any(change.key in refused for change in changes):
            return "torchtitan has no key for it"
        return list(_rewritten(run, changes))


def _rewritten(run: Run, changes: Sequence[Change]) -> Iterator[Change]:
    others = run.tensor_parallel_size * run.pipeline_parallel_size * run.context_parallel_size
    yield from resized(run, changes, max(1, run.num_processes // others))
    for change in changes:
        if change.key == "gradient_checkpointing":
            yield Change("_ac_mode", MODES[bool(change.value) and not change.delete])
        elif change.key == "optim":
            yield Change("_implementation", "fused" if change.value == "adamw_torch_fused" else "foreach")
        elif change.key not in ("gradient_accumulation_steps", "use_reentrant", "selective_checkpointing"):
            yield change


def _whole(value: Value, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _targets(reading: Reading, name: str) -> list[str]:
    """The qualified names behind the calls of that short name."""
    return [entry.value.target or "" for entry in reading.values.root.entries if entry.key.partition("#")[0] == name]


def _family_of(target: str) -> str | None:
    """`torchtitan.models.llama3.model_registry` → llama3."""
    parts = target.split(".")
    return parts[-2] if len(parts) > 2 else None


ADAPTOR = Torchtitan()
