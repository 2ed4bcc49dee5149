"""How far the truth may lie from the number: each reason that widens a band, by name."""

from __future__ import annotations

from vramlint.memory.encoders.heads import VOCABULARIES
from vramlint.memory.estimate import Assumption
from vramlint.memory.own_loops import OWN_LOOPS
from vramlint.memory.step_plan import Plan
from vramlint.run import Run

SMALL_BELOW, SMALL_ABOVE = 8 << 20, 16 << 20
"""Bytes below and above the number besides: rests of blocks that fell otherwise than on the replayed allocator, scalars, what a
reduction's buffers take; they show on models under a billion parameters."""


def spread_of(run: Run, plan: Plan, assumptions: list[Assumption]) -> tuple[float, float]:
    """How far the truth may lie below and above, as shares; each reason that widens it is named.

    From the errors of the rows in lab/data/measured that are not held out, with half as much again beside them.
    """
    below, above = 0.003, 0.006
    for applies, lower, upper, key, why in (
        (run.trainer not in OWN_LOOPS and run.trainer != "transformers", 0.008, 0.014, "trainer",
         "TRL's trainers are simulated from fewer measured runs"),
        (run.trainer in OWN_LOOPS and run.torch_compile, 0.03, 0.03, "torch_compile",
         "what inductor fuses is simulated as measured with torch 2.11"),
        (run.trainer in OWN_LOOPS, 0.014, 0.018, "trainer", "its own loop is simulated from fewer measured runs"),
        (plan.setting.liger, 0.005, 0.0, "use_liger_kernel", "what Liger's kernels take beside their tensors is not simulated"),
        (plan.setting.attention == "eager", 0.006, 0.0, "attn_implementation", "eager attention differs between architectures"),
        (plan.sharding is not None, 0.01, 0.02, "num_processes", "several cards are simulated from few measured runs"),
        (plan.optimizer.low_rank is not None and plan.optimizer.low_rank.kind == "galore", 0.0, 0.03, "optim",
         "what cuSOLVER takes to decompose a gradient is not known"),
        (plan.encoder is not None, 0.003, 0.006, "model_name_or_path", "encoders are simulated from fewer measured runs"),
        (bool(plan.setting.dora), 0.015, 0.01, "use_dora", "DoRA is simulated from fewer measured runs"),
        (plan.offloads, 0.03, 0.02, "activation_offloading", "what is still being copied depends on the machine"),
        (plan.offloads and bool(run.use_reentrant), 0.0, 0.08, "use_reentrant",
         "what offloading keeps under checkpointing with reentry is not simulated"),
        (bool(run.stack), 0.003, 0.01, "stack", "older versions are simulated from fewer measured runs"),
    ):
        if applies:
            below, above = below + lower, above + upper
            assumptions.append(Assumption(key, str(getattr(run, key, "")), f"{why}: the band is wider"))
    return below, above


def fragmentation_of(run: Run, plan: Plan, assumptions: list[Assumption]) -> float:
    """How much higher the high end of `required` lies where free memory is known to be cut up more than is simulated."""
    found = 0.0
    for applies, share, key, why in (
        (plan.checkpointing and plan.setting.liger and plan.setting.bits, 0.05, "use_liger_kernel",
         "4-bit layers with Liger under checkpointing leave more holes than are simulated"),
        (plan.checkpointing and plan.block.conv1d and plan.setting.trained, 0.06, "gradient_checkpointing",
         "gradients of Conv1D layers leave more holes than are simulated"),
        (plan.pieces is not None and plan.pieces.returned and plan.setting.bits, 0.12, "loss_type",
         "logits in full beside a base in 4 bits leave more holes than are simulated"),
        (plan.encoder is not None and plan.encoder.task in VOCABULARIES and plan.checkpointing and plan.accumulates
         and plan.setting.trained, 0.12, "gradient_accumulation_steps",
         "gradients that lie where an encoder's logits were leave more holes than are simulated"),
        (run.trainer in OWN_LOOPS and not plan.checkpointing, 0.02, "trainer",
         "its own loop without checkpointing leaves more holes than are simulated"),
        (plan.checkpointing and plan.block.parts_checkpointed and plan.setting.trained, 0.06, "gradient_checkpointing",
         "checkpoints of parts of a layer leave more holes in larger models than are simulated"),
        (plan.offloads and not plan.checkpointing, 0.08, "activation_offloading",
         "what comes back from the host has segments of its own, which are not simulated"),
    ):
        if applies:
            found = max(found, share)
            assumptions.append(Assumption(key, str(getattr(run, key, "")), f"{why}: the band is wider"))
    return found
