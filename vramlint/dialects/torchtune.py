"""What torchtune's schema cannot say: which model a builder makes, and which modules its LoRA arguments name.

Read off torchtune bd2a0fc7 (2026-04-23): models/*/_model_builders.py, modules/peft/_utils.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vramlint.dataclass import replace
from vramlint.dialects.adaptor import Adaptor
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.steps import settle_step
from vramlint.dialects.walk import Reading
from vramlint.run import Change, Run

ATTENTION = {"q_proj": "q_proj", "k_proj": "k_proj", "v_proj": "v_proj", "output_proj": "o_proj"}
MLP = ("gate_proj", "up_proj", "down_proj")
OUTPUT = "lm_head"


# ruff: noqa: ARG002  # the protocol's arguments
class Torchtune(Adaptor):
    """Recipes of torchtune: the builder's name says the model and the kind of tuning."""

    def settle(self, it: Settlement, reading: Reading) -> None:
        """Model, adapters and quantised base from `model`."""
        self._model(it, reading)
        if it.values["use_peft"]:
            named = it.mark("_attn_modules")
            attention = [ATTENTION.get(str(name), str(name)) for name in named] if isinstance(named, list | tuple) else []
            targets = (*attention, *(MLP if it.mark("_mlp") else ()), *((OUTPUT,) if it.mark("_output") else ()))
            it.infer("lora_target_modules", targets, "the LoRA arguments of the builder name them")
        if it.mark("_fused") and it.values["optim"] == "adamw_torch":  # said by two keys; it stays at the first
            it.values["optim"] = "adamw_torch_fused"
        if it.mark("_validates"):
            it.infer("eval_strategy", "steps", "run_val_every_n_steps is stated")
        settle_step(it)

    def _model(self, it: Settlement, reading: Reading) -> None:
        builder = it.mark("_builder")
        if not isinstance(builder, str):
            it.doubt("model_name_or_path", it.said.unknown.get("_builder", "no builder of a model is named"))
            return
        name = builder.rpartition(".")[2]
        quantised, adapted = name.startswith("qlora_"), name.startswith(("lora_", "qlora_"))
        base = name.removeprefix("q").removeprefix("lora_") if adapted else name
        model = reading.tables.about["models"].get(base)
        why = f"it is what {name} builds"
        if model is None:
            it.doubt("model_name_or_path", f"which model {name} builds is not known: state model_name_or_path in a comment")
        else:
            it.infer("model_name_or_path", model, why)
            place = it.said.origins.get("_builder")
            if place is not None and not it.said.is_said("model_name_or_path"):
                it.origins["model_name_or_path"] = replace(place, kind="inferred", why=why)
        it.infer("use_peft", adapted, why)
        if quantised or it.mark("_quantize_base"):
            it.infer("load_in_4bit", True, "torchtune's QLoRA has a base in NF4 (torchao)")
            it.values["bnb_4bit_quant_type"] = "nf4"

    def rewritten(self, reading: Reading, run: Run, changes: Sequence[Change]) -> Sequence[Change] | str:
        """LoRA's modules under torchtune's names; what another builder would have to give cannot be written."""
        if any(change.key in ("use_peft", "load_in_4bit", "load_in_8bit", "model_name_or_path") for change in changes):
            return "another builder would have to be named in model._component_"
        return list(_rewritten(changes))


def _rewritten(changes: Sequence[Change]) -> Iterator[Change]:
    for change in changes:
        if change.key == "optim" and not change.delete:
            is_torch = change.value in ("adamw_torch", "adamw_torch_fused")
            yield Change("_fused", change.value == "adamw_torch_fused", delete=not is_torch)
            yield Change("optim", "adamw_torch") if is_torch else change
            continue
        if change.key != "lora_target_modules" or change.delete:
            yield change
            continue
        every = (*ATTENTION.values(), *MLP)
        names = every if change.value == "all-linear" else change.value if isinstance(change.value, tuple) else ()
        yield Change("_attn_modules", tuple(ours for ours, theirs in ATTENTION.items() if theirs in names))
        yield Change("_mlp", any(name in names for name in MLP))
        yield Change("_output", OUTPUT in names)


ADAPTOR = Torchtune()
