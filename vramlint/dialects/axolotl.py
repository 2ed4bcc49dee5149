"""What axolotl's schema cannot say: plugins that change the step, evaluation, and what is not simulated.

Read off axolotl 067b021c (2026-07-24): loaders/model.py, core/builders/base.py, integrations/{liger,cut_cross_entropy}.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vramlint.dialects.adaptor import Adaptor
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.steps import settle_step
from vramlint.dialects.trainers import Trainers
from vramlint.dialects.walk import Reading
from vramlint.run import Change, Run, Value

ADAPTERS = (None, "lora", "qlora")
OWN_STEP = {
    "_offload": "activations are offloaded axolotl's way", "_layer_offload": "layers are offloaded",
    "_selective": "checkpointing is selective", "_chunked_ce": "the cross entropy is chunked",
    "_tiled_mlp": "the MLP is tiled", "_qat": "weights are quantised on the way (qat)",
    "_fused_attention": "a kernel of axolotl's own is in attention", "_fused_mlp": "the MLP is fused",
    "_fused_norm": "norms are fused", "_eaft": "the loss is weighted by entropy",
}
UPCAST_BY = (None, "sdpa", "eager")
"""Attention under which full training leaves embeddings, norms and head in fp32 (`_configure_embedding_dtypes`)."""
CUT_CROSS_ENTROPY = "cut_cross_entropy"
LIGER_PLUGIN = "axolotl.integrations.liger.LigerPlugin"
LIGER = {"_liger_rope": "rope", "_liger_norm": "rms_norm", "_liger_glu": "swiglu", "_liger_flce": "fused_linear_cross_entropy"}
"""axolotl's switches and the kernels that Liger has on by default; here each is off unless it is named."""


# ruff: noqa: ARG002  # the protocol's arguments
class Axolotl(Adaptor):
    """The transformers Trainer and TRL's, with axolotl's patches."""

    def trainers(self, reading: Reading, facts: Mapping[str, Value]) -> Trainers | None:
        """axolotl's own, not simulated, where a patch changes what is kept; None: as the schema says."""
        stated = facts.get("trainer")
        if stated is not None:
            return None
        why = _patched(facts)
        return Trainers(("axolotl",), why) if why else None

    def settle(self, it: Settlement, reading: Reading) -> None:
        """Liger, evaluation, batch sizes; then what the trainer makes of it."""
        if _plugin(it.values, "liger") and any(it.mark(name) for name in (*LIGER, "_liger_ce")):
            it.infer("use_liger_kernel", True, "the Liger plugin is on, with the kernels that are named")
            switches = [f"{kernel}=false" for name, kernel in LIGER.items() if not it.mark(name)]
            switches += ["cross_entropy=true"] if it.mark("_liger_ce") else []
            it.infer("liger_kernel_config", tuple(switches) or None, "kernels that are not named are off (integrations/liger)")
        full = not it.values["use_peft"] and not it.values["fsdp"] and it.values["attn_implementation"] in UPCAST_BY
        if _cuts({"_plugins": it.values.get("_plugins"), "_cut_ce": it.mark("_cut_ce")}):
            full = False  # it wants them in 16 bits again (loaders/model.py, should_convert)
            it.infer("loss_type", CUT_CROSS_ENTROPY, "the plugin patches the model's loss (integrations/cut_cross_entropy)")
        if full:
            it.infer("float32_ends", True, "full training under sdpa and eager attention (_configure_embedding_dtypes)")
        if it.mark("_val_set_size") or it.mark("_test_datasets"):
            it.infer("eval_strategy", "steps", "there is a set to evaluate on")
        batch, micro = it.mark("_batch_size"), it.values["per_device_train_batch_size"]
        if isinstance(batch, int) and isinstance(micro, int) and micro:
            it.infer("gradient_accumulation_steps", max(1, batch // micro), "batch_size over micro_batch_size")
        kernels = it.mark("_lora_kernels") is not False and not it.mark("_trust") and not it.values["load_in_8bit"]
        if it.values["use_peft"] and kernels:
            it.note("axolotl's LoRA kernels, on by default, are not simulated: it takes at most what is said here")
        settle_step(it)

    def rewritten(self, reading: Reading, run: Run, changes: Sequence[Change]) -> Sequence[Change] | str:
        """Adapters and their 4-bit base are one word; Liger is a plugin with a switch for each of its kernels."""
        return list(_rewritten(reading, run, changes))


def _rewritten(reading: Reading, run: Run, changes: Sequence[Change]) -> Iterator[Change]:
    wanted = {change.key: change.value for change in changes if not change.delete}
    for change in changes:
        if change.key == "use_liger_kernel" and change.value:
            plugins = next((w.value for w in reading.found.written if w.key == "_plugins"), None) or []
            named = [plugins] if isinstance(plugins, str) else plugins
            if not any(".liger." in str(plugin) for plugin in named):
                yield Change("_plugins", (*named, LIGER_PLUGIN))
            yield from (Change(name, value=True) for name in LIGER)
        elif change.key == "use_peft":
            kind = "qlora" if wanted.get("load_in_4bit", run.load_in_4bit) else "lora"
            yield Change("_adapter", kind if change.value else None)
        else:
            yield change
            if change.key == "load_in_4bit" and "use_peft" not in wanted:
                yield Change("_adapter", "qlora" if change.value else "lora")


def _patched(facts: Mapping[str, Value]) -> str | None:
    """What about the file makes the step axolotl's own, or None."""
    if facts.get("_adapter") not in ADAPTERS:
        return f"the adapter {facts['_adapter']} is not simulated"
    for mark, why in OWN_STEP.items():
        if facts.get(mark):
            return why
    return None


def _cuts(facts: Mapping[str, Value]) -> bool:
    """Whether the loss is cut cross entropy: its plugin is there and not switched off."""
    return _plugin(facts, "cut_cross_entropy") and facts.get("_cut_ce") is not False


def _plugin(facts: Mapping[str, Value], name: str) -> bool:
    plugins = facts.get("_plugins")
    listed = plugins if isinstance(plugins, list | tuple) else [plugins]
    return any(isinstance(plugin, str) and f".{name}." in plugin for plugin in listed)


ADAPTOR = Axolotl()
