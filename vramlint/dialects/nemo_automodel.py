"""What NeMo Automodel's schema cannot say: which recipes train a language model, packing, the names that LoRA's patterns match.

Read off NeMo Automodel 36044ad3 (2026-08-22): recipes/llm/train_ft.py and benchmark.py, _transformers/auto_model.py,
components/_peft/module_matcher.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vramlint.dialects.adaptor import Adaptor
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.steps import settle_step
from vramlint.dialects.trainers import Trainers
from vramlint.dialects.walk import Reading
from vramlint.run import Change, Run, Value

BENCHMARK = "BenchmarkingRecipeForNextTokenPrediction"
RECIPES = ("TrainFinetuneRecipeForNextTokenPrediction", BENCHMARK)
MODELS = "NeMoAutoModelForCausalLM."
PROJECTIONS = "*_proj"
OUTPUT = "lm_head"
OWN_STEP = {"_fp8": "it computes in fp8", "_qat": "weights are quantised on the way (qat)"}
PLAIN = {"_linear": (None, "torch"), "_rms_norm": (None, "torch_fp32"), "_rope": (None, "torch")}
"""Words of `model.backend` under which the layers are those that were measured."""
PADS = (True, "max_length")


# ruff: noqa: ARG002  # the protocol's arguments
class NemoAutomodel(Adaptor):
    """Configs of NeMo Automodel's recipes."""

    def trainers(self, reading: Reading, facts: Mapping[str, Value]) -> Trainers | None:
        """Its loop for next-token prediction is simulated; its other recipes, and what changes the step, are not."""
        if facts.get("trainer") is not None:
            return None
        why = _unsimulated(facts)
        return Trainers(("other",), why) if why else None

    def settle(self, it: Settlement, reading: Reading) -> None:
        """Packing and the length, LoRA's modules, the batch of all cards, the optimizer."""
        size = it.mark("_packed")
        if isinstance(size, int) and size > 0:
            why = "packed_sequence.packed_sequence_size is above 0"
            it.infer("packing", True, why)
            it.infer("packing_strategy", "wrapped", why)
            it.infer("padding", False, why)
            it.force("max_length", size, why)
        if it.values["max_length"] is None:
            it.doubt("max_length", "neither packed_sequence_size nor the dataset's seq_length bounds it: state it, in tokens")
        if it.values["per_device_train_batch_size"] == 1 and it.mark("_pads") not in PADS:
            it.infer("padding", False, "a batch of one row has nothing to pad")
        if it.values["use_peft"]:
            self._adapters(it)
        if it.mark("_upcasts") is False and it.values["loss_type"] in (None, "masked_cross_entropy"):
            it.values["loss_type"] = "nll"
        if it.mark("_fused") and it.values["optim"] == "adamw_torch":
            it.values["optim"] = "adamw_torch_fused"
        if it.mark("_foreach") is False:
            it.infer("optim_args", "foreach=False", "optimizer.foreach is false")
        if it.values["optim"] == "flash_adamw" and isinstance(it.mark("_master_bits"), int):
            it.infer("optim_args", f"master_weight_bits={it.mark('_master_bits')}", "optimizer.master_weight_bits says it")
        if _last(it.mark("_recipe")) == BENCHMARK:
            it.force("max_grad_norm", 0.0, "the benchmark recipe does not clip")
        whole, each = it.mark("_global_batch_size"), it.values["per_device_train_batch_size"]
        ways = it.mark("_data_parallel")
        cards = ways if isinstance(ways, int) and ways > 0 else 1
        if cards > 1:
            it.infer("num_processes", cards, "distributed.dp_size says it")
        if isinstance(whole, int) and isinstance(each, int) and each > 0:
            why = "global_batch_size over local_batch_size and cards"
            it.infer("gradient_accumulation_steps", max(1, whole // (each * cards)), why)
        settle_step(it)

    def _adapters(self, it: Settlement) -> None:
        """LoRA's patterns are matched with the full names of modules: a bare name matches none."""
        targets, excluded = _listed(it.mark("_targets")), _listed(it.mark("_excluded"))
        if it.mark("_all_linear") or targets == ("*",):
            it.infer("lora_target_modules", ("all-linear", OUTPUT), "every linear layer is meant, the head, too")
        elif not targets and excluded:
            without = any(OUTPUT in name for name in excluded)
            named = ("all-linear",) if without else ("all-linear", OUTPUT)
            it.infer("lora_target_modules", named, "exclude_modules leaves the others")
        else:
            names = tuple(name if name == PROJECTIONS else name.rpartition("*")[2].rpartition(".")[2] for name in targets)
            it.infer("lora_target_modules", names or (PROJECTIONS,), "target_modules names them")

    def rewritten(self, reading: Reading, run: Run, changes: Sequence[Change]) -> Sequence[Change] | str:
        """LoRA's modules as patterns."""
        return list(_rewritten(changes))


def _rewritten(changes: Sequence[Change]) -> Iterator[Change]:
    for change in changes:
        if change.key != "lora_target_modules" or change.delete:
            yield change
        elif isinstance(change.value, tuple):
            yield Change("_targets", tuple(f"*{name}" for name in change.value))
        else:
            yield Change("_targets", PROJECTIONS)


def _unsimulated(facts: Mapping[str, Value]) -> str | None:
    """What about the file makes its step another than the one that is simulated, or None."""
    recipe, model = _last(facts.get("_recipe")), str(facts.get("_model_class") or MODELS)
    if recipe is not None and recipe not in RECIPES:
        return f"{recipe} is another training"
    if MODELS not in model:
        return f"{model} is built otherwise than a language model of NeMo Automodel's"
    for mark, why in OWN_STEP.items():
        if facts.get(mark):
            return why
    other = next((mark for mark, words in PLAIN.items() if facts.get(mark) not in words), None)
    if other is not None:
        return f"model.backend.{other[1:]} is {facts[other]}"
    if facts.get("_strategy") in ("megatron_fsdp", "ddp"):
        return f"distributed.strategy is {facts['_strategy']}"
    groups = facts.get("_replicas")
    if isinstance(groups, int) and groups > 1:
        return f"the model is there in {groups} groups of cards"
    ways = facts.get("_expert_parallel")
    if isinstance(ways, int) and ways > 1:
        return f"experts are shared out over {ways} cards"
    return "LoRA keeps its inner activations" if facts.get("_memory_efficient") is False else None


def _last(name: Value) -> str | None:
    return str(name).rpartition(".")[2] if name else None


def _listed(value: Value) -> tuple[str, ...]:
    if isinstance(value, list | tuple):
        return tuple(str(each) for each in value)
    return (str(value),) if value else ()


ADAPTOR = NemoAutomodel()
