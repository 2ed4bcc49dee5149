"""Which of Liger's kernels a run takes: `liger_kernel_config` over the defaults of the model's patch."""

from __future__ import annotations

from vramlint.catalog import LIGER_MODEL_TYPES
from vramlint.run import Run

PARTS = {
    "rope": "rope", "rms_norm": "norm", "layer_norm": "norm", "swiglu": "mlp", "geglu": "mlp",
    "fused_linear_cross_entropy": "fused loss", "cross_entropy": "loss",
}
"""Names of `liger_kernel_config` and what of a model they replace."""
USUAL = frozenset({"rope", "norm", "mlp", "fused loss"})
WITHOUT_FUSED_LOSS = frozenset({"granite"})
"""Model types whose logits are scaled, so that the loss alone is replaced (liger-kernel 0.8.5, monkey_patch.py)."""
WITHOUT_ROPE = frozenset({"gemma4", "gemma4_text", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text"})


def liger_parts(run: Run, model_type: str) -> frozenset[str]:
    """What Liger replaces in this run: of rope, norm, mlp, loss, fused loss; nothing in models that it does not know."""
    if not run.use_liger_kernel or model_type not in LIGER_MODEL_TYPES:
        return frozenset()
    found = set(USUAL)
    if model_type in WITHOUT_FUSED_LOSS:
        found = found - {"fused loss"} | {"loss"}
    if model_type in WITHOUT_ROPE:
        found.discard("rope")
    for switch in run.liger_kernel_config or ():
        name, _, value = switch.partition("=")
        if name in PARTS:
            (found.add if value == "true" else found.discard)(PARTS[name])
    return frozenset(found)
